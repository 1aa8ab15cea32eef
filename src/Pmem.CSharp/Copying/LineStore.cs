using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Pmem;

//  fact                                                              source
//  ----------------------------------------------------------------  ---------------------------------------------
//  StoreAlignedNonTemporal is MOVNTDQ, VMOVNTDQ ymm, VMOVNTDQ zmm     Intel SDM vol. 2, MOVNTDQ; .NET Vector128/256/512
//  it wants an address aligned to the vector                          the same
//  a vector store never tears a word that is aligned to 8 bytes       libpmem relies on it too: pmem_memmove_persist(3),
//  (architecturally promised for 8 bytes, and for 16 with AVX)        Intel SDM vol. 3A, 9.1.1; AMD APM vol. 1, 3.9.1.3
//  a vector that the processor lacks is copied as a struct, by        seen: a move by -5 bytes lost bytes with Vector512
//  halves, each stored before the next is read                        on a processor without AVX-512

// SAFETY (all of this file): the caller vouches for the bytes at both addresses, and for the alignment of the first.

/// <summary>One vector store: through the cache, or past it. A type argument, so that nothing is left of it at run time.</summary>
internal unsafe interface IVectorStore<T> where T : unmanaged
{
    static abstract void Store(T value, byte* to);
}

/// <summary>Through the cache.</summary>
internal readonly unsafe struct Through<T> : IVectorStore<T> where T : unmanaged
{
    public static void Store(T value, byte* to) => Unsafe.WriteUnaligned(to, value);
}

/// <summary>Past the cache, 16 bytes at a time.</summary>
internal readonly unsafe struct Past128 : IVectorStore<Vector128<byte>>
{
    public static void Store(Vector128<byte> value, byte* to) => value.StoreAlignedNonTemporal(to);
}

/// <summary>Past the cache, 32 bytes at a time.</summary>
internal readonly unsafe struct Past256 : IVectorStore<Vector256<byte>>
{
    public static void Store(Vector256<byte> value, byte* to) => value.StoreAlignedNonTemporal(to);
}

/// <summary>Past the cache, the whole line at a time.</summary>
internal readonly unsafe struct Past512 : IVectorStore<Vector512<byte>>
{
    public static void Store(Vector512<byte> value, byte* to) => value.StoreAlignedNonTemporal(to);
}

/// <summary>How one cache line is stored: a type argument of the kernels, so that each is compiled for its own width.</summary>
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

/// <summary>
/// Lines by vectors T: 16, 32 or 64 bytes, a constant when the method is compiled, so no branch is left. The processor must
/// have T: only a vector in a register is read whole before it is stored.
/// </summary>
internal readonly unsafe struct LineStore<T, TStore> : ILineStore
    where T : unmanaged where TStore : struct, IVectorStore<T>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line(byte* to, byte* from)
    {
        if (sizeof(T) == 64) TStore.Store(At(from, 0), to);
        else if (sizeof(T) == 16) Four(to, from);
        else
        {
            T a = At(from, 0), b = At(from, 1);
            Put(to, 0, a, b);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void FourLines(byte* to, byte* from)
    {
        if (sizeof(T) == 64) Four(to, from);
        else if (sizeof(T) == 32) Eight(to, from);
        else Sixteen(to, from);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fill(byte* to, byte value)
    {
        if (sizeof(T) == 64) TStore.Store(Unsafe.BitCast<Vector512<byte>, T>(Vector512.Create(value)), to);
        else if (sizeof(T) == 32)
        {
            T line = Unsafe.BitCast<Vector256<byte>, T>(Vector256.Create(value));
            Put(to, 0, line, line);
        }
        else
        {
            T line = Unsafe.BitCast<Vector128<byte>, T>(Vector128.Create(value));
            Put(to, 0, line, line);
            Put(to, 2, line, line);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Four(byte* to, byte* from)
    {
        T a = At(from, 0), b = At(from, 1), c = At(from, 2), d = At(from, 3);
        Put(to, 0, a, b);
        Put(to, 2, c, d);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Eight(byte* to, byte* from)
    {
        T a = At(from, 0), b = At(from, 1), c = At(from, 2), d = At(from, 3);
        T e = At(from, 4), f = At(from, 5), g = At(from, 6), h = At(from, 7);
        Put(to, 0, a, b);
        Put(to, 2, c, d);
        Put(to, 4, e, f);
        Put(to, 6, g, h);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Sixteen(byte* to, byte* from)
    {
        T a = At(from, 0), b = At(from, 1), c = At(from, 2), d = At(from, 3);
        T e = At(from, 4), f = At(from, 5), g = At(from, 6), h = At(from, 7);
        T i = At(from, 8), j = At(from, 9), k = At(from, 10), l = At(from, 11);
        T m = At(from, 12), n = At(from, 13), o = At(from, 14), p = At(from, 15);
        Put(to, 0, a, b);
        Put(to, 2, c, d);
        Put(to, 4, e, f);
        Put(to, 6, g, h);
        Put(to, 8, i, j);
        Put(to, 10, k, l);
        Put(to, 12, m, n);
        Put(to, 14, o, p);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T At(byte* from, int index) => Unsafe.ReadUnaligned<T>(from + index * sizeof(T));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(byte* to, int index, T a, T b)
    {
        TStore.Store(a, to + index * sizeof(T));
        TStore.Store(b, to + (index + 1) * sizeof(T));
    }
}
