using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Pmem.Linux;

namespace Pmem.Unix;

/// <summary>
/// A descriptor while its file is being mapped. What was done is a stack of what takes it back. Who makes or lengthens a file has its lock
/// (flock) until that is done or taken back; who opens it waits for that, and looks whether it still has its name.
/// </summary>
internal sealed class UnixFile : StoredFile
{
    /// <summary>How often a name may come and go between looking for it and taking it.</summary>
    private const int Attempts = 100;

    private const int ChunkBytes = 1 << 20;
    private static readonly TimeSpan LockTime = TimeSpan.FromSeconds(30);

    private readonly Libc _system;
    private readonly SafeFileHandle _handle;
    private readonly string _name;
    private readonly FileOwner _owner;
    private readonly Stack<Action> _undo = [];
    private bool _isLocked;
    private Libc.UnixStatus _status;

    private UnixFile(string path, string name, SafeFileHandle handle, Libc system, FileOwner owner)
    {
        (Path, _name, _handle, _system, _owner) = (path, name, handle, system, owner);
        try
        {
            if (owner != FileOwner.Caller) Lock(isExclusive: owner == FileOwner.Maker, "open");
            Throw(system.Look(handle, out _status), "look at");
            if (!Kind.IsRegularFile) throw Failures.OfRefusal(Refusal.NewNotMappable(Kind), path);
            // Where somebody found the new file before it was locked, and lengthened it, it is theirs too.
            if (owner == FileOwner.Maker && LengthBytes == 0 && _isLocked) _undo.Push(TakeNameBack);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Whose the descriptor is, and the name.</summary>
    private enum FileOwner { Caller, Finder, Maker, Nobody }

    public SafeFileHandle Handle => _handle;

    public override string Path { get; }

    public override FileKind Kind => _status.Kind;

    public override FileIdentity Identity => _status.Identity;

    public override DeviceNumber Device => default;

    public override long UnitBytes => Environment.SystemPageSize;

    public override long LengthBytes => _status.LengthBytes;

    public static UnixFile Open(FileRequest request, Libc system)
    {
        if (request.Handle is { } handle)
        {
            return Libc.IsWriteOnly(handle)
                ? throw Failures.OfRefusal(Refusal.WriteOnly, request.Path)
                : new UnixFile(request.Path, "", handle, system, FileOwner.Caller);
        }
        if (request.New is { } made) return made.IsTemporary ? Temporary(request.Path, made, system) : Named(request.Path, made, system);
        UnixFile? found = Found(request.Path, request.IsReadOnly, system) ?? Found(request.Path, request.IsReadOnly, system);
        found?.Unlock();
        return found ?? throw Failures.OfErrno(Errno.ENOENT, request.Path, "open");
    }

    public override void Grow(long lengthBytes, bool isSparse)
    {
        string doing = $"allocate {lengthBytes} bytes for";
        if (lengthBytes <= LengthBytes) return;
        if ((ulong)lengthBytes > SysResource.FileSizeLimitBytes) throw Failures.OfFileSizeLimit(Path, doing);
        if (_owner == FileOwner.Finder) Lock(isExclusive: true, doing);
        Throw(_system.Look(_handle, out _status), doing);
        long original = LengthBytes;
        if (lengthBytes <= original) return;
        if (_owner == FileOwner.Finder && _isLocked) _undo.Push(() => CutBack(original, lengthBytes));
        Throw(isSparse ? _system.SetLength(_handle, lengthBytes) : WriteZeros(original, lengthBytes), doing);
        _status = _status with { LengthBytes = lengthBytes };
    }

    /// <summary>There is no way to ask for storage behind a hole.</summary>
    public override void Reserve(ByteRange bytes) => Throw(Errno.EOPNOTSUPP, $"reserve {bytes.Length} bytes of");

    public override void Sync() => Throw(_system.Sync(_handle), "make durable the length of");

    public override void SyncApart() => Sync();

    /// <summary>False where the maker of the file failed and took its name back, or somebody removed it.</summary>
    public override bool Keep()
    {
        if (_owner is FileOwner.Finder or FileOwner.Maker)
        {
            if (!HasName()) return false;
            string directory = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(_name)) ?? "/";
            Throw(_system.SyncDirectory(directory), "make durable the name of");
            Sync();
        }
        _undo.Clear();
        Unlock();
        return true;
    }

    protected override void SetLength(long lengthBytes)
    {
        Throw(_system.SetLength(_handle, lengthBytes), $"cut to {lengthBytes} bytes");
        _status = _status with { LengthBytes = lengthBytes };
    }

    public override void Dispose()
    {
        while (_undo.TryPop(out Action? takeBack)) takeBack();
        Unlock();
        if (_owner != FileOwner.Caller) _handle.Dispose();
    }

    /// <summary>Null where there is none, or its maker failed and took the name back.</summary>
    private static UnixFile? Found(string path, bool isReadOnly, Libc system)
    {
        int error = system.Open(path, isReadOnly, out SafeFileHandle handle);
        if (error == Errno.ENOENT) return null;
        if (error != 0) throw Failures.OfErrno(error, path, "open");
        var file = new UnixFile(path, path, handle, system, FileOwner.Finder);
        if (file.HasName()) return file;
        file.Dispose();
        return null;
    }

    /// <summary>The file of this name, or a new one that has it from the start.</summary>
    private static UnixFile Named(string path, NewFile made, Libc system)
    {
        string name = path;
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            if (!made.IsExclusive && Found(path, isReadOnly: false, system) is { } found) return found;
            int error = Make(name, made.Mode, system, out SafeFileHandle handle);
            if (error == 0) return new UnixFile(path, name, handle, system, FileOwner.Maker);
            if (error == Errno.ENOENT) throw Failures.OfMissingDirectory(path, "create");
            if (error != Errno.EEXIST) throw Failures.OfErrno(error, path, "create");
            if (made.IsExclusive) break;
            // A link that leads nowhere yet.
            name = File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path;
        }
        throw Failures.OfTakenName(path);
    }

