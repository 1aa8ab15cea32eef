using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Pmem;

//  fact                                                              source
//  ----------------------------------------------------------------  ---------------------------------------------
//  a prefetch never faults, whatever its address                      Intel SDM vol. 2B, PREFETCHh; AMD APM vol. 3, PREFETCHlevel

/// <summary>
/// Short durable copies and fills through the cache, each one call of machine code: store, write back, wait. Which lengths
/// it takes is the plan's word; by default it takes none.
/// </summary>
internal readonly unsafe struct ShortStores
{
    /// <summary>The longest that there is code for.</summary>
    public const int LongestBytes = 256;

    private const ulong LineMask = CacheLine.SizeBytes - 1, EachByte = 0x0101010101010101;

    private readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<byte*, byte*, nuint, void> _copy;
    private readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<byte*, ulong, nuint, void> _fill;
    private readonly ulong _belowBytes;

    public ShortStores(nint copy, nint fill)
    {
        _copy = (delegate* unmanaged[Cdecl, SuppressGCTransition]<byte*, byte*, nuint, void>)copy;
        _fill = (delegate* unmanaged[Cdecl, SuppressGCTransition]<byte*, ulong, nuint, void>)fill;
        _belowBytes = LongestBytes + 1;
    }

    private ShortStores(ShortStores all, ulong belowBytes)
    {
        this = all;
        _belowBytes = Math.Min(all._belowBytes, belowBytes);
    }

    /// <summary>The same for what this plan stores through the cache, writes back and waits for.</summary>
    public ShortStores For(CopyPlan plan) =>
        plan.WritesBack && plan.Fences ? new ShortStores(this, (ulong)plan.MixedNonTemporalFromBytes) : default;

    /// <summary>Whether a copy to this offset of a mapping is one of these. Whole lines may go past the cache, and never are.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Takes(long offset, long length) => (ulong)length < _belowBytes && (((ulong)offset | (ulong)length) & LineMask) != 0 && length != 0;

    /// <summary>
    /// Asks for the first and the last line of a destination that is about to be written: they come while the caller does what is
    /// to be done before the store. The address need not be mapped.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Expect(byte* to, long length)
    {
        if (!Sse.IsSupported) return;
        Sse.Prefetch0(to);
        Sse.Prefetch0(to + length - 1);
    }

    // SAFETY (both): the caller has checked that the destination, and the source, lie in memory that stays where it is during the
    // call, and that it Takes the length; the code touches nothing else.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Copy(byte* to, byte* from, nuint length) => _copy(to, from, length);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Fill(byte* to, byte value, nuint length) => _fill(to, value * EachByte, length);
}
