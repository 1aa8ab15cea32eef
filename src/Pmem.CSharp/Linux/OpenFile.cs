using System.Security.Cryptography;
using Pmem.Core;
using static Pmem.Linux.SysStat;

namespace Pmem.Linux;

/// <summary>
/// A descriptor while its file is being mapped. Unless it is told to keep them, closing it takes back what it did: a file
/// that it made is removed, one that it made longer gets its old length.
/// </summary>
internal sealed class OpenFile : IDisposable
{
    private readonly bool _isCreated;
    private readonly long _originalLengthBytes;
    private bool _isGrown;
    private bool _isKept;

    private OpenFile(string path, int descriptor, bool isCreated)
    {
        Path = path;
        Descriptor = descriptor;
        _isCreated = isCreated;
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
        return new OpenFile(path, fd, isCreated: false);
    }

    /// <summary>Makes the file, so that it is known whether it was there before; else opens the one that is there.</summary>
    public static OpenFile New(string path, PmemMapOptions options)
    {
        int fd = Fcntl.Open(path, Fcntl.ReadWrite | Fcntl.NonBlocking | Fcntl.Create | Fcntl.Exclusive, options.UnixFileMode);
        if (fd >= 0) return new OpenFile(path, fd, isCreated: true);
        if (fd == -Errno.EEXIST && Directory.Exists(path)) throw Failures.OfRefusal(Refusal.NewNotMappable(FileKind.Directory), path);
        if (fd != -Errno.EEXIST || options.Exclusive) throw Failures.OfErrno(-fd, path, "create");
        return Existing(path, isReadOnly: false);
    }

    /// <summary>A file without a name: O_TMPFILE, or where the file system lacks that, one that is unlinked at once.</summary>
    public static OpenFile Temporary(string directory)
    {
        const UnixFileMode ownerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        int fd = Fcntl.Open(directory, Fcntl.Temporary | Fcntl.ReadWrite | Fcntl.Exclusive, ownerOnly);
        if (fd is -Errno.EOPNOTSUPP or -Errno.EISDIR or -Errno.EINVAL)
        {
            string path = System.IO.Path.Combine(directory, $".pmem-{RandomNumberGenerator.GetHexString(16)}");
            fd = Fcntl.Open(path, Fcntl.ReadWrite | Fcntl.Create | Fcntl.Exclusive, ownerOnly);
            if (fd >= 0) Fcntl.Unlink(path);
        }
        if (fd == -Errno.ENOENT) throw new DirectoryNotFoundException($"Cannot create a temporary file in '{directory}': there is no such directory.");
        if (fd < 0) throw Failures.OfErrno(-fd, directory, "create a temporary file in");
        return new OpenFile(directory, fd, isCreated: false);
    }

    /// <summary>Makes sure that the file has at least this many bytes, with storage behind them unless it is sparse.</summary>
    public void Grow(long lengthBytes, bool isSparse)
    {
        if (lengthBytes > LengthBytes) _isGrown = true;
        if (!isSparse) Throw(Fcntl.Allocate(Descriptor, lengthBytes), $"allocate {lengthBytes} bytes for");
        else if (_isGrown) Throw(Fcntl.Truncate(Descriptor, lengthBytes), $"set a length of {lengthBytes} bytes for");
        LengthBytes = Math.Max(LengthBytes, lengthBytes);
    }

    /// <summary>Cuts the file to this many bytes.</summary>
    public void Shrink(long lengthBytes)
    {
        if (lengthBytes >= LengthBytes) return;
        Throw(Fcntl.Truncate(Descriptor, lengthBytes), $"cut to {lengthBytes} bytes");
        LengthBytes = lengthBytes;
    }

    /// <summary>
    /// Makes length and storage of the file durable, and its name too: without the second, a power failure can leave a file
    /// whose bytes were persisted and that is in no directory (fsync(2), NOTES).
    /// </summary>
    public void MakeDurable()
    {
        Throw(Fcntl.Sync(Descriptor), "make durable the length of");
        if (!_isCreated) return;
        string parent = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(Path)) ?? "/";
        int fd = Fcntl.Open(parent, Fcntl.ReadOnly | Fcntl.Directory);
        int result = fd < 0 ? fd : Fcntl.Sync(fd);
        if (fd >= 0) Fcntl.Close(fd);
        // A directory that may not be read, or a file system that syncs no directories: then everything on it is written.
        if (result is -Errno.EACCES or -Errno.EPERM or -Errno.EINVAL) result = Fcntl.SyncFileSystem(Descriptor);
        Throw(result, "make durable the name of");
    }

    /// <summary>Nothing is taken back any more.</summary>
    public void Keep() => _isKept = true;

    public void Dispose()
    {
        if (!_isKept && _isGrown && !_isCreated) _ = Fcntl.Truncate(Descriptor, _originalLengthBytes);
        Fcntl.Close(Descriptor);
        if (!_isKept && _isCreated) _ = Fcntl.Unlink(Path);
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
