using Microsoft.Win32.SafeHandles;
using static Pmem.Linux.SysStat;

namespace Pmem.Linux;

/// <summary>
/// A descriptor while its file is being mapped. What was done is a stack of what takes it back; a file that is kept has an
/// empty one.
/// </summary>
internal sealed class LinuxFile : StoredFile
{
    private readonly SafeFileHandle _handle;
    private readonly bool _isOurs;
    private bool _isMapped;
    private readonly Place? _place;
    private readonly Stack<Action> _undo = [];
    private Naming _naming;
    private long _lengthBytes;

    private LinuxFile(string path, SafeFileHandle handle, Place? place, bool isOurs = true, bool isWon = false)
    {
        Path = path;
        _handle = handle;
        _place = place;
        _isOurs = isOurs;
        if (isWon) _undo.Push(TakeNameBack);
        try
        {
            Throw(Get(handle, out FileStatus status), "look at");
            Kind = Classify(status);
            if (!Kind.IsRegularFile && !Kind.IsDaxDevice) throw Failures.OfRefusal(Refusal.NewNotMappable(Kind), path);
            Identity = status.Identity;
            Device = Kind.IsDaxDevice ? status.Self : status.Holder;
            UnitBytes = Kind.IsDaxDevice ? Sysfs.Machine.DaxAlignmentBytes(Device) : SysStatfs.PageBytes(handle);
            _lengthBytes = Kind.IsDaxDevice ? Sysfs.Machine.DaxLengthBytes(Device) : status.LengthBytes;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Whether an open file can be given a name here; found out by the first that could not.</summary>
    public static bool CanLink { get; private set; } = true;

    public SafeFileHandle Handle => _handle;

    /// <summary>
    /// The caller's file, opened for the mapping alone: a write-back that failed is told once to each open file (errseq_t: msync(2),
    /// fsync(2)), and a mapping of the caller's own would not hear what the caller's fsync was told. Null for a file of ours, and where
    /// it cannot be opened again (no /proc): then it is shared. Never more than the caller may do.
    /// </summary>
    public SafeFileHandle? OpenOnceMore(bool isReadOnly)
    {
        if (_isOurs || _isMapped || !Kind.IsRegularFile || !Fcntl.MayBeMapped(_handle, isReadOnly)) return null;
        return OpenAgain(isReadOnly, out SafeFileHandle again) == 0 ? again : null;
    }

    private int OpenAgain(bool isReadOnly, out SafeFileHandle again)
    {
        int flags = (isReadOnly ? Fcntl.ReadOnly : Fcntl.ReadWrite) | Fcntl.NonBlocking;
        return Fcntl.Open($"/proc/self/fd/{_handle.DangerousGetHandle()}", flags, out again);
    }

    public override string Path { get; }

    public override FileKind Kind { get; } = FileKind.OtherFile;

    public override FileIdentity Identity { get; }

    public override DeviceNumber Device { get; }

    public override long UnitBytes { get; }

    public override long LengthBytes => _lengthBytes;

    /// <summary>A file that was found under its name: here, if anywhere.</summary>
    public static LinuxFile Found(string path, SafeFileHandle handle, Place? place) => new(path, handle, place) { _naming = Naming.Given };

    /// <summary>A file that has no name, and gets none.</summary>
    public static LinuxFile Nameless(string path, SafeFileHandle handle) => new(path, handle, null);

    /// <summary>A file that the caller has open, and closes; its name is the caller's.</summary>
    public static LinuxFile OfCaller(string path, SafeFileHandle handle, bool isMapped) =>
        new(path, handle, null, isOurs: false) { _isMapped = isMapped };

    /// <summary>A file without a name, which <see cref="Keep"/> gives it.</summary>
    public static LinuxFile Unnamed(string path, SafeFileHandle handle, Place place) =>
        new(path, handle, place) { _naming = Naming.ToBeGiven };

    /// <summary>A file that was made under its name.</summary>
    public static LinuxFile Won(string path, SafeFileHandle handle, Place place) =>
        new(path, handle, place, isWon: true) { _naming = Naming.Given };

    public override void Grow(long lengthBytes, bool isSparse)
    {
        string doing = $"allocate {lengthBytes} bytes for";
        bool isLonger = lengthBytes > _lengthBytes;
        if (isLonger && (ulong)lengthBytes > SysResource.FileSizeLimitBytes) throw Failures.OfFileSizeLimit(Path, doing);
        if (isLonger && _naming != Naming.ToBeGiven)
        {
            long original = _lengthBytes;
            _undo.Push(() => CutBack(original, lengthBytes));
        }
        if (isLonger || !isSparse) Throw(FileGrowth.Grow(_handle, lengthBytes, isSparse), doing);
        _lengthBytes = Math.Max(_lengthBytes, lengthBytes);
    }

    public override void Reserve(ByteRange bytes) =>
        Throw(Fcntl.Allocate(_handle, bytes.Offset, bytes.Length), $"reserve {bytes.Length} bytes of");

    public override void Sync() => Throw(Unistd.Sync(_handle), "make durable the length of");

    public override void SyncApart()
    {
        Throw(OpenAgain(isReadOnly: false, out SafeFileHandle apart), "open again");
        using (apart) Throw(Unistd.Sync(apart), "make durable the length of");
    }

    /// <summary>
    /// Without a durable name, a power failure can leave a file whose bytes were persisted and that is in no directory
    /// (fsync(2), NOTES). Who found a file syncs the directory too: its maker may not have come to that yet.
    /// </summary>
    public override bool Keep()
    {
        if (_naming == Naming.ToBeGiven && !Link()) return false;
        if (_naming != Naming.None)
        {
            bool isHere = _place is not null && _place.Holds(Identity);
            // Its maker failed and took the name back, or somebody removed it: what is stored here would be lost.
            if (!isHere && HasNoName()) return false;
            Throw(isHere ? _place!.Sync(_handle) : Unistd.SyncFileSystem(_handle), "make durable the name of");
        }
        _undo.Clear();
        return true;
    }

    protected override void SetLength(long lengthBytes)
    {
        Throw(Unistd.Truncate(_handle, lengthBytes), $"cut to {lengthBytes} bytes");
        _lengthBytes = lengthBytes;
    }

    public override void Dispose()
    {
        while (_undo.TryPop(out Action? takeBack)) takeBack();
        if (_isOurs) _handle.Dispose();
        _place?.Dispose();
    }

    private bool Link()
    {
        int result = Unistd.Link(_handle, _place!.Directory, _place.Name);
        if (result == -Errno.EEXIST) return false;
        if (result == -Errno.ENOENT)
        {
            // No /proc to do it by, or no directory any more.
            CanLink = Fcntl.Open("/proc/self/fd", Fcntl.PathOnly | Fcntl.Directory, out SafeFileHandle proc) == 0;
            proc.Dispose();
            return CanLink ? throw Failures.OfMissingDirectory(Path, "create") : false;
        }
        Throw(result, "create");
        _naming = Naming.Given;
        _undo.Push(TakeNameBack);
        return true;
    }

    /// <summary>
    /// Removes the name while it is still this file's, and it is known that nobody else has the file open: then it would be theirs
    /// as well. Where that cannot be known the name stays: a file too many is a smaller loss than what somebody stored in it.
    /// </summary>
    private void TakeNameBack()
    {
        if (Fcntl.HoldAlone(_handle) != 0) return;
        if (Get(_handle, out FileStatus status) == 0 && _place!.Holds(status.Identity)) _ = Unistd.Unlink(_place.Directory, _place.Name);
        Fcntl.Release(_handle);
    }

    /// <summary>
    /// Gives the file its old length back, where it is known that nobody else has it open, and may count on the new one.
    /// </summary>
    private void CutBack(long originalLengthBytes, long askedLengthBytes)
    {
        if (Fcntl.HoldAlone(_handle) != 0) return;
        bool isOurs = Get(_handle, out FileStatus status) == 0
            && status.LengthBytes >= originalLengthBytes && status.LengthBytes <= askedLengthBytes;
        // Where the length is the old one, this frees what was reserved behind it.
        if (isOurs) _ = Unistd.Truncate(_handle, originalLengthBytes);
        Fcntl.Release(_handle);
    }

    private bool HasNoName() => Get(_handle, out FileStatus status) == 0 && status.Names == 0;

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

    /// <summary>What is to be done about the file's name.</summary>
    private enum Naming { None, Given, ToBeGiven }
}
