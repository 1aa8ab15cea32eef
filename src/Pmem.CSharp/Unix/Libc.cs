using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Pmem.Linux;

namespace Pmem.Unix;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  what follows the dots of a variadic function is passed on the
//  stack on Apple's Arm64, so of open, fcntl and ioctl only what
//  needs nothing there is called                                     Apple, Writing ARM64 code for Apple platforms
//  fsync leaves what was written in the drive's buffer; F_FULLFSYNC
//  has the drive empty it                                            Apple, fsync(2); fcntl(2), F_FULLFSYNC
//  msync(MS_ASYNC) of a page that is not mapped: ENOMEM; MS_ASYNC 1   msync(2)
//  flock: LOCK_SH 1, LOCK_EX 2, LOCK_NB 4, LOCK_UN 8                 flock(2); sys/file.h, of each system
//  a pipe takes 512 bytes at once at least; what a buffer's address
//  is not good for is EFAULT, and no signal                          POSIX, PIPE_BUF; read(2), write(2)

/// <summary>The calls that the systems share, by the numbers of one. Every call returns 0, or the error number as Linux has it.</summary>
internal sealed unsafe partial class Libc(UnixNumbers numbers)
{
    private const int StatBytes = 512, TypeMask = 0xF000, Fifo = 0x1000, Directory = 0x4000, Regular = 0x8000;
    private const int Shared = 1, Private = 2;
    private const int PipeBytes = 512;

    /// <summary>What a file is: its kind, which one, and its length in bytes.</summary>
    internal readonly record struct UnixStatus(FileKind Kind, FileIdentity Identity, long LengthBytes);

    public int Look(SafeFileHandle file, out UnixStatus status)
    {
        byte* stat = stackalloc byte[StatBytes];
        int error = Result(numbers.IsStatRenamed ? fstat64(file, stat) : fstat(file, stat));
        status = error == 0 ? Read(stat) : default;
        return error;
    }

    public int Look(string path, out UnixStatus status)
    {
        byte* bytes = stackalloc byte[StatBytes];
        int error = Result(numbers.IsStatRenamed ? stat64(path, bytes) : stat(path, bytes));
        status = error == 0 ? Read(bytes) : default;
        return error;
    }

    /// <summary>Opens what is there, and does not wait for whoever is at the other end of it.</summary>
    public int Open(string path, bool isReadOnly, out SafeFileHandle file)
    {
        int descriptor;
        do descriptor = open(path, (isReadOnly ? 0 : 2) | numbers.CloseOnExec | numbers.NonBlocking);
        while (descriptor < 0 && IsInterrupted);
        file = new SafeFileHandle(descriptor, ownsHandle: true);
        return descriptor < 0 ? LastError() : 0;
    }

    /// <summary>Another descriptor of the same open file.</summary>
    public int Duplicate(SafeFileHandle file, out SafeFileHandle own)
    {
        int descriptor = dup(file);
        own = new SafeFileHandle(descriptor, ownsHandle: true);
        return descriptor < 0 ? LastError() : Result(ioctl(own, numbers.SetCloseOnExec));
    }

    public static bool IsWriteOnly(SafeFileHandle file)
    {
        const int getFlags = 3, accessMode = 3, writeOnly = 1;
        int flags = fcntl(file, getFlags);
        return flags >= 0 && (flags & accessMode) == writeOnly;
    }

    /// <summary>Takes the file's lock where nobody else has it: EAGAIN.</summary>
    public int TryLock(SafeFileHandle file, bool isExclusive) => Result(flock(file, (isExclusive ? 2 : 1) | 4));

    public static void Unlock(SafeFileHandle file) => _ = flock(file, 8);

    public int Remove(string path) => Result(unlink(path));

    /// <summary>Has the drive keep a file, whatever becomes of its power.</summary>
    public int Sync(SafeFileHandle file)
    {
        if (numbers.FullSync is not { } fullSync) return Known(-Unistd.Sync(file));
        int result;
        do result = fcntl(file, fullSync);
        while (result < 0 && IsInterrupted);
        return result < 0 ? LastError() : 0;
    }

    /// <summary>Gives the entries of a directory to the drive, which a sync of any file there then has keep them.</summary>
    public int SyncDirectory(string path)
    {
        int error = Open(path, isReadOnly: true, out SafeFileHandle directory);
        using (directory) return error != 0 ? error : Known(-Unistd.Sync(directory));
    }

