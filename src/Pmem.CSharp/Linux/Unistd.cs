using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Linux;

/// <summary>unistd.h: calls on descriptors and on names below a directory. Every call returns 0, or minus the error number.</summary>
internal static unsafe partial class Unistd
{
    private const int WorkingDirectory = -100;
    private const int FollowSymbolicLink = 0x400; // AT_SYMLINK_FOLLOW
    private const int EmptyPath = 0x1000; // AT_EMPTY_PATH
    private const int LongestLink = 4096; // PATH_MAX, limits.h

    public static int Truncate(SafeFileHandle file, long lengthBytes)
    {
        int result;
        do result = Result(ftruncate(file, lengthBytes));
        while (result == -Errno.EINTR);
        return result;
    }

    public static int Sync(SafeFileHandle file)
    {
        int result;
        do result = Result(fsync(file));
        while (result == -Errno.EINTR);
        return result;
    }

    public static int SyncFileSystem(SafeFileHandle file) => Result(syncfs(file));

    /// <summary>Writes all of the bytes, at an offset of the file.</summary>
    public static int WriteAt(SafeFileHandle file, ReadOnlySpan<byte> bytes, long offset)
    {
        while (!bytes.IsEmpty)
        {
            nint written;
            // SAFETY: the bytes are pinned, and as many as are passed.
            fixed (byte* start = bytes) written = pwrite(file, start, (nuint)bytes.Length, offset);
            int error = Marshal.GetLastPInvokeError();
            if (written < 0 && error != Errno.EINTR) return -error;
            if (written <= 0) continue;
            bytes = bytes[(int)written..];
            offset += written;
        }
        return 0;
    }

    /// <summary>Reads all of the bytes, at an offset of the file; -EFAULT where it ends before.</summary>
    public static int ReadAll(SafeFileHandle file, Span<byte> bytes, long offset)
    {
        while (!bytes.IsEmpty)
        {
            nint count;
            // SAFETY: the bytes are pinned, and as many as are passed.
            fixed (byte* start = bytes) count = pread(file, start, (nuint)bytes.Length, offset);
            int error = count < 0 ? Marshal.GetLastPInvokeError() : Errno.EFAULT;
            if (count <= 0 && error != Errno.EINTR) return -error;
            if (count <= 0) continue;
            bytes = bytes[(int)count..];
            offset += count;
        }
        return 0;
    }

    /// <summary>
    /// Gives an open file a name, unless there is something of that name (EEXIST). By the descriptor itself where the kernel
    /// allows that to this process, else by /proc: linkat(2), AT_EMPTY_PATH; open(2) on O_TMPFILE. ENOENT: neither works here.
    /// </summary>
    public static int Link(SafeFileHandle file, SafeFileHandle directory, string name)
    {
        int result = Result(linkat(file, "", directory, name, EmptyPath));
        return result is 0 or -Errno.EEXIST
            ? result
            : Result(linkat(WorkingDirectory, $"/proc/self/fd/{file.DangerousGetHandle()}", directory, name, FollowSymbolicLink));
    }

    public static int Unlink(SafeFileHandle directory, string name) => Result(unlinkat(directory, name, 0));

    /// <summary>What a symbolic link says; null where the name is none.</summary>
    public static string? ReadLink(SafeFileHandle directory, string name)
    {
        byte* buffer = stackalloc byte[LongestLink];
        nint length = readlinkat(directory, name, buffer, LongestLink);
        return length <= 0 ? null : Encoding.UTF8.GetString(buffer, (int)length);
    }

    private static int Result(int result) => result == 0 ? 0 : -Marshal.GetLastPInvokeError();

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ftruncate(SafeFileHandle file, long length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fsync(SafeFileHandle file);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int syncfs(SafeFileHandle file);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint pread(SafeFileHandle file, byte* bytes, nuint count, long offset);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint pwrite(SafeFileHandle file, byte* bytes, nuint count, long offset);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int linkat(SafeFileHandle from, string fromPath, SafeFileHandle to, string toPath, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int linkat(int from, string fromPath, SafeFileHandle to, string toPath, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int unlinkat(SafeFileHandle directory, string name, int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint readlinkat(SafeFileHandle directory, string name, byte* buffer, nuint size);
}
