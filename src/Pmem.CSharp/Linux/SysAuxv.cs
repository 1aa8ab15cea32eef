using System.Runtime.InteropServices;

namespace Pmem.Linux;

/// <summary>sys/auxv.h: what the kernel tells a process about the processor. AT_HWCAP is 16, AT_HWCAP2 is 26, AT_SECURE is 23: getauxval(3).</summary>
internal static partial class SysAuxv
{
    public static ulong HardwareCapabilities => getauxval(16);

    public static ulong HardwareCapabilities2 => getauxval(26);

    /// <summary>The process has privileges that whoever started it lacks, and so must not do what its environment says.</summary>
    public static bool IsElevated => getauxval(23) != 0;

    [LibraryImport("libc")]
    private static partial nuint getauxval(nuint type);
}
