using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Pmem.Benchmarks;

/// <summary>Persist, write, fill and move against libpmem.</summary>
internal static unsafe class CopyContests
{
    public const long TargetUpTo = 16L << 20;

    public static readonly long[] AllSizes =
        [8, 16, 32, 64, 128, 256, 512, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20];

    public static readonly long[] QuickSizes = [8, 64, 256, 1 << 10, 4 << 10, 64 << 10, 1 << 20, 16 << 20];

    private const string Rival = "libpmem";

    public static Contest Write(Arena arena, long size)
    {
        PmemMapping map = arena.Map;
        byte* source = arena.Source, to = map.Pointer;
        return new Contest("write", Rival, size,
            n => { for (int i = 0; i < n; i++) map.Write(Arena.Slot(i, size), new ReadOnlySpan<byte>(source, (int)size)); },
            n => { for (int i = 0; i < n; i++) NativeLibPmem.MemCpyPersist(to + Arena.Slot(i, size), source, (nuint)size); },
            LimitOf(size))
        { BytesPerTurn = size };
    }

    /// <summary>As <see cref="Write"/>, but 13 bytes behind the start of a line.</summary>
    public static Contest WriteUnaligned(Arena arena, long size)
    {
        PmemMapping map = arena.Map;
        byte* source = arena.Source, to = map.Pointer;
        const long by = 13;
        return new Contest("write, not aligned", Rival, size,
            n => { for (int i = 0; i < n; i++) map.Write(Arena.Slot(i, size + by) + by, new ReadOnlySpan<byte>(source, (int)size)); },
            n => { for (int i = 0; i < n; i++) NativeLibPmem.MemCpyPersist(to + Arena.Slot(i, size + by) + by, source, (nuint)size); },
            size <= TargetUpTo ? 1.0 : null)
        { BytesPerTurn = size };
    }

    public static Contest Fill(Arena arena, long size)
    {
        PmemMapping map = arena.Map;
        byte* to = map.Pointer;
        return new Contest("fill", Rival, size,
            n => { for (int i = 0; i < n; i++) map.Fill(Arena.Slot(i, size), size, 0x5A); },
            n => { for (int i = 0; i < n; i++) NativeLibPmem.MemSetPersist(to + Arena.Slot(i, size), 0x5A, (nuint)size); },
            LimitOf(size))
        { BytesPerTurn = size };
    }

    /// <summary>Half of the bytes overlap; every second turn goes the other way.</summary>
    public static Contest Move(Arena arena, long size)
    {
        PmemMapping map = arena.Map;
        byte* at = map.Pointer;
        long half = size / 2;
        return new Contest("move", Rival, size,
            n => { for (int i = 0; i < n; i++) map.Move(Slot(i) + Up(i), Slot(i) + half - Up(i), size); },
            n =>
            {
                for (int i = 0; i < n; i++)
                    NativeLibPmem.MemMovePersist(at + Slot(i) + Up(i), at + Slot(i) + half - Up(i), (nuint)size);
            },
            size <= TargetUpTo ? 1.0 : null)
        { BytesPerTurn = size };

        long Slot(int i) => Arena.Slot(i >> 1, size + half);
        long Up(int i) => (i & 1) == 0 ? half : 0;
    }

    /// <summary>Stores 8 bytes in each line of the range, then persists it.</summary>
    public static Contest Persist(Arena arena, long size)
    {
        PmemMapping map = arena.Map;
        byte* at = map.Pointer;
        return new Contest("persist", Rival, size,
            n =>
            {
                for (int i = 0; i < n; i++)
                {
                    long slot = Arena.Slot(i, size);
                    Store(at + slot, size, i);
                    map.Persist(slot, size);
                }
            },
            n =>
            {
                for (int i = 0; i < n; i++)
                {
                    long slot = Arena.Slot(i, size);
                    Store(at + slot, size, i);
                    NativeLibPmem.Persist(at + slot, (nuint)size);
                }
            },
            size <= TargetUpTo ? 1.03 : null);
    }

    /// <summary>Against the machine's own bandwidth: bare non-temporal stores of a register, which read no source at all.</summary>
    public static Contest Bandwidth(Arena arena, long size)
    {
        PmemMapping map = arena.Map;
        byte* source = arena.Source, to = map.Pointer;
        return new Contest("write", "bare stores", size,
            n => { for (int i = 0; i < n; i++) map.Write(0, new ReadOnlySpan<byte>(source, (int)size)); },
            n => { for (int i = 0; i < n; i++) BareStores(to, size); },
            1 / 0.95)
        { BytesPerTurn = size };
    }

    /// <summary>Against a bare loop of non-temporal stores that reads the same source and ends in a fence.</summary>
    public static Contest BareCopy(Arena arena, long size)
    {
        PmemMapping map = arena.Map;
        byte* source = arena.Source, to = map.Pointer;
        return new Contest("write", "bare copy", size,
            n => { for (int i = 0; i < n; i++) map.Write(0, new ReadOnlySpan<byte>(source, (int)size)); },
            n => { for (int i = 0; i < n; i++) BareStores(to, source, size); },
            1 / 0.95)
        { BytesPerTurn = size };
    }

    /// <summary>Against a copy that nobody makes durable.</summary>
    public static Contest Memcpy(Arena arena, long size)
    {
        PmemMapping map = arena.Map;
        byte* source = arena.Source, to = map.Pointer;
        return new Contest("write", "memcpy, not durable", size,
            n => { for (int i = 0; i < n; i++) map.Write(Arena.Slot(i, size), new ReadOnlySpan<byte>(source, (int)size)); },
            n => { for (int i = 0; i < n; i++) Buffer.MemoryCopy(source, to + Arena.Slot(i, size), size, size); },
            null)
        { BytesPerTurn = size };
    }

    /// <summary>Against what .NET has: a memory-mapped file on the disk of the temporary files, and its Flush.</summary>
    public static Contest MappedFile(Arena arena, long size)
    {
        PmemMapping map = arena.Map;
        byte* source = arena.Source;
        return new Contest("write", "MemoryMappedFile + Flush", size,
            n => { for (int i = 0; i < n; i++) map.Write(Arena.Slot(i, size), new ReadOnlySpan<byte>(source, (int)size)); },
            n => { for (int i = 0; i < n; i++) arena.OnDisk.Write(Arena.Slot(i, size), source, size); },
            null)
        { BytesPerTurn = size };
    }

    private static void BareStores(byte* to, long size)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Vector512<byte> line = Vector512.Create((byte)0x5A);
            for (byte* end = to + size; to < end; to += 64) line.StoreAlignedNonTemporal(to);
        }
        else
        {
            Vector256<byte> half = Vector256.Create((byte)0x5A);
            for (byte* end = to + size; to < end; to += 32) half.StoreAlignedNonTemporal(to);
        }
        Sse.StoreFence();
    }

    private static void BareStores(byte* to, byte* from, long size)
    {
        for (byte* end = to + size; to < end; to += 32, from += 32) Vector256.Load(from).StoreAlignedNonTemporal(to);
        Sse.StoreFence();
    }

    private static double? LimitOf(long size) => size == 64 ? 0.75 : size <= TargetUpTo ? 1.0 : null;

    private static void Store(byte* at, long size, long value)
    {
        for (long offset = 0; offset < size; offset += 64) *(long*)(at + offset) = value;
    }
}
