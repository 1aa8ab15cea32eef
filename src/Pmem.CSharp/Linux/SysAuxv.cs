using System.Runtime.InteropServices;

namespace Pmem.Linux;

/// <summary>
/// sys/auxv.h: what the kernel tells a process about the processor. AT_HWCAP is 16, AT_HWCAP2 is 26, AT_SECURE is 23: getauxval(3). Where
/// there is no such kernel: nothing.
/// </summary>
internal static partial class SysAuxv
{
    public static ulong HardwareCapabilities => Get(16);

    public static ulong HardwareCapabilities2 => Get(26);

    /// <summary>The process has privileges that whoever started it lacks, and so must not do what its environment says.</summary>
    public static bool IsElevated => Get(23) != 0;

    private static nuint Get(nuint type) => OperatingSystem.IsLinux() ? getauxval(type) : 0;

    [LibraryImport("libc")]
    private static partial nuint getauxval(nuint type);
}
