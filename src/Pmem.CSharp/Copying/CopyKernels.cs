using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Pmem;

//  fact                                                              source
//  ----------------------------------------------------------------  ---------------------------------------------
//  MOVNTI stores 4 or 8 bytes past the cache                          Intel SDM vol. 2, MOVNTI
//  an aligned store of 8 bytes is never torn                          Intel SDM vol. 3A, 9.1.1
//  with a destination and a length that are multiples of 8, all       pmem_memmove_persist(3)
//  stores have at least 8 bytes

/// <summary>Loops that store. They know nothing of write-backs and fences, and no address but those they are given.</summary>
/// <remarks>
/// SAFETY (all of this file): the caller vouches for the source and the destination, which stay where they are (mapped, pinned)
/// during the call. The loops are managed code, so a garbage collection can interrupt them anywhere.
/// </remarks>
internal static unsafe class CopyKernels
{
    /// <summary>Copies at most 64 bytes through the cache. All are read before the first is stored.</summary>
    public static void Short(byte* to, byte* from, nuint length)
    {
        if (length > 32) Over32(to, from, length);
        else if (length >= 16)
        {
            Vector128<byte> a = Vector128.Load(from), b = Vector128.Load(from + length - 16);
            a.Store(to);
            b.Store(to + length - 16);
        }
        else ShortWords(to, from, length);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Over32(byte* to, byte* from, nuint length)
    {
        if (Vector256.IsHardwareAccelerated)
        {
            Vector256<byte> a = Vector256.Load(from), b = Vector256.Load(from + length - 32);
            a.Store(to);
            b.Store(to + length - 32);
        }
        else
        {
            Vector128<byte> a = Vector128.Load(from), b = Vector128.Load(from + 16);
            Vector128<byte> y = Vector128.Load(from + length - 32), z = Vector128.Load(from + length - 16);
            a.Store(to);
            b.Store(to + 16);
            y.Store(to + length - 32);
            z.Store(to + length - 16);
        }
    }

    /// <summary>Whether <see cref="Short"/> or <see cref="Middle"/> copies this many bytes: whole, through registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsMiddle(nuint length) => Vector256.IsHardwareAccelerated && length <= CopySource.BlockBytes;

    /// <summary>
    /// Copies 64 to 256 bytes through the cache. All are read before the first is stored: only
    /// where there are vectors of 256 bits.
    /// </summary>
    public static void Middle(byte* to, byte* from, nuint length)
    {
        byte* fromEnd = from + length, toEnd = to + length;
        Vector256<byte> a = Vector256.Load(from), b = Vector256.Load(from + 32);
        Vector256<byte> y = Vector256.Load(fromEnd - 64), z = Vector256.Load(fromEnd - 32);
        if (length > 128)
        {
            Vector256<byte> c = Vector256.Load(from + 64), d = Vector256.Load(from + 96);
            Vector256<byte> w = Vector256.Load(fromEnd - 128), x = Vector256.Load(fromEnd - 96);
            c.Store(to + 64);
            d.Store(to + 96);
            w.Store(toEnd - 128);
            x.Store(toEnd - 96);
        }
        a.Store(to);
        b.Store(to + 32);
        y.Store(toEnd - 64);
        z.Store(toEnd - 32);
    }

    /// <summary>Stores one byte at most 64 times, through the cache.</summary>
    public static void ShortFill(byte* to, byte value, nuint length)
    {
        var vector = Vector128.Create(value);
        if (length < 16)
        {
            ShortWords(to, vector.AsUInt64().ToScalar(), length);
            return;
        }
        vector.Store(to);
        vector.Store(to + length - 16);
        if (length <= 32) return;
        vector.Store(to + 16);
        vector.Store(to + length - 32);
    }

    /// <summary>Copies less than 16 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ShortWords(byte* to, byte* from, nuint length)
    {
        if (length >= 8) Ends<ulong>(to, from, length);
        else if (length >= 4) Ends<uint>(to, from, length);
        else if (length >= 2) Ends<ushort>(to, from, length);
        else if (length == 1) *to = *from;
    }

    /// <summary>Stores less than 16 bytes that are all the same.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ShortWords(byte* to, ulong pattern, nuint length)
    {
        if (length >= 8)
        {
            Unsafe.WriteUnaligned(to, pattern);
            Unsafe.WriteUnaligned(to + length - 8, pattern);
        }
        else if (length >= 4)
        {
            Unsafe.WriteUnaligned(to, (uint)pattern);
            Unsafe.WriteUnaligned(to + length - 4, (uint)pattern);
        }
        else if (length != 0)
        {
            *to = to[length / 2] = to[length - 1] = (byte)pattern;
        }
    }

    /// <summary>Copies one to two units: the first and the last, which may overlap.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Ends<T>(byte* to, byte* from, nuint length) where T : unmanaged
    {
        nuint last = length - (nuint)sizeof(T);
        T a = Unsafe.ReadUnaligned<T>(from), b = Unsafe.ReadUnaligned<T>(from + last);
        Unsafe.WriteUnaligned(to, a);
        Unsafe.WriteUnaligned(to + last, b);
    }

    /// <summary>Stores one byte over and over, in whole lines.</summary>
    public static void FillLines<TStore>(byte* to, byte value, nuint length) where TStore : struct, ILineStore
    {
        for (byte* end = to + length; to < end; to += LineSplit.LineBytes) TStore.Fill(to, value);
    }

    /// <summary>Copies whole lines, the first ones first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Lines<TStore>(byte* to, CopySource from, nuint offset, nuint length) where TStore : struct, ILineStore
    {
        nuint end = offset + length;
        for (; end - offset >= CopySource.BlockBytes; offset += CopySource.BlockBytes) TStore.FourLines(to + offset, from.At(offset));
        for (; offset < end; offset += LineSplit.LineBytes) TStore.Line(to + offset, from.At(offset));
    }

    /// <summary>Copies whole lines, the last ones first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LinesBackwards<TStore>(byte* to, CopySource from, nuint offset, nuint length) where TStore : struct, ILineStore
    {
        nuint at = offset + length;
        while (at - offset >= CopySource.BlockBytes)
        {
            at -= CopySource.BlockBytes;
            TStore.FourLines(to + at, from.At(at));
        }
        while (at > offset)
        {
            at -= LineSplit.LineBytes;
            TStore.Line(to + at, from.At(at));
        }
    }

    /// <summary>
    /// Copies less than 64 bytes past the cache, as far as they are words of 8 and 4 bytes; returns how many bytes at the end
    /// were stored through the cache, and so must be written back.
    /// </summary>
    [SkipLocalsInit]
    public static nuint Words(byte* to, byte* from, nuint length)
    {
        if (!Sse2.X64.IsSupported || (nuint)to % 4 != 0)
        {
            Short(to, from, length);
            return length;
        }
        // The words are stored one by one: where the ranges overlap, all must be read before.
        byte* copy = stackalloc byte[(int)LineSplit.LineBytes];
        Short(copy, from, length);
        nuint at = 0;
        if ((nuint)to % 8 != 0 && length >= 4) at = StoreWord32(to, copy, at);
        for (; length - at >= 8; at += 8) Sse2.X64.StoreNonTemporal((ulong*)(to + at), *(ulong*)(copy + at));
        if (length - at >= 4) at = StoreWord32(to, copy, at);
        Short(to + at, copy + at, length - at);
        return length - at;
    }

    private static nuint StoreWord32(byte* to, byte* from, nuint at)
    {
        Sse2.StoreNonTemporal((uint*)(to + at), *(uint*)(from + at));
        return at + 4;
    }
}