    /// <summary>A file that loses its name at once.</summary>
    private static UnixFile Temporary(string directory, NewFile made, Libc system)
    {
        string name = System.IO.Path.Combine(directory, $".pmem-{Guid.NewGuid():N}");
        const string doing = "create a temporary file in";
        int error = Make(name, made.Mode, system, out SafeFileHandle handle);
        if (error == 0) error = system.Remove(name);
        if (error == 0) return new UnixFile(directory, "", handle, system, FileOwner.Nobody);
        handle.Dispose();
        throw Failures.OfErrno(error, directory, doing);
    }

    /// <summary>By .NET, because the mode is what follows the dots of open: 0, or the error number.</summary>
    private static int Make(string name, UnixFileMode mode, Libc system, out SafeFileHandle handle)
    {
        handle = new SafeFileHandle();
        const FileShare all = FileShare.ReadWrite | FileShare.Delete;
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite, Share = all, BufferSize = 0, UnixCreateMode = mode };
        try
        {
            using var stream = new FileStream(name, options);
            int error = system.Duplicate(stream.SafeFileHandle, out handle);
            if (error != 0) _ = system.Remove(name);
            return error;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e switch
            {
                FileNotFoundException or DirectoryNotFoundException => Errno.ENOENT,
                PathTooLongException => Errno.ENAMETOOLONG,
                UnauthorizedAccessException when e.InnerException is not IOException => Errno.EACCES,
                // What .NET has no exception of its own for has the system's number.
                _ => system.Known((e.InnerException as IOException ?? e).HResult),
            };
        }
    }

    private int WriteZeros(long start, long end)
    {
        byte[] zeros = new byte[Math.Min(ChunkBytes, end - start)];
        int error = 0;
        for (long at = start; at < end && error == 0; at += zeros.Length)
            error = _system.Transfer(_handle, at, zeros.AsSpan(0, (int)Math.Min(zeros.Length, end - at)), isRead: false);
        return error;
    }

    private bool HasName() => _system.Look(_name, out Libc.UnixStatus named) == 0 && named.Identity == Identity;

    private void TakeNameBack()
    {
        if (HasName()) _ = _system.Remove(_name);
    }

    private void CutBack(long originalLengthBytes, long askedLengthBytes)
    {
        bool isOurs = _system.Look(_handle, out Libc.UnixStatus now) == 0 && now.LengthBytes <= askedLengthBytes;
        if (isOurs && now.LengthBytes >= originalLengthBytes) _ = _system.SetLength(_handle, originalLengthBytes);
    }

    /// <summary>Waits for whoever has it, as .NET has for a file that it opened. A file system without locks has none to wait for, and then nothing is taken back.</summary>
    private void Lock(bool isExclusive, string doing)
    {
        // Two that have it together would wait for each other.
        if (isExclusive) Unlock();
        long start = Stopwatch.GetTimestamp();
        int error;
        while ((error = _system.TryLock(_handle, isExclusive)) == Errno.EAGAIN && Stopwatch.GetElapsedTime(start) < LockTime) Thread.Sleep(1);
        _isLocked = error == 0;
        if (error == Errno.EAGAIN) Throw(error, doing);
    }

    private void Unlock()
    {
        if (_isLocked) Libc.Unlock(_handle);
        _isLocked = false;
    }

    private void Throw(int error, string doing)
    {
        if (error != 0) throw Failures.OfErrno(error, Path, doing);
    }
}
