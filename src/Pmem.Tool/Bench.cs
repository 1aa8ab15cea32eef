using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Tool;

/// <summary>A mapping and its rivals in one directory: files without a name, which are gone when the process is.</summary>
internal sealed class Bench : IDisposable
{
    private const long LengthBytes = 16 << 20;
    private const int FieldCount = 16;

    private readonly PmemMapping _mapping;
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly SafeFileHandle _handle;
    private readonly byte[] _bytes = new byte[1 << 20];
    private readonly FlushPlan _plan = FlushPlan.Of([.. Enumerable.Range(0, FieldCount).Select(i => new ByteRange(i * 256, 8))]);

    public Bench(string directory)
    {
        _mapping = PmemMapping.CreateTemporary(directory, LengthBytes);
        // Zeros may be cheaper to a device than other bytes.
        new Random(1).NextBytes(_bytes);
        FileStream stream = Nameless(directory);
        _file = MemoryMappedFile.CreateFromFile(stream, null, LengthBytes, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: false);
        _view = _file.CreateViewAccessor(0, 4096);
        _handle = Nameless(directory).SafeFileHandle;
    }

    public MappingInfo Info => _mapping.Info;

    public IReadOnlyList<Subject> Subjects() =>
    [
        new("store 8 B and persist", "Pmem", 8, turns =>
        {
            for (int i = 0; i < turns; i++)
            {
                _mapping.Store(Slot(i, 64), (long)i);
                _mapping.Persist(Slot(i, 64), 8);
            }
        }),
        Write(64),
        Write(4096),
        Write(_bytes.Length),
        new($"{FieldCount} fields, persist each", "Pmem", FieldCount * 8, turns => Fields(turns, () =>
        {
            for (int field = 0; field < FieldCount; field++) _mapping.Persist(field * 256, 8);
        })),
        new($"{FieldCount} fields, one plan", "Pmem", FieldCount * 8, turns => Fields(turns, () => _mapping.Execute(_plan))),
        Msync(64),
        Msync(4096),
        Fsync(64),
        Fsync(4096),
    ];

    public void Dispose()
    {
        _handle.Dispose();
        _view.Dispose();
        _file.Dispose();
        _mapping.Dispose();
    }

    private static string Durable(int lengthBytes) => $"durable write of {Sizes.Of(lengthBytes)}";

    private Subject Write(int lengthBytes) => new(Durable(lengthBytes), "Pmem", lengthBytes, turns =>
    {
        for (int i = 0; i < turns; i++) _mapping.Write(Slot(i, lengthBytes), _bytes.AsSpan(0, lengthBytes));
    });

    private Subject Msync(int lengthBytes) => new(Durable(lengthBytes), "MemoryMappedFile", lengthBytes, turns =>
    {
        for (int i = 0; i < turns; i++)
        {
            _bytes[0] = (byte)i;
            _view.WriteArray(0, _bytes, 0, lengthBytes);
            _view.Flush();
        }
    });

    private Subject Fsync(int lengthBytes) => new(Durable(lengthBytes), "RandomAccess", lengthBytes, turns =>
    {
        for (int i = 0; i < turns; i++)
        {
            _bytes[0] = (byte)i;
            RandomAccess.Write(_handle, _bytes.AsSpan(0, lengthBytes), 0);
            RandomAccess.FlushToDisk(_handle);
        }
    });

    private void Fields(int turns, Action persist)
    {
        for (int i = 0; i < turns; i++)
        {
            for (int field = 0; field < FieldCount; field++) _mapping.Store(field * 256, (long)i);
            persist();
        }
    }

    /// <summary>Round and round in a window that no cache of one core holds as one hot line.</summary>
    private static long Slot(int i, long lengthBytes) => i % Math.Max(1, (4 << 20) / lengthBytes) * lengthBytes;

    private static FileStream Nameless(string directory)
    {
        string path = Path.Combine(directory, $".pmem-{Guid.NewGuid():N}");
        var stream = new FileStream(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete, bufferSize: 0);
        File.Delete(path);
        stream.SetLength(LengthBytes);
        return stream;
    }
}
