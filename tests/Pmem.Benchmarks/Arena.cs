using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace Pmem.Benchmarks;

/// <summary>The memory that all benchmarks write to: a file in a memory file system, taken for persistent memory.</summary>
internal sealed unsafe class Arena : IDisposable
{
    public const long MaxBytes = 64L << 20;

    /// <summary>Small copies go round in a window of this size, so that neither side lives on one hot line.</summary>
    private const long WindowBytes = 256 << 10;

    private readonly void* _source;
    private readonly List<IDisposable> _owned = [];

    public Arena()
    {
        // Loads libpmem, and before that forces both libraries to take any file for persistent memory.
        NativeLibPmem.Drain();
        string directory = Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath();
        Map = PmemMapping.CreateTemporary(directory, 2 * MaxBytes);
        _source = NativeMemory.AlignedAlloc((nuint)MaxBytes, 4096);
        new Random(1).NextBytes(new Span<byte>(_source, (int)MaxBytes));
        Map.Fill(0, Map.Length, 1);
        Where = directory;
    }

    /// <summary>A file of the same length on a disk.</summary>
    public DiskFile OnDisk => field ??= Own(new DiskFile(MaxBytes));

    /// <summary>Threads, and a mapping for each.</summary>
    public ThreadContests Threads => field ??= Own(new ThreadContests(this));

    /// <summary>1 GiB, every page of it touched: more than any cache and any table of addresses holds.</summary>
    public PmemMapping Large => field ??= MapLarge();

    /// <summary>A mapping that has grown to 64 MiB by 1 MiB at a time, all of it touched.</summary>
    public PmemMapping Growing => field ??= MapGrowing();

    /// <summary>A pool of libpmemobj beside the memory.</summary>
    public NativeLibPmemObj ObjectPool => field ??= Own(new NativeLibPmemObj(Where, 64 << 10));

    public PmemMapping Map { get; }

    public string Where { get; }

    public byte* Source => (byte*)_source;

    public ReadOnlySpan<byte> Bytes(int length) => new(_source, length);

    /// <summary>Where the i-th copy of this size goes: slots of whole lines, round and round.</summary>
    public static long Slot(int i, long size)
    {
        long stride = (size + 63) & ~63L;
        long slots = Math.Max(1, WindowBytes / stride);
        return (uint)i % (ulong)slots is var slot ? (long)slot * stride : 0;
    }

    private PmemMapping MapLarge()
    {
        PmemMapping map = Own(PmemMapping.CreateTemporary(Where, 1L << 30));
        map.Fill(0, map.Length, 1);
        return map;
    }

    private PmemMapping MapGrowing()
    {
        PmemMapping map = Own(PmemMapping.CreateTemporary(Where, 1 << 20, new PmemCreateOptions { ReserveLength = MaxBytes }));
        while (map.Length < MaxBytes) map.Grow(map.Length + (1 << 20));
        map.Fill(0, map.Length, 1);
        return map;
    }

    /// <summary>Made when it is first asked for, and disposed with the arena.</summary>
    private T Own<T>(T made) where T : IDisposable
    {
        _owned.Add(made);
        return made;
    }

    public void Dispose()
    {
        foreach (IDisposable owned in _owned) owned.Dispose();
        Map.Dispose();
        NativeMemory.AlignedFree(_source);
    }
}

/// <summary>A memory-mapped file as .NET has it.</summary>
internal sealed unsafe class DiskFile : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"pmem-benchmark-{Environment.ProcessId}");
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _start;

    public DiskFile(long lengthBytes)
    {
        _file = MemoryMappedFile.CreateFromFile(_path, FileMode.Create, null, lengthBytes);
        _view = _file.CreateViewAccessor(0, lengthBytes);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
    }

    public void Write(long offset, byte* source, long lengthBytes)
    {
        Buffer.MemoryCopy(source, _start + offset, lengthBytes, lengthBytes);
        _view.Flush();
    }

    public void Dispose()
    {
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
        File.Delete(_path);
    }
}
