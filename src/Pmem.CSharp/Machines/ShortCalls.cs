using System.Runtime.CompilerServices;

namespace Pmem;

//  fact                                                              source
//  ----------------------------------------------------------------  ---------------------------------------------
//  a managed function is called as System V has it                    dotnet/runtime, docs/design/coreclr/botr/clr-abi.md
//  a thread stops for a collection only in managed code at a safe     the same, src/coreclr/vm/threads.h, "SuspendingTheRuntime";
//  point, or outside of it                                            so with native compilation: docs/design/coreclr/botr/threading.md
//  all other managed threads stop for a collection that blocks        Microsoft, "Fundamentals of garbage collection"
//  so it is with the collectors of CoreCLR and of native compilation; one that is put in their place (DOTNET_GCName) must stop threads too

/// <summary>
/// Short durable copies, fills and persists, each one call of machine code: is the mapping closed; store; write back; wait. And the
/// store of a word, which waits for nothing. Which lengths they take is the plan's word; by default they take none.
/// </summary>
/// <remarks>
/// <para>The code is called as a managed function is. So a call has no transition, pins nothing, and is the last thing its caller does: a
/// jump, before which nothing is saved on the stack. Every store between one fence and the next record makes that record's line come
/// later (docs/benchmarks.md).</para>
/// <para>Nor does it mark the mapping (<c>InFlight</c>): no collection can begin while a thread is in the code, since it is no safe point,
/// and the code asks whether the mapping is closed before it touches anything. So once the mapping is closed and a collection has stopped all threads,
/// nobody is in it, and whoever comes sees that it is closed. That is a grace period as of read-copy-update, with the collection as
/// the time when all are quiescent: it costs the caller one load, and Dispose a collection of the youngest objects.</para>
/// </remarks>
internal readonly unsafe struct ShortCalls
{
    /// <summary>The longest copy or fill that there is code for.</summary>
    public const int LongestBytes = 256;

    /// <summary>The longest persist: a collection waits no longer than for so many bytes.</summary>
    public const int LongestPersistBytes = StubLines.ChunkBytes;

    private const ulong EachByte = 0x0101010101010101;

    private readonly delegate*<byte*, ref byte, nuint, ref bool, object, delegate*<object, void>, void> _copyThrough, _copyPast, _copy;
    private readonly delegate*<byte*, ulong, nuint, ref bool, object, delegate*<object, void>, void> _fillThrough, _fillPast, _fill, _persist, _store;
    private readonly delegate*<object, void> _whenClosed;
    private readonly ulong _copyBytes, _persistBytes;

    /// <param name="code">The code of each: see <see cref="IStubCode.Short"/>.</param>
    public ShortCalls(ReadOnlySpan<nint> code)
    {
        _copyThrough = (delegate*<byte*, ref byte, nuint, ref bool, object, delegate*<object, void>, void>)code[0];
        _copyPast = (delegate*<byte*, ref byte, nuint, ref bool, object, delegate*<object, void>, void>)code[1];
        _fillThrough = (delegate*<byte*, ulong, nuint, ref bool, object, delegate*<object, void>, void>)code[2];
        _fillPast = (delegate*<byte*, ulong, nuint, ref bool, object, delegate*<object, void>, void>)code[3];
        _persist = (delegate*<byte*, ulong, nuint, ref bool, object, delegate*<object, void>, void>)code[4];
        _store = (delegate*<byte*, ulong, nuint, ref bool, object, delegate*<object, void>, void>)code[5];
        _copyBytes = LongestBytes;
        _persistBytes = LongestPersistBytes;
    }

    private ShortCalls(ShortCalls all, CopyPlan plan, delegate*<object, void> whenClosed)
    {
        this = all;
        _whenClosed = whenClosed;
        bool isPast = plan.IsNonTemporal(CacheLine.SizeBytes);
        _copy = isPast ? _copyPast : _copyThrough;
        _fill = isPast ? _fillPast : _fillThrough;
        long below = isPast ? plan.MixedNonTemporalFromBytes : Math.Min(plan.MixedNonTemporalFromBytes, plan.NonTemporalFromBytes);
        _copyBytes = Math.Min(all._copyBytes, (ulong)Math.Max(below - 1, 0));
    }

    /// <summary>The same for what this plan writes back and waits for; whole lines past the cache where it has them go there.</summary>
    /// <param name="plan">The plan of a copy without options.</param>
    /// <param name="whenClosed">What a call does instead where the owner is closed, as its caller's last act; it throws.</param>
    public ShortCalls For(CopyPlan plan, delegate*<object, void> whenClosed) =>
        plan.WritesBack && plan.Fences ? new ShortCalls(this, plan, whenClosed) : default;

    /// <summary>Whether a copy or fill of this length is one of these.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Takes(long length) => (ulong)(length - 1) < _copyBytes;

    /// <summary>Whether a store of this length is one of these.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TakesStore(int length) => length is 1 or 2 or 4 or 8 && _persistBytes != 0;

    /// <summary>Whether a persist of this length is one of these.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TakesPersist(long length) => (ulong)(length - 1) < _persistBytes;

    // SAFETY (all): the caller has checked that the destination lies in memory that stays where it is unless the owner is closed, and that it
    // Takes the length; the code touches nothing else. No collection moves the source, the flag or the owner while the code runs.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Copy(byte* to, ref byte from, nuint length, ref bool isClosed, object owner) =>
        _copy(to, ref from, length, ref isClosed, owner, _whenClosed);

    /// <summary>A copy whose whole lines go through the cache as well.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void CopyThrough(byte* to, byte* from, nuint length, ref bool isClosed, object owner) =>
        _copyThrough(to, ref *from, length, ref isClosed, owner, _whenClosed);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Fill(byte* to, byte value, nuint length, ref bool isClosed, object owner) =>
        _fill(to, value * EachByte, length, ref isClosed, owner, _whenClosed);

    /// <summary>Stores the first 1, 2, 4 or 8 bytes of a word, durably.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write(byte* to, ulong word, nuint length, ref bool isClosed, object owner) =>
        _fill(to, word, length, ref isClosed, owner, _whenClosed);

    /// <summary>Stores the first 1, 2, 4 or 8 bytes of a word.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(byte* to, ulong word, nuint length, ref bool isClosed, object owner) =>
        _store(to, word, length, ref isClosed, owner, _whenClosed);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Persist(byte* start, nuint length, ref bool isClosed, object owner) =>
        _persist(start, 0, length, ref isClosed, owner, _whenClosed);

    /// <summary>
    /// Waits until no thread is in a call that did not see its owner closed: for a collection of the youngest objects, and before it for one
    /// that runs in the background. A no-GC region ends by it. A collection that did not block would stop nobody while another runs.
    /// </summary>
    public void WaitUntilNobodyIsIn()
    {
        if (_persistBytes == 0) return;
        // Where a collector that was put in place of the runtime's own stops nobody, this waits rather than unmap beneath a thread.
        int before = GC.CollectionCount(0);
        while (GC.CollectionCount(0) == before) GC.Collect(0, GCCollectionMode.Forced, blocking: true);
    }
}
