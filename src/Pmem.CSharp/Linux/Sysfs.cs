using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Linux;

//  file                                                  what it says                     source
//  ----------------------------------------------------  -------------------------------  ---------------------------------
//  bus/nd/devices/regionN/persistence_domain             cpu_cache, memory_controller     Linux ABI testing/sysfs-bus-nvdimm;
//                                                                                         drivers/nvdimm/region_devs.c
//  …/regionN/deep_flush                                  1: write 1 to flush; 0: no need  the same, deep_flush_store
//  dev/block|char/MAJOR:MINOR                            link to the device, which lies   Linux ABI testing/sysfs-dev
//                                                        below its region
//  dev/char/MAJOR:MINOR/size, align (or device/align)    a DAX device's bytes             Linux, drivers/dax/bus.c
//  dev/char/MAJOR:MINOR/subsystem                        ends in /dax for device DAX      pmem_map_file(3), device DAX

/// <summary>What the kernel says of NVDIMM regions and DAX devices. The root can be another directory, for tests.</summary>
internal sealed partial class Sysfs(string root)
{
    public static Sysfs Machine { get; } = new("/sys");

    /// <summary>The persistence domain of every region; an unreadable one counts as unknown, never as safe.</summary>
    public IReadOnlyList<string> PersistenceDomains()
    {
        string devices = Path.Combine(root, "bus/nd/devices");
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(devices)
                .Where(path => RegionName().IsMatch(Path.GetFileName(path)))
                .Select(path => ReadLine(Path.Combine(path, "persistence_domain")) ?? "unknown")];
        }
        catch (DirectoryNotFoundException) { return []; }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return ["unknown"]; }
    }

    /// <summary>The persistence domain of the region that holds a device; empty where there is none, or it does not say.</summary>
    public string PersistenceDomainOf(DeviceNumber device, bool isBlockDevice) =>
        RegionOf(device, isBlockDevice) is string region ? ReadLine(Path.Combine(region, "persistence_domain")) ?? "" : "";

    /// <summary>The directory of the region that holds a device; null where there is none.</summary>
    public string? RegionOf(DeviceNumber device, bool isBlockDevice)
    {
        string link = Path.Combine(root, "dev", isBlockDevice ? "block" : "char", device.ToString());
        for (DirectoryInfo? at = Resolve(link); at is not null; at = at.Parent)
            if (RegionName().IsMatch(at.Name)) return at.FullName;
        return null;
    }

    /// <summary>What a region's deep_flush says; read each time, because its permission can change.</summary>
    public static DeepFlushState DeepFlushStateOf(string? region)
    {
        if (region is null) return DeepFlushState.NoRegion;
        string path = Path.Combine(region, "deep_flush");
        if (ReadLine(path) == "0") return DeepFlushState.NotNeeded;
        using SafeFileHandle file = OpenToWrite(path, out int error);
        return error switch
        {
            0 => DeepFlushState.Writable,
            -Errno.ENOENT => DeepFlushState.NoFile,
            _ => DeepFlushState.Forbidden,
        };
    }

    /// <summary>Tells the region's devices to flush their buffers: 0, or the error number.</summary>
    public static int WriteDeepFlush(string region)
    {
        using SafeFileHandle file = OpenToWrite(Path.Combine(region, "deep_flush"), out int error);
        return error == 0 ? -Unistd.WriteAt(file, "1"u8, 0) : -error;
    }

    public bool IsDaxDevice(DeviceNumber device) =>
        Resolve(Path.Combine(CharacterDevice(device), "subsystem"))?.Name == "dax";

    /// <summary>The length of a DAX device, in bytes.</summary>
    public long DaxLengthBytes(DeviceNumber device) =>
        ReadNumber(Path.Combine(CharacterDevice(device), "size"))
        ?? throw new PmemException($"The kernel does not say how long the DAX device {device} is ({CharacterDevice(device)}/size).");

    /// <summary>What offset and length of a mapping of a DAX device must be multiples of, in bytes.</summary>
    public long DaxAlignmentBytes(DeviceNumber device) =>
        ReadNumber(Path.Combine(CharacterDevice(device), "align"))
        ?? ReadNumber(Path.Combine(CharacterDevice(device), "device/align"))
        ?? 2 << 20;

    private string CharacterDevice(DeviceNumber device) => Path.Combine(root, "dev/char", device.ToString());

    /// <summary>Null where there is no such directory; on another system there is none.</summary>
    private static DirectoryInfo? Resolve(string link)
    {
        if (!OperatingSystem.IsLinux()) return null;
        using SafeFileHandle device = OpenAsPath(link, out int error);
        if (error != 0) return null;
        // A device's link leads through links of the bus: resolve every part, as realpath(3) does.
        string resolved = "/";
        foreach (string part in Path.GetFullPath(link).Split('/', StringSplitOptions.RemoveEmptyEntries))
            resolved = new DirectoryInfo(Path.Combine(resolved, part)).ResolveLinkTarget(true)?.FullName
                ?? Path.Combine(resolved, part);
        return new DirectoryInfo(resolved);
    }

    private static SafeFileHandle OpenAsPath(string path, out int error)
    {
        error = Fcntl.Open(path, Fcntl.PathOnly | Fcntl.Directory, out SafeFileHandle file);
        return file;
    }

    private static SafeFileHandle OpenToWrite(string path, out int error)
    {
        error = Fcntl.Open(path, Fcntl.WriteOnly, out SafeFileHandle file);
        return file;
    }

    private static long? ReadNumber(string path) =>
        long.TryParse(ReadLine(path), NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : null;

    private static string? ReadLine(string path)
    {
        try { return File.ReadAllText(path).Trim(); }
        catch (IOException) { return null; }
        catch (UnauthorizedAccessException) { return null; }
    }

    [GeneratedRegex("^region[0-9]+$")]
    private static partial Regex RegionName();
}
