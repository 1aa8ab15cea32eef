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

    /// <summary>Copies four lines; the whole source is read before the first byte is stored.</summary>
    /// <param name="to">Aligned to 64 bytes.</param>
    /// <param name="from">Not aligned.</param>
    static abstract void FourLines(byte* to, byte* from);

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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FourLines(byte* to, byte* from)
    {
        Vector128<byte> v0 = Vector128.Load(from);
        Vector128<byte> v1 = Vector128.Load(from + 16);
        Vector128<byte> v2 = Vector128.Load(from + 32);
        Vector128<byte> v3 = Vector128.Load(from + 48);
        Vector128<byte> v4 = Vector128.Load(from + 64);
        Vector128<byte> v5 = Vector128.Load(from + 80);
        Vector128<byte> v6 = Vector128.Load(from + 96);
        Vector128<byte> v7 = Vector128.Load(from + 112);
        Vector128<byte> v8 = Vector128.Load(from + 128);
        Vector128<byte> v9 = Vector128.Load(from + 144);
        Vector128<byte> v10 = Vector128.Load(from + 160);
        Vector128<byte> v11 = Vector128.Load(from + 176);
        Vector128<byte> v12 = Vector128.Load(from + 192);
        Vector128<byte> v13 = Vector128.Load(from + 208);
        Vector128<byte> v14 = Vector128.Load(from + 224);
        Vector128<byte> v15 = Vector128.Load(from + 240);
        v0.Store(to);
        v1.Store(to + 16);
        v2.Store(to + 32);
        v3.Store(to + 48);
        v4.Store(to + 64);
        v5.Store(to + 80);
        v6.Store(to + 96);
        v7.Store(to + 112);
        v8.Store(to + 128);
        v9.Store(to + 144);
        v10.Store(to + 160);
        v11.Store(to + 176);
        v12.Store(to + 192);
        v13.Store(to + 208);
        v14.Store(to + 224);
        v15.Store(to + 240);
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FourLines(byte* to, byte* from)
    {
        Vector256<byte> a = Vector256.Load(from);
        Vector256<byte> b = Vector256.Load(from + 32);
        Vector256<byte> c = Vector256.Load(from + 64);
        Vector256<byte> d = Vector256.Load(from + 96);
        Vector256<byte> e = Vector256.Load(from + 128);
        Vector256<byte> f = Vector256.Load(from + 160);
        Vector256<byte> g = Vector256.Load(from + 192);
        Vector256<byte> h = Vector256.Load(from + 224);
        a.Store(to);
        b.Store(to + 32);
        c.Store(to + 64);
        d.Store(to + 96);
        e.Store(to + 128);
        f.Store(to + 160);
        g.Store(to + 192);
        h.Store(to + 224);
    }
}

/// <summary>Through the cache, the whole line at a time.</summary>
internal readonly unsafe struct Temporal512 : ILineStore
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line(byte* to, byte* from) => Vector512.Load(from).Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fill(byte* to, byte value) => Vector512.Create(value).Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FourLines(byte* to, byte* from)
    {
        Vector512<byte> a = Vector512.Load(from);
        Vector512<byte> b = Vector512.Load(from + 64);
        Vector512<byte> c = Vector512.Load(from + 128);
        Vector512<byte> d = Vector512.Load(from + 192);
        a.Store(to);
        b.Store(to + 64);
        c.Store(to + 128);
        d.Store(to + 192);
    }
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FourLines(byte* to, byte* from)
    {
        Vector128<byte> v0 = Vector128.Load(from);
        Vector128<byte> v1 = Vector128.Load(from + 16);
        Vector128<byte> v2 = Vector128.Load(from + 32);
        Vector128<byte> v3 = Vector128.Load(from + 48);
        Vector128<byte> v4 = Vector128.Load(from + 64);
        Vector128<byte> v5 = Vector128.Load(from + 80);
        Vector128<byte> v6 = Vector128.Load(from + 96);
        Vector128<byte> v7 = Vector128.Load(from + 112);
        Vector128<byte> v8 = Vector128.Load(from + 128);
        Vector128<byte> v9 = Vector128.Load(from + 144);
        Vector128<byte> v10 = Vector128.Load(from + 160);
        Vector128<byte> v11 = Vector128.Load(from + 176);
        Vector128<byte> v12 = Vector128.Load(from + 192);
        Vector128<byte> v13 = Vector128.Load(from + 208);
        Vector128<byte> v14 = Vector128.Load(from + 224);
        Vector128<byte> v15 = Vector128.Load(from + 240);
        v0.StoreAlignedNonTemporal(to);
        v1.StoreAlignedNonTemporal(to + 16);
        v2.StoreAlignedNonTemporal(to + 32);
        v3.StoreAlignedNonTemporal(to + 48);
        v4.StoreAlignedNonTemporal(to + 64);
        v5.StoreAlignedNonTemporal(to + 80);
        v6.StoreAlignedNonTemporal(to + 96);
        v7.StoreAlignedNonTemporal(to + 112);
        v8.StoreAlignedNonTemporal(to + 128);
        v9.StoreAlignedNonTemporal(to + 144);
        v10.StoreAlignedNonTemporal(to + 160);
        v11.StoreAlignedNonTemporal(to + 176);
        v12.StoreAlignedNonTemporal(to + 192);
        v13.StoreAlignedNonTemporal(to + 208);
        v14.StoreAlignedNonTemporal(to + 224);
        v15.StoreAlignedNonTemporal(to + 240);
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FourLines(byte* to, byte* from)
    {
        Vector256<byte> a = Vector256.Load(from);
        Vector256<byte> b = Vector256.Load(from + 32);
        Vector256<byte> c = Vector256.Load(from + 64);
        Vector256<byte> d = Vector256.Load(from + 96);
        Vector256<byte> e = Vector256.Load(from + 128);
        Vector256<byte> f = Vector256.Load(from + 160);
        Vector256<byte> g = Vector256.Load(from + 192);
        Vector256<byte> h = Vector256.Load(from + 224);
        a.StoreAlignedNonTemporal(to);
        b.StoreAlignedNonTemporal(to + 32);
        c.StoreAlignedNonTemporal(to + 64);
        d.StoreAlignedNonTemporal(to + 96);
        e.StoreAlignedNonTemporal(to + 128);
        f.StoreAlignedNonTemporal(to + 160);
        g.StoreAlignedNonTemporal(to + 192);
        h.StoreAlignedNonTemporal(to + 224);
    }
}

/// <summary>Past the cache, the whole line at a time.</summary>
internal readonly unsafe struct NonTemporal512 : ILineStore
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line(byte* to, byte* from) => Vector512.Load(from).StoreAlignedNonTemporal(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fill(byte* to, byte value) => Vector512.Create(value).StoreAlignedNonTemporal(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FourLines(byte* to, byte* from)
    {
        Vector512<byte> a = Vector512.Load(from);
        Vector512<byte> b = Vector512.Load(from + 64);
        Vector512<byte> c = Vector512.Load(from + 128);
        Vector512<byte> d = Vector512.Load(from + 192);
        a.StoreAlignedNonTemporal(to);
        b.StoreAlignedNonTemporal(to + 64);
        c.StoreAlignedNonTemporal(to + 128);
        d.StoreAlignedNonTemporal(to + 192);
    }
}
