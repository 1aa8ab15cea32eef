using Pmem.Unix;

namespace Pmem.Testing;

/// <summary>Linux's numbers, and a command for the drive's buffer that Linux does not know.</summary>
internal static class LinuxAsMacOS
{
    public static UnixNumbers Numbers { get; } = UnixNumbers.Linux with { FullSync = UnixNumbers.MacOS.FullSync };
}
