using System.Security.Cryptography;
using static Pmem.Linux.SysStat;

namespace Pmem.Linux;

/// <summary>
/// A descriptor while its file is being mapped. A new file gets its name last, so one that fails was never seen; an existing
/// file that was made longer gets its old length back, unless it was published.
/// </summary>
internal sealed class OpenFile : IDisposable
{
    private readonly long _originalLengthBytes;
    private readonly string _directory;
    private string? _temporaryName;
    private bool _isToBePublished;
    private bool _hasName = true;
    private bool _isGrown;
    private bool _isKept;

    private OpenFile(string path, int descriptor, string? temporaryName = null)
    {
        Path = path;
        Descriptor = descriptor;
        _temporaryName = temporaryName;
        _directory = DirectoryOf(path);
        try
        {
            Throw(SysStat.Get(descriptor, out FileStatus status), "look at");
            Kind = Classify(status);
            if (!Kind.IsRegularFile && !Kind.IsDaxDevice) throw Failures.OfRefusal(Refusal.NewNotMappable(Kind), path);
            Device = Kind.IsDaxDevice ? status.Self : status.Holder;
            LengthBytes = _originalLengthBytes = Kind.IsDaxDevice ? Sysfs.Machine.DaxLengthBytes(Device) : status.LengthBytes;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Path { get; }

    public int Descriptor { get; }

    public FileKind Kind { get; } = FileKind.OtherFile;

    /// <summary>The device that holds the file, or that it is.</summary>
    public Device Device { get; }

    public long LengthBytes { get; private set; }

    public static OpenFile Existing(string path, bool isReadOnly)
    {
        int fd = Fcntl.Open(path, (isReadOnly ? Fcntl.ReadOnly : Fcntl.ReadWrite) | Fcntl.NonBlocking);
        if (fd == -Errno.EISDIR) throw Failures.OfRefusal(Refusal.NewNotMappable(FileKind.Directory), path);
        if (fd < 0) throw Failures.OfErrno(-fd, path, "open");
        return new OpenFile(path, fd);
    }

    /// <summary>The file of this name, or a new one that gets the name only when it is complete (<see cref="Publish"/>).</summary>
    public static OpenFile New(string path, PmemMapOptions options)
    {
        if (Directory.Exists(path)) throw Failures.OfRefusal(Refusal.NewNotMappable(FileKind.Directory), path);
        if (!File.Exists(path)) return WithoutName(path, DirectoryOf(path), options.UnixFileMode, "create");
        if (options.Exclusive) throw Failures.OfErrno(Errno.EEXIST, path, "create");
        return Existing(path, isReadOnly: false);
    }

    /// <summary>A file that never gets a name.</summary>
    public static OpenFile Temporary(string directory)
    {
        OpenFile file = WithoutName(directory, directory, UnixFileMode.UserRead | UnixFileMode.UserWrite, "create a temporary file in");
        file._isToBePublished = file._hasName = false;
        if (file._temporaryName is not null) file.Throw(Fcntl.Unlink(file._temporaryName), "remove the name of a temporary file in");
        file._temporaryName = null;
        return file;
    }

    /// <summary>The directory that holds a path, as the system resolves it: nothing is collapsed, because links may be in it.</summary>
    public static string DirectoryOf(string path) => System.IO.Path.GetDirectoryName(path) switch
    {
        null => "/",
        "" => ".",
        string directory => directory,
    };

    /// <summary>O_TMPFILE, or where the file system lacks that, a name that nobody guesses.</summary>
    private static OpenFile WithoutName(string path, string directory, UnixFileMode mode, string doing)
    {
        string? temporaryName = null;
        int fd = Fcntl.Open(directory, Fcntl.Temporary | Fcntl.ReadWrite, mode);
        if (fd is -Errno.EOPNOTSUPP or -Errno.EISDIR or -Errno.EINVAL)
        {
            temporaryName = System.IO.Path.Combine(directory, $".pmem-{RandomNumberGenerator.GetHexString(16)}");
            fd = Fcntl.Open(temporaryName, Fcntl.ReadWrite | Fcntl.Create | Fcntl.Exclusive, mode);
        }
        if (fd == -Errno.ENOENT && !Directory.Exists(directory))
            throw new DirectoryNotFoundException($"Cannot {doing} '{path}': {Errno.Describe(Errno.ENOENT)}. There is no such directory.");
        if (fd < 0) throw Failures.OfErrno(-fd, path, doing);
        return new OpenFile(path, fd, temporaryName) { _isToBePublished = true };
    }

    /// <summary>Makes sure that the file has at least this many bytes, with storage behind them unless it is sparse.</summary>
    public void Grow(long lengthBytes, bool isSparse)
    {
        if (lengthBytes > LengthBytes) _isGrown = true;
        if (!isSparse) Throw(Fcntl.Allocate(Descriptor, lengthBytes), $"allocate {lengthBytes} bytes for");
        else if (_isGrown) Throw(Fcntl.Truncate(Descriptor, lengthBytes), $"set a length of {lengthBytes} bytes for");
        LengthBytes = Math.Max(LengthBytes, lengthBytes);
    }

    /// <summary>Cuts the file to this many bytes, if it has more; says whether.</summary>
    public bool Shrink(long lengthBytes)
    {
        if (lengthBytes >= LengthBytes) return false;
        Throw(Fcntl.Truncate(Descriptor, lengthBytes), $"cut to {lengthBytes} bytes");
        LengthBytes = lengthBytes;
        return true;
    }

    /// <summary>Makes length and storage of the file durable.</summary>
    public void Sync() => Throw(Fcntl.Sync(Descriptor), "make durable the length of");

    /// <summary>
    /// Gives a new file its name, if nothing has it yet, and makes the name durable: without that, a power failure can leave
    /// a file whose bytes were persisted and that is in no directory (fsync(2), NOTES). From here on nothing is taken back.
    /// </summary>
    public void Publish()
    {
        if (_isToBePublished && _temporaryName is null) Throw(Fcntl.Link(Descriptor, Path), "create");
        if (_temporaryName is not null) MoveTo(_temporaryName);
        _isKept = true;
        if (!_hasName) return;
        int fd = Fcntl.Open(_directory, Fcntl.ReadOnly | Fcntl.Directory);
        int result = fd < 0 ? fd : Fcntl.Sync(fd);
        if (fd >= 0) Fcntl.Close(fd);
        // A directory that may not be read, or a file system that syncs no directories: then everything on it is written.
        if (result is -Errno.EACCES or -Errno.EPERM or -Errno.EINVAL) result = Fcntl.SyncFileSystem(Descriptor);
        Throw(result, "make durable the name of");
    }

    public void Dispose()
    {
        if (!_isKept && _isGrown) _ = Fcntl.Truncate(Descriptor, _originalLengthBytes);
        Fcntl.Close(Descriptor);
        if (!_isKept && _temporaryName is not null) _ = Fcntl.Unlink(_temporaryName);
    }

    private void MoveTo(string temporaryName)
    {
        if (File.Exists(Path)) throw Failures.OfErrno(Errno.EEXIST, Path, "create");
        File.Move(temporaryName, Path, overwrite: false);
    }

    private static FileKind Classify(FileStatus status) => status.Type switch
    {
        FileType.Regular => FileKind.RegularFile,
        FileType.Directory => FileKind.Directory,
        FileType.Fifo => FileKind.Fifo,
        FileType.Character when Sysfs.Machine.IsDaxDevice(status.Self) => FileKind.DaxDevice,
        _ => FileKind.OtherFile,
    };

    private void Throw(int result, string doing)
    {
        if (result < 0) throw Failures.OfErrno(-result, Path, doing);
    }
}
