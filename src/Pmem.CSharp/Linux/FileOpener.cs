using System.Diagnostics;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Linux;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  O_TMPFILE where the file system has none: EOPNOTSUPP; where the
//  kernel has none: EISDIR                                          open(2), ERRORS
//  O_CREAT | O_EXCL has one winner, also over FUSE and NFS 3        open(2), O_EXCL; seen on bindfs
//  O_NONBLOCK: a FIFO does not wait for a writer, and a leased file
//  says EAGAIN instead of waiting for its holder, who has 45 s       open(2); fcntl(2), Leases; proc(5), lease-break-time

/// <summary>Opening files, and making them; only the kernel decides what a path means.</summary>
internal static class FileOpener
{
    /// <summary>How often a name may come and go between looking for it and taking it.</summary>
    private const int Attempts = 100;

    private static readonly TimeSpan LeaseBreakTime = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan LeasePoll = TimeSpan.FromMilliseconds(5);

    public static LinuxFile Open(FileRequest request)
    {
        if (request.Handle is { } written && Fcntl.IsWriteOnly(written)) throw Failures.OfRefusal(Refusal.WriteOnly, request.Path);
        if (request.Handle is { } handle) return LinuxFile.OfCaller(request.Path, handle, request.IsMapped);
        if (request.New is not { } made) return Existing(request);
        return made.IsTemporary ? Temporary(request.Path, made) : Named(request.Path, made);
    }

    /// <summary>Whether a path leads to a device-DAX device. Opens nothing: a device can mind.</summary>
    public static bool IsDaxDevice(string path)
    {
        int error = Fcntl.Open(path, Fcntl.PathOnly, out SafeFileHandle handle);
        using (handle)
        {
            return error == 0 && SysStat.Get(handle, out SysStat.FileStatus status) == 0
                && status.Type == SysStat.FileType.Character && Sysfs.Machine.IsDaxDevice(status.Self);
        }
    }

    /// <summary>An existing file, to ask what it is before it is mapped.</summary>
    public static SafeFileHandle OpenToAsk(string path, bool isReadOnly)
    {
        int error = OpenPatiently(null, path, isReadOnly ? Fcntl.ReadOnly : Fcntl.ReadWrite, out SafeFileHandle handle);
        if (error == -Errno.ENOENT && Place.IsDirectoryMissing(path)) throw Failures.OfMissingDirectory(path, "open");
        return error == 0 ? handle : throw Failures.OfErrno(-error, path, "open");
    }

    private static LinuxFile Existing(FileRequest request) =>
        LinuxFile.Found(request.Path, OpenToAsk(request.Path, request.IsReadOnly), null);

    /// <summary>The file of this name, or a new one that gets it.</summary>
    private static LinuxFile Named(string path, NewFile made)
    {
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            ThrowIfNoDirectory(Place.Find(path, out Place? place), path, "create");
            try
            {
                LinuxFile? file = (made.IsExclusive ? null : Found(ref place, path)) ?? NewIn(place!, path, made);
                if (file is null) continue;
                place = null;
                return file;
            }
            finally { place?.Dispose(); }
        }
        throw Failures.OfTakenName(path);
    }

    /// <summary>The file that is there; null where none is, and then the place is where open(O_CREAT) would make it.</summary>
    private static LinuxFile? Found(ref Place? place, string path)
    {
        int error = OpenPatiently(place!.Directory, place.Name, Fcntl.ReadWrite, out SafeFileHandle handle);
        if (error is not (0 or -Errno.ENOENT)) throw Failures.OfErrno(-error, path, "open");
        int followed = place.Follow(out Place? end);
        place = end;
        // The links may say something else by now, or be of a kind that is no text (proc(5), fd): then there is no place.
        if (error == 0) return LinuxFile.Found(path, handle, place);
        ThrowIfNoDirectory(followed, path, "create");
        return null;
    }

    /// <summary>
    /// A file without a name, which gets it last; where there is no such thing, the name itself is taken, which has one winner.
    /// Null where somebody else made the file just now, and it may be shared.
    /// </summary>
    private static LinuxFile? NewIn(Place place, string path, NewFile made)
    {
        if (SysStat.GetAt(place.Directory, place.Name, out _) == 0) return Taken(path, made);
        int error = LinuxFile.CanLink
            ? Fcntl.OpenAt(place.Directory, ".", Fcntl.Temporary | Fcntl.ReadWrite, made.Mode, out SafeFileHandle handle)
            : Unsupported(out handle);
        if (error == 0) return LinuxFile.Unnamed(path, handle, place);
        if (error is not (-Errno.EOPNOTSUPP or -Errno.EISDIR)) throw OfCreate(error, path);
        const int winner = Fcntl.ReadWrite | Fcntl.Create | Fcntl.Exclusive;
        error = Fcntl.OpenAt(place.Directory, place.Name, winner | Fcntl.NoFollow, made.Mode, out handle);
        if (error == -Errno.EEXIST) return Taken(path, made);
        return error == 0 ? LinuxFile.Won(path, handle, place) : throw OfCreate(error, path);
    }

    private static LinuxFile? Taken(string path, NewFile made) => made.IsExclusive ? throw Failures.OfTakenName(path) : null;

    /// <summary>A file that never gets a name.</summary>
    private static LinuxFile Temporary(string path, NewFile made)
    {
        const string doing = "create a temporary file in";
        int error = Fcntl.OpenAt(null, path, Fcntl.Temporary | Fcntl.ReadWrite, made.Mode, out SafeFileHandle handle);
        if (error is -Errno.EOPNOTSUPP or -Errno.EISDIR)
        {
            string name = $".pmem-{System.Security.Cryptography.RandomNumberGenerator.GetHexString(16)}";
            error = Fcntl.OpenAt(null, path, Fcntl.ReadOnly | Fcntl.Directory, 0, out SafeFileHandle directory);
            using (directory)
            {
                const int winner = Fcntl.ReadWrite | Fcntl.Create | Fcntl.Exclusive;
                if (error == 0) error = Fcntl.OpenAt(directory, name, winner, made.Mode, out handle);
                if (error == 0) error = Unistd.Unlink(directory, name);
            }
        }
        ThrowIfNoDirectory(error, path, doing);
        return LinuxFile.Nameless(path, handle);
    }

    /// <summary>Opens without waiting for a FIFO, and waits for the holder of a lease.</summary>
    private static int OpenPatiently(SafeFileHandle? directory, string name, int flags, out SafeFileHandle file)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            int error = Fcntl.OpenAt(directory, name, flags | Fcntl.NonBlocking, 0, out file);
            if (error != -Errno.EAGAIN || Stopwatch.GetElapsedTime(start) > LeaseBreakTime) return error;
            Thread.Sleep(LeasePoll);
        }
    }

    private static int Unsupported(out SafeFileHandle handle)
    {
        handle = new SafeFileHandle();
        return -Errno.EOPNOTSUPP;
    }

    private static Exception OfCreate(int error, string path) =>
        error == -Errno.ENOENT ? Failures.OfMissingDirectory(path, "create") : Failures.OfErrno(-error, path, "create");

    private static void ThrowIfNoDirectory(int error, string path, string doing)
    {
        if (error == -Errno.ENOENT) throw Failures.OfMissingDirectory(path, doing);
        if (error != 0) throw Failures.OfErrno(-error, path, doing);
    }
}
