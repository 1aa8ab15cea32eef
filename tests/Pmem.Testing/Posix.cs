using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Testing;

/// <summary>What the tests need of the system, and the library does not.</summary>
public static partial class Posix
{
    /// <summary>Becomes an unprivileged user for good.</summary>
    public static void DropPrivileges()
    {
        const uint nobody = 65534;
        if (setgroups(0, 0) != 0 || setresgid(nobody, nobody, nobody) != 0 || setresuid(nobody, nobody, nobody) != 0)
            throw new InvalidOperationException($"cannot drop privileges: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    /// <summary>For this thread there is nothing in /proc from now on.</summary>
    public static void HideProc()
    {
        const int newNamespace = 0x20000;
        const nuint recursive = 0x4000, isPrivate = 0x40000;
        if (unshare(newNamespace) != 0 || mount("none", "/", "", recursive | isPrivate, 0) != 0 || mount("tmpfs", "/proc", "tmpfs", 0, 0) != 0)
            throw new InvalidOperationException($"cannot hide /proc: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    /// <summary>Makes a named pipe.</summary>
    public static void MakeFifo(string path)
    {
        if (mkfifo(path, 0x180) != 0) throw new IOException(Marshal.GetLastPInvokeErrorMessage());
    }

    /// <summary>Unmaps behind the library's back.</summary>
    public static void Unmap(nint address, nuint length)
    {
        if (munmap(address, length) != 0) throw new IOException(Marshal.GetLastPInvokeErrorMessage());
    }

    /// <summary>Tells the kernel that memory is broken: madvise(2), MADV_HWPOISON. Only for a machine that is thrown away.</summary>
    public static void Poison(nint address, nuint length)
    {
        const int poison = 100;
        if (madvise(address, length, poison) != 0) throw new IOException(Marshal.GetLastPInvokeErrorMessage());
    }

    /// <summary>Ctrl-C, as a terminal gives it to a process group.</summary>
    public static void Interrupt(int processGroup)
    {
        const int interrupt = 2;
        if (kill(-processGroup, interrupt) != 0) throw new IOException(Marshal.GetLastPInvokeErrorMessage());
    }

    /// <summary>One write(2), to be seen in a trace of system calls.</summary>
    public static void Mark(string text)
    {
        byte[] bytes = System.Text.Encoding.ASCII.GetBytes(text);
        _ = write(2, bytes, (nuint)bytes.Length);
    }

    /// <summary>How many pages of a mapping are in memory.</summary>
    public static unsafe int ResidentPages(nint address, nuint lengthBytes)
    {
        int page = Environment.SystemPageSize;
        byte[] pages = new byte[((int)lengthBytes + page - 1) / page];
        fixed (byte* first = pages)
            if (mincore(address, lengthBytes, first) != 0) throw new IOException(Marshal.GetLastPInvokeErrorMessage());
        return pages.Count(state => (state & 1) != 0);
    }

    /// <summary>The page faults of this thread that needed no disk: getrusage(2), ru_minflt.</summary>
    public static unsafe long PageFaults()
    {
        const int thisThread = 1;
        long* usage = stackalloc long[18];
        return getrusage(thisThread, usage) == 0 ? usage[8] : throw new IOException(Marshal.GetLastPInvokeErrorMessage());
    }

    /// <summary>Takes a write lease: whoever opens the file now waits. The signal that says so is ignored.</summary>
    public static void TakeLease(SafeFileHandle file)
    {
        if (fcntl(file, SetSignal, 23) != 0 || fcntl(file, SetLease, WriteLease) != 0)
            throw new IOException(Marshal.GetLastPInvokeErrorMessage());
    }

    /// <summary>Whether somebody waits for it: then F_GETLEASE says what it is to become (fcntl(2), "Leases").</summary>
    public static bool IsLeaseAskedFor(SafeFileHandle file) => fcntl(file, GetLease, 0) != WriteLease;

    /// <summary>Gives it up.</summary>
    public static void ReleaseLease(SafeFileHandle file)
    {
        if (fcntl(file, SetLease, 2) != 0) throw new IOException(Marshal.GetLastPInvokeErrorMessage());
    }

    /// <summary>No file of this process may become longer.</summary>
    public static unsafe void LimitFileSize(long bytes)
    {
        const int fileSize = 1;
        long* limit = stackalloc long[] { bytes, bytes };
        if (setrlimit(fileSize, limit) != 0) throw new IOException(Marshal.GetLastPInvokeErrorMessage());
    }

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int setrlimit(int resource, long* limit);

    private const int SetSignal = 10;
    private const int SetLease = 1024;
    private const int GetLease = 1025;
    private const int WriteLease = 1;

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(SafeFileHandle file, int command, int argument);

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int mincore(nint address, nuint length, byte* pages);

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial int getrusage(int who, long* usage);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int unshare(int flags);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mount(string source, string target, string type, nuint flags, nint data);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setgroups(nuint count, nint list);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setresuid(uint real, uint effective, uint saved);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setresgid(uint real, uint effective, uint saved);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mkfifo(string path, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int processOrGroup, int signal);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int munmap(nint address, nuint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int madvise(nint address, nuint length, int advice);

    [LibraryImport("libc")]
    private static partial nint write(int fd, byte[] bytes, nuint count);
}
