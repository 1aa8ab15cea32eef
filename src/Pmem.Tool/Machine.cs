using System.Globalization;

namespace Pmem.Tool;

//  file                                                  what it says                     source
//  ----------------------------------------------------  -------------------------------  ---------------------------------
//  /sys/bus/nd/devices/regionN/{size,persistence_domain,
//  deep_flush}, namespaceN.M/{size,mode}                 NVDIMM regions, namespaces       Linux ABI testing/sysfs-bus-nvdimm
//  /sys/bus/dax/devices/daxN.M/{size,align}              device DAX                       Linux, drivers/dax/bus.c
//  /proc/self/mountinfo                                  mounts: point 5th, then - type,
//                                                        source, options                  proc(5)

/// <summary>A region of NVDIMMs.</summary>
internal sealed record Region(string Name, string PersistenceDomain, string DeepFlush, long SizeBytes);

/// <summary>A namespace of a region; its mode as the kernel has it: raw, safe (sectors), memory (fsdax) or dax (devdax).</summary>
internal sealed record PmemNamespace(string Name, string Mode, long SizeBytes);

/// <summary>A device-DAX device.</summary>
internal sealed record DaxDevice(string Path, long SizeBytes, long AlignmentBytes);

/// <summary>A mount of a file system.</summary>
internal sealed record Mount(string Point, string FileSystem, string Source, string Options)
{
    /// <summary>Files are mapped without the page cache: the option dax or dax=always.</summary>
    public bool IsDax => Options.Split(',').Any(option => option is "dax" or "dax=always");

    public bool IsOnPmem => Source.StartsWith("/dev/pmem", StringComparison.Ordinal);
}

/// <summary>What the kernel shows of persistent memory. The roots can be others, for tests.</summary>
internal sealed class Machine(string sys = "/sys", string mountInfo = "/proc/self/mountinfo")
{
    public IReadOnlyList<Region> Regions() =>
        [.. Devices("bus/nd/devices", "region").Select(path => new Region(
            Path.GetFileName(path), Read(path, "persistence_domain"), Read(path, "deep_flush"), Number(path, "size")))];

    public IReadOnlyList<PmemNamespace> Namespaces() =>
        [.. Devices("bus/nd/devices", "namespace")
            .Select(path => new PmemNamespace(Path.GetFileName(path), Read(path, "mode"), Number(path, "size")))
            .Where(found => found.SizeBytes > 0)];

    public IReadOnlyList<DaxDevice> DaxDevices() =>
        [.. Devices("bus/dax/devices", "dax")
            .Select(path => new DaxDevice($"/dev/{Path.GetFileName(path)}", Number(path, "size"), Number(path, "align")))];

    /// <summary>The mounts that are DAX or that lie on a pmem block device.</summary>
    public IReadOnlyList<Mount> PmemMounts() => [.. Mounts().Where(mount => mount.IsDax || mount.IsOnPmem)];

    /// <summary>The mount that holds a path: the longest point that it lies below; the last of several at one point.</summary>
    public Mount? MountOf(string path)
    {
        string full = Path.GetFullPath(path);
        return Mounts()
            .Where(mount => mount.Point == "/" || full == mount.Point || full.StartsWith(mount.Point + "/", StringComparison.Ordinal))
            .Aggregate((Mount?)null, (best, mount) => best is null || mount.Point.Length >= best.Point.Length ? mount : best);
    }

    private IEnumerable<Mount> Mounts()
    {
        if (!File.Exists(mountInfo)) yield break;
        foreach (string line in File.ReadLines(mountInfo))
        {
            string[] fields = line.Split(' ');
            int dash = Array.IndexOf(fields, "-");
            if (dash < 6 || fields.Length < dash + 4) continue;
            yield return new Mount(Plain(fields[4]), fields[dash + 1], Plain(fields[dash + 2]), $"{fields[5]},{fields[dash + 3]}");
        }
    }

    /// <summary>Spaces are written as \040: proc(5), /proc/pid/mounts.</summary>
    private static string Plain(string field) => field.Replace(@"\040", " ").Replace(@"\011", "\t").Replace(@"\134", @"\");

    private IEnumerable<string> Devices(string bus, string kind)
    {
        string directory = Path.Combine(sys, bus);
        return Directory.Exists(directory)
            ? Directory.EnumerateFileSystemEntries(directory)
                .Where(path => Path.GetFileName(path).StartsWith(kind, StringComparison.Ordinal))
                .Order(StringComparer.Ordinal)
            : [];
    }

    private static string Read(string device, string attribute)
    {
        try { return File.ReadAllText(Path.Combine(device, attribute)).Trim(); }
        catch (IOException) { return "unknown"; }
        catch (UnauthorizedAccessException) { return "unknown"; }
    }

    private static long Number(string device, string attribute) =>
        long.TryParse(Read(device, attribute), NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : 0;
}