    public int SetLength(SafeFileHandle file, long lengthBytes) => Known(-Unistd.Truncate(file, lengthBytes));

    public int Transfer(SafeFileHandle file, long offset, Span<byte> bytes, bool isRead) =>
        Known(-(isRead ? Unistd.ReadAll(file, bytes, offset) : Unistd.WriteAt(file, bytes, offset)));

    /// <summary>Maps; 0 and the error number where it fails.</summary>
    public nint Map(SafeFileHandle file, in MapPlan plan, out int error)
    {
        nint wanted = plan.Hint == 0 ? 0 : (nint)Placement.At(plan.Hint, plan);
        nint address = SysMman.Map(
            wanted, (nuint)plan.Bytes.Length, (int)plan.Protection, plan.IsPrivate ? Private : Shared, file, plan.Bytes.Offset);
        error = address == 0 ? LastError() : 0;
        return address;
    }

    public nint MapAnonymous(long lengthBytes, PmemProtection protection, out int error)
    {
        nint address = mmap(0, (nuint)lengthBytes, (int)protection, Private | numbers.MapAnonymous, -1, 0);
        error = address == -1 ? LastError() : 0;
        return address == -1 ? 0 : address;
    }

    public int Unmap(nint address, long lengthBytes) => Result(SysMman.Unmap(address, (nuint)lengthBytes));

    public int SyncPages(nint start, nint lengthBytes)
    {
        int result;
        do result = msync(start, (nuint)lengthBytes, numbers.Synchronously);
        while (result != 0 && IsInterrupted);
        return Result(result);
    }

    public static bool IsMapped(nint address, long lengthBytes) => msync(address, (nuint)lengthBytes, 1) == 0;

    /// <summary>Copies through a pipe, so that memory that cannot be accessed is EFAULT.</summary>
    public int Copy(nint from, nint to, long lengthBytes)
    {
        int* ends = stackalloc int[2];
        int error = Result(pipe(ends));
        if (error != 0) return error;
        using var output = new SafeFileHandle(ends[0], ownsHandle: true);
        using var input = new SafeFileHandle(ends[1], ownsHandle: true);
        for (long at = 0; at < lengthBytes; at += PipeBytes)
        {
            nuint count = (nuint)Math.Min(PipeBytes, lengthBytes - at);
            // What is no more than PIPE_BUF is written, and so read, whole; neither waits, so none is interrupted.
            nint copied = write(input, from + (nint)at, count);
            if (copied == (nint)count) copied = read(output, to + (nint)at, count);
            if (copied != (nint)count) return copied < 0 ? LastError() : Errno.EFAULT;
        }
        return 0;
    }

    /// <summary>A number of this system as the seam carries it.</summary>
    public int Known(int number) => numbers.HasBsdErrors ? BsdErrno.ToLinux(number) : number;

    private static bool IsInterrupted => Marshal.GetLastPInvokeError() == Errno.EINTR;

    private int LastError() => Known(Marshal.GetLastPInvokeError());

    private int Result(int result) => result == 0 ? 0 : LastError();

    private UnixStatus Read(byte* stat)
    {
        // SAFETY: all of it lies in the bytes that a struct stat was read into.
        ulong device = numbers.IsDeviceShort ? *(uint*)stat : *(ulong*)stat;
        FileKind kind = (*(ushort*)(stat + numbers.ModeAt) & TypeMask) switch
        {
            Regular => FileKind.RegularFile,
            Directory => FileKind.Directory,
            Fifo => FileKind.Fifo,
            _ => FileKind.OtherFile,
        };
        return new UnixStatus(kind, new FileIdentity(device, *(ulong*)(stat + 8)), *(long*)(stat + numbers.LengthAt));
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int dup(SafeFileHandle file);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ioctl(SafeFileHandle file, nuint request);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(SafeFileHandle file, int command);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int flock(SafeFileHandle file, int operation);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int unlink(string path);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fstat(SafeFileHandle file, byte* status);

    [LibraryImport("libc", EntryPoint = "fstat$INODE64", SetLastError = true)]
    private static partial int fstat64(SafeFileHandle file, byte* status);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int stat(string path, byte* status);

    [LibraryImport("libc", EntryPoint = "stat$INODE64", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int stat64(string path, byte* status);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int msync(nint address, nuint length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int pipe(int* ends);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint read(SafeFileHandle file, nint to, nuint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(SafeFileHandle file, nint from, nuint count);
}
