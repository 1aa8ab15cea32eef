using System.Runtime.InteropServices;

namespace Pmem.Linux;

/// <summary>fcntl.h and the unistd.h calls on a descriptor. Every call returns 0 or a descriptor, or minus the error number.</summary>
/// <remarks>Flag values: Linux uapi, asm-generic/fcntl.h (x86-64; Arm64 differs in O_DIRECTORY and O_NOFOLLOW).</remarks>
internal static partial class Fcntl
{
    public const int ReadOnly = 0;
    public const int WriteOnly = 1;
    public const int ReadWrite = 2;
    public const int Create = 0x40;
    public const int Exclusive = 0x80;
    public const int NonBlocking = 0x800;
    public const int CloseOnExec = 0x80000;
    private const int TemporaryFlag = 0x400000;

    /// <summary>O_DIRECTORY.</summary>
    public static int Directory { get; } = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x4000 : 0x10000;

    /// <summary>O_TMPFILE, which includes O_DIRECTORY.</summary>
    public static int Temporary { get; } = TemporaryFlag | Directory;

    public static int Open(string path, int flags, UnixFileMode mode = UnixFileMode.None)
    {
        while (true)
        {
            int fd = open(path, flags | CloseOnExec, (uint)mode);
            if (fd >= 0) return fd;
            int error = Marshal.GetLastPInvokeError();
            if (error != Errno.EINTR) return -error;
        }
    }

    /// <summary>posix_fallocate returns its error and leaves errno alone: posix_fallocate(3).</summary>
    public static int Allocate(int fd, long lengthBytes)
    {
        int error;
        do error = posix_fallocate(fd, 0, lengthBytes);
        while (error == Errno.EINTR);
        return -error;
    }

    public static int Truncate(int fd, long lengthBytes)
    {
        int result;
        do result = Result(ftruncate(fd, lengthBytes));
        while (result == -Errno.EINTR);
        return result;
    }

    public static int Sync(int fd)
    {
        int result;
        do result = Result(fsync(fd));
        while (result == -Errno.EINTR);
        return result;
    }

    public static int SyncFileSystem(int fd) => Result(syncfs(fd));

    /// <summary>Linux closes the descriptor whatever close returns, so there is nothing to retry: close(2), NOTES.</summary>
    public static void Close(int fd) => _ = close(fd);

    public static int Unlink(string path) => Result(unlink(path));

    /// <summary>Writes all of a few bytes.</summary>
    public static unsafe int Write(int fd, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
            return write(fd, start, (nuint)bytes.Length) == bytes.Length ? 0 : -Marshal.GetLastPInvokeError();
    }

    /// <summary>Gives an open file a name, unless there is something of that name (EEXIST): linkat(2), open(2) on O_TMPFILE.</summary>
    public static int Link(int fd, string path)
    {
        const int workingDirectory = -100;
        const int followSymbolicLink = 0x400;
        return Result(linkat(workingDirectory, $"/proc/self/fd/{fd}", workingDirectory, path, followSymbolicLink));
    }

    private static int Result(int result) => result == 0 ? 0 : -Marshal.GetLastPInvokeError();

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, uint mode);

    [LibraryImport("libc")]
    private static partial int posix_fallocate(int fd, long offset, long length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ftruncate(int fd, long length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(int fd);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int syncfs(int fd);

    [LibraryImport("libc")]
    private static partial int close(int fd);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int unlink(string path);

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial nint write(int fd, byte* bytes, nuint count);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int linkat(int oldDirectory, string oldPath, int newDirectory, string newPath, int flags);
}
