using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Benchmarks;

/// <summary>How the pages of a file came into memory. Linux keeps them as it got them, and that decides what a store costs.</summary>
internal enum PagesCame
{
    /// <summary>Made by Create, and stored to through the mapping: each page is on its own.</summary>
    ByStores,

    /// <summary>By writes of a megabyte: many are one large folio, and a store to one has all of them written (docs/benchmarks.md).</summary>
    ByLargeWrites,
}

/// <summary>Ordinary files of one length in one directory on a disk: ours, and the rivals'. All their blocks are written before.</summary>
internal sealed unsafe class FileArena : IDisposable
{
    public const long Length = 8L << 20;
    public const int Threads = 8;

    private readonly string _ours, _theirs;
    private readonly MemoryMappedFile _file;
    private readonly void* _source;
    private Team? _team;
    private readonly FileArena? _written;

    /// <summary>Files that were stored to, and others that were written.</summary>
    public FileArena(string directory) : this(directory, PagesCame.ByStores) => _written = new FileArena(directory, PagesCame.ByLargeWrites);

    private FileArena(string directory, PagesCame pages)
    {
        Where = directory;
        Pages = pages;
        string name = Path.Combine(Where, $"pmem-benchmark-{Environment.ProcessId}-{pages}");
        (_ours, _theirs) = (name + "-ours", name + "-theirs");
        _source = NativeMemory.AlignedAlloc((nuint)Length, 4096);
        new Random(1).NextBytes(new Span<byte>(_source, (int)Length));
        // Both are written by the same calls: how the kernel holds a file's pages depends on that.
        Fill(_ours).Dispose();
        Handle = Fill(_theirs);
        Map = PmemMapping.Open(_ours);
        if (Map.Granularity != StoreGranularity.Page) throw new InvalidOperationException($"'{_ours}' is no ordinary file.");

        _file = MemoryMappedFile.CreateFromFile(Handle, null, Length, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: true);
        Views = [.. Enumerable.Range(0, Threads).Select(i => new View(_file, i * PartBytes, PartBytes))];
        Streams = [.. Enumerable.Range(0, Threads).Select(_ => new FileStream(_theirs, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, 0))];
    }

    /// <summary>The first that is on a disk; null where none is. A memory file system syncs nothing: there every way takes no time.</summary>
    public static string? DirectoryOnDisk { get; } = new[] { Path.GetTempPath(), "/var/tmp", Environment.CurrentDirectory }
        .FirstOrDefault(path => Directory.Exists(path) && new DriveInfo(path).DriveFormat is not ("tmpfs" or "ramfs"));

    /// <summary>Each thread has a part of the files to itself.</summary>
    public static long PartBytes => Length / Threads;

    public string Where { get; }

    public PagesCame Pages { get; }

    /// <summary>The same with files that were written by calls of a megabyte.</summary>
    public FileArena Written => _written ?? this;

    public string FileSystem => new DriveInfo(Where).DriveFormat;

    public PmemMapping Map { get; }

    public SafeFileHandle Handle { get; }

    /// <summary>A stream of each thread's, of the whole file and without a buffer.</summary>
    public FileStream[] Streams { get; }

    /// <summary>A view of each thread's part: a view's Flush has no range.</summary>
    public View[] Views { get; }

    public Team Team => _team ??= new Team(Threads);

    public ReadOnlySpan<byte> Bytes(int length) => new(_source, length);

    /// <summary>Where the i-th write of this size goes within so many bytes: a page of its own, round and round.</summary>
    public static long Slot(int i, long size, long within)
    {
        long stride = (size + 4095) & ~4095L;
        return i % (within / stride) * stride;
    }

    private SafeFileHandle Fill(string path)
    {
        if (Pages == PagesCame.ByStores)
        {
            using PmemMapping map = PmemMapping.Create(path, Length, new PmemCreateOptions { Exclusive = true });
            map.Write(0, Bytes((int)Length), PmemCopyOptions.Temporal);
        }
        SafeFileHandle file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
        for (int at = 0; at < Length && Pages == PagesCame.ByLargeWrites; at += 1 << 20)
            RandomAccess.Write(file, new ReadOnlySpan<byte>((byte*)_source + at, 1 << 20), at);
        RandomAccess.FlushToDisk(file);
        return file;
    }

    public void Dispose()
    {
        _written?.Dispose();
        _team?.Dispose();
        Map.Dispose();
        foreach (View view in Views) view.Dispose();
        foreach (FileStream stream in Streams) stream.Dispose();
        _file.Dispose();
        Handle.Dispose();
        NativeMemory.AlignedFree(_source);
        File.Delete(_ours);
        File.Delete(_theirs);
    }
}

/// <summary>A part of a memory-mapped file as .NET has it.</summary>
internal sealed unsafe class View : IDisposable
{
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _start;

    public View(MemoryMappedFile file, long offset, long lengthBytes)
    {
        _view = file.CreateViewAccessor(offset, lengthBytes);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        // The pointer is that of the page in which the view begins.
        _start += _view.PointerOffset;
    }

    public void Store(long offset, ReadOnlySpan<byte> bytes) => bytes.CopyTo(new Span<byte>(_start + offset, bytes.Length));

    public void Flush() => _view.Flush();

    public void Dispose()
    {
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
    }
}

/// <summary>Threads that wait for work, and all do it at once.</summary>
internal sealed class Team : IDisposable
{
    private readonly Barrier _barrier;
    private readonly Thread[] _threads;
    private Action<int, int>? _work;
    private int _turns;

    public Team(int count)
    {
        _barrier = new Barrier(count + 1);
        _threads = [.. Enumerable.Range(0, count).Select(me => new Thread(() => Work(me)) { IsBackground = true })];
        foreach (Thread thread in _threads) thread.Start();
    }

    /// <summary>Each thread does the work, of which it gets its own number and how many turns; returns when all are done.</summary>
    public void Run(int turns, Action<int, int> work)
    {
        (_work, _turns) = (work, turns);
        _barrier.SignalAndWait();
        _barrier.SignalAndWait();
    }

    public void Dispose()
    {
        _work = null;
        _barrier.SignalAndWait();
        foreach (Thread thread in _threads) thread.Join();
        _barrier.Dispose();
    }

    private void Work(int me)
    {
        while (true)
        {
            _barrier.SignalAndWait();
            if (_work is null) return;
            _work(me, _turns);
            _barrier.SignalAndWait();
        }
    }
}
