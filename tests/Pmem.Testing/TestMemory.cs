using Pmem.Linux;
using Pmem.Windows;

namespace Pmem.Testing;

/// <summary>Memory without a file, as the system gives it.</summary>
internal static partial class TestMemory
{
    /// <summary>Memory that reads as zero; without any right where so asked.</summary>
    public static nint Map(long lengthBytes, bool isAccessible = true)
    {
        PmemProtection protection = isAccessible ? PmemProtection.Read | PmemProtection.Write : PmemProtection.None;
        nint address = FileMapper.System.MapAnonymous(lengthBytes, protection, out int error);
        return address != 0 ? address : throw new IOException($"no memory: {Errno.Describe(error)}");
    }

    /// <summary>May be read and stored to from now on.</summary>
    public static void Open(nint address, long lengthBytes)
    {
        int error = OperatingSystem.IsWindows()
            ? VirtualMemory.Protect(address, lengthBytes, PmemProtection.Read | PmemProtection.Write)
            : SysMman.Protect(address, (nuint)lengthBytes, SysMman.ProtRead | SysMman.ProtWrite);
        if (error != 0) throw new IOException("its rights are as they were");
    }

    /// <summary>Gives back whole pages of it.</summary>
    public static void Unmap(nint address, long lengthBytes) => _ = FileMapper.System.Unmap(address, lengthBytes);

    /// <summary>The protection of a page, as Windows has it: PAGE_EXECUTE_READ is 0x20.</summary>
    public static unsafe uint RightsAt(nint address)
    {
        uint* region = stackalloc uint[12];
        return VirtualQuery(address, region, 48) == 0 ? 0 : region[9];
    }

    [System.Runtime.InteropServices.LibraryImport("kernel32")]
    private static unsafe partial nuint VirtualQuery(nint address, uint* region, nuint bytes);

    public static bool IsMapped(nint address, long lengthBytes) => FileMapper.System.IsMapped(address, lengthBytes);
}
