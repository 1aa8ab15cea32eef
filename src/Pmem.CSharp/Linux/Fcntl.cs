using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Linux;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  the values of the flags; O_DIRECTORY and O_NOFOLLOW differ        Linux uapi, asm-generic/fcntl.h;
//  between x86-64 and Arm64                                         arch/arm64/include/uapi/asm/fcntl.h
//  fallocate(2) never changes a byte that is there and never
//  shortens; posix_fallocate(3) is emulated by writes where the
//  file system lacks it, over what others store meanwhile           fallocate(2); posix_fallocate(3), NOTES
//  a write lease is granted only where nobody else has the file
//  open or mapped, and then holds off who opens it                  fcntl(2), Leases; Linux, fs/locks.c
//  a lease is the owner's, or needs CAP_LEASE (EACCES); NFS, CIFS
//  and 9p have none, or of a whole file only with a delegation      the same; simple_nosetlease; fs/nfs/nfs4file.c
//  a lock of an open file description goes with it, also by a kill   fcntl(2), Open file description locks

/// <summary>fcntl.h. Every call returns 0, or minus the error number.</summary>
internal static partial class Fcntl
{
    public const int ReadOnly = 0;
    public const int WriteOnly = 1;
    public const int ReadWrite = 2;
    public const int Create = 0x40;
    public const int Exclusive = 0x80;
    public const int NoTerminal = 0x100;
    public const int NonBlocking = 0x800;
    public const int PathOnly = 0x200000;

    private const int CloseOnExec = 0x80000;
    private const int TemporaryFlag = 0x400000;
    private const int WorkingDirectory = -100;

    private const int GetFlags = 3;
    private const int SetSignal = 10;
    private const int SetLease = 1024;
    private const int SetLock = 37;
    private const int LeaseToWrite = 1;
    private const int SignalThatIsIgnored = 23; // SIGURG: signal(7)

    /// <summary>Where the lock for growing lies: one byte, where no file has bytes that anybody locks for their own sake.</summary>
    private const long GrowthLock = long.MaxValue - 1;

    private static readonly bool IsArm64 = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    /// <summary>O_DIRECTORY.</summary>
    public static int Directory { get; } = IsArm64 ? 0x4000 : 0x10000;

    /// <summary>O_NOFOLLOW.</summary>
    public static int NoFollow { get; } = IsArm64 ? 0x8000 : 0x20000;

    /// <summary>O_TMPFILE, which includes O_DIRECTORY.</summary>
    public static int Temporary { get; } = TemporaryFlag | Directory;

    /// <summary>Whether the open file may be mapped to read, or to read and write: O_ACCMODE of F_GETFL.</summary>
    public static bool MayBeMapped(SafeFileHandle file, bool isReadOnly)
    {
        int flags = fcntl(file, GetFlags, 0);
        int access = flags & (WriteOnly | ReadWrite);
        return flags >= 0 && (access == ReadWrite || (isReadOnly && access == ReadOnly));
    }

    /// <summary>open(2), closed on exec.</summary>
    public static int Open(string path, int flags, out SafeFileHandle file) => OpenAt(null, path, flags, 0, out file);

    /// <summary>openat(2) below a directory, or below the working directory where that is null; closed on exec.</summary>
    public static int OpenAt(SafeFileHandle? directory, string path, int flags, UnixFileMode mode, out SafeFileHandle file)
    {
        while (true)
        {
            file = directory is null
                ? openat(WorkingDirectory, path, flags | CloseOnExec | NoTerminal, (uint)mode)
                : openat(directory, path, flags | CloseOnExec | NoTerminal, (uint)mode);
            if (!file.IsInvalid) return 0;
            int error = Marshal.GetLastPInvokeError();
            file.Dispose();
            if (error != Errno.EINTR) return -error;
        }
    }

    /// <summary>
    /// Reserves storage for a range of the file and makes it at least that long, unless its length is to be kept; changes no
    /// byte that is there.
    /// </summary>
    public static int Allocate(SafeFileHandle file, long offset, long lengthBytes, bool isLengthKept = false)
    {
        const int keepSize = 1; // FALLOC_FL_KEEP_SIZE, linux/falloc.h
        int result;
        do result = Result(fallocate(file, isLengthKept ? keepSize : 0, offset, lengthBytes));
        while (result == -Errno.EINTR);
        return result;
    }

    /// <summary>
    /// Holds a file of which nobody else has a descriptor or a mapping, in any process of this machine: -EAGAIN where somebody
    /// has, another error where nobody can know (no leases, or somebody else's file). Who opens it now waits until this descriptor
    /// is closed.
    /// </summary>
    public static int HoldAlone(SafeFileHandle file)
    {
        // The holder is told of who waits by a signal, SIGIO by default, which ends a process.
        int result = Result(fcntl(file, SetSignal, SignalThatIsIgnored));
        return result == 0 ? Result(fcntl(file, SetLease, LeaseToWrite)) : result;
    }

    /// <summary>Lets others open the file again.</summary>
    public static void Release(SafeFileHandle file)
    {
        const int unlock = 2;
        _ = fcntl(file, SetLease, unlock);
        _ = fcntl(file, SetSignal, 0);
    }

    /// <summary>Locks out others who make the file longer as this library does; -EAGAIN where one is at it.</summary>
    public static int LockGrowth(SafeFileHandle file) => SetGrowthLock(file, isLocked: true);

    public static int UnlockGrowth(SafeFileHandle file) => SetGrowthLock(file, isLocked: false);

    private static unsafe int SetGrowthLock(SafeFileHandle file, bool isLocked)
    {
        const short write = 1, unlock = 2;
        var range = new FileLock { Type = isLocked ? write : unlock, Start = GrowthLock, Length = 1 };
        return Result(fcntl(file, SetLock, &range));
    }

    private static int Result(int result) => result == 0 ? 0 : -Marshal.GetLastPInvokeError();

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle openat(int directory, string path, int flags, uint mode);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle openat(SafeFileHandle directory, string path, int flags, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fallocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(SafeFileHandle file, int command, int argument);

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int fcntl(SafeFileHandle file, int command, FileLock* argument);

    /// <summary>struct flock: l_type, l_whence (0: from the start), l_start, l_len, l_pid.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct FileLock
    {
        public short Type;
        public short Whence;
        public long Start;
        public long Length;
        public int Process;
    }
}
