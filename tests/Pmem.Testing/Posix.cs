using System.Runtime.InteropServices;

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

    /// <summary>One write(2), to be seen in a trace of system calls.</summary>
    public static void Mark(string text)
    {
        byte[] bytes = System.Text.Encoding.ASCII.GetBytes(text);
        _ = write(2, bytes, (nuint)bytes.Length);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setgroups(nuint count, nint list);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setresuid(uint real, uint effective, uint saved);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setresgid(uint real, uint effective, uint saved);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mkfifo(string path, uint mode);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int munmap(nint address, nuint length);

    [LibraryImport("libc")]
    private static partial nint write(int fd, byte[] bytes, nuint count);
}
