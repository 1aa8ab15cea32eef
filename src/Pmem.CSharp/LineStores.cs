using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Pmem;

//  fact                                                              source
//  ----------------------------------------------------------------  ---------------------------------------------
//  StoreAlignedNonTemporal is MOVNTDQ, VMOVNTDQ ymm, VMOVNTDQ zmm     Intel SDM vol. 2, MOVNTDQ; .NET Vector128/256/512
//  it wants an address aligned to the vector                          the same
//  a vector store never tears a word that is aligned to 8 bytes       libpmem relies on it too: pmem_memmove_persist(3),
//  (architecturally promised for 8 bytes, and for 16 with AVX)        Intel SDM vol. 3A, 9.1.1; AMD APM vol. 1, 3.9.1.3

/// <summary>
/// How one cache line is stored. A type argument of the kernels, so that each is compiled for its own width and nothing is
/// left of it at run time; a test has one that records.
/// </summary>
internal unsafe interface ILineStore
{
    /// <summary>Copies 64 bytes; the whole source is read before the first byte is stored.</summary>
    /// <param name="to">Aligned to 64 bytes.</param>
    /// <param name="from">Not aligned.</param>
    static abstract void Line(byte* to, byte* from);

    /// <summary>Stores one byte 64 times.</summary>
    /// <param name="to">Aligned to 64 bytes.</param>
    /// <param name="value">The byte.</param>
    static abstract void Fill(byte* to, byte value);
}

// SAFETY (all stores below): the caller vouches for 64 bytes at both addresses, and for the alignment of the first.

/// <summary>Through the cache, 16 bytes at a time.</summary>
internal readonly unsafe struct Temporal128 : ILineStore
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line(byte* to, byte* from)
    {
        Vector128<byte> a = Vector128.Load(from), b = Vector128.Load(from + 16);
        Vector128<byte> c = Vector128.Load(from + 32), d = Vector128.Load(from + 48);
        a.Store(to);
        b.Store(to + 16);
        c.Store(to + 32);
        d.Store(to + 48);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fill(byte* to, byte value)
    {
        var line = Vector128.Create(value);
        line.Store(to);
        line.Store(to + 16);
        line.Store(to + 32);
        line.Store(to + 48);
    }
}

/// <summary>Through the cache, 32 bytes at a time.</summary>
internal readonly unsafe struct Temporal256 : ILineStore
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line(byte* to, byte* from)
    {
        Vector256<byte> a = Vector256.Load(from), b = Vector256.Load(from + 32);
        a.Store(to);
        b.Store(to + 32);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fill(byte* to, byte value)
    {
        var line = Vector256.Create(value);
        line.Store(to);
        line.Store(to + 32);
    }
}

/// <summary>Through the cache, the whole line at a time.</summary>
internal readonly unsafe struct Temporal512 : ILineStore
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line(byte* to, byte* from) => Vector512.Load(from).Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fill(byte* to, byte value) => Vector512.Create(value).Store(to);
}

/// <summary>Past the cache, 16 bytes at a time.</summary>
internal readonly unsafe struct NonTemporal128 : ILineStore
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line(byte* to, byte* from)
    {
        Vector128<byte> a = Vector128.Load(from), b = Vector128.Load(from + 16);
        Vector128<byte> c = Vector128.Load(from + 32), d = Vector128.Load(from + 48);
        a.StoreAlignedNonTemporal(to);
        b.StoreAlignedNonTemporal(to + 16);
        c.StoreAlignedNonTemporal(to + 32);
        d.StoreAlignedNonTemporal(to + 48);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fill(byte* to, byte value)
    {
        var line = Vector128.Create(value);
        line.StoreAlignedNonTemporal(to);
        line.StoreAlignedNonTemporal(to + 16);
        line.StoreAlignedNonTemporal(to + 32);
        line.StoreAlignedNonTemporal(to + 48);
    }
}

/// <summary>Past the cache, 32 bytes at a time.</summary>
internal readonly unsafe struct NonTemporal256 : ILineStore
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line(byte* to, byte* from)
    {
        Vector256<byte> a = Vector256.Load(from), b = Vector256.Load(from + 32);
        a.StoreAlignedNonTemporal(to);
        b.StoreAlignedNonTemporal(to + 32);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fill(byte* to, byte value)
    {
        var line = Vector256.Create(value);
        line.StoreAlignedNonTemporal(to);
        line.StoreAlignedNonTemporal(to + 32);
    }
}

/// <summary>Past the cache, the whole line at a time.</summary>
internal readonly unsafe struct NonTemporal512 : ILineStore
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line(byte* to, byte* from) => Vector512.Load(from).StoreAlignedNonTemporal(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fill(byte* to, byte value) => Vector512.Create(value).StoreAlignedNonTemporal(to);
}
