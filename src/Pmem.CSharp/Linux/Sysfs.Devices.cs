using System.Globalization;

namespace Pmem.Linux;

//  file                                                  what it says                     source
//  ----------------------------------------------------  -------------------------------  ---------------------------------
//  regionN/mappings, mapping0 …                          how many NVDIMMs; "nmem0,…"      Linux ABI testing/sysfs-bus-nvdimm
//  bus/nd/devices/nmemX/nfit/id                          its identifier                   Linux ABI testing/sysfs-bus-nfit
//  …/nmemX/nfit/dirty_shutdown                           its unsafe shutdown count        the same
//  regionN/numa_node, resource                           its node; its physical address   drivers/nvdimm/region_devs.c
//  regionN/badblocks, block device's badblocks           "sector count", of 512 bytes     Linux, block/badblocks.c, badblocks_show
//  a partition has start, in sectors, and no badblocks   its disk has them                Linux, block/partitions/core.c

/// <content>What the kernel says of the NVDIMMs behind a device: what libndctl reads for libpmem2.</content>
internal sealed partial class Sysfs
{
    private const long SectorBytes = 512;

    /// <summary>The identifiers of the NVDIMMs of a region, one behind the other; null where one is not known.</summary>
    public string? DeviceIdOf(string region)
    {
        string?[] ids = [.. Dimms(region).Select(dimm => ReadLine(Path.Combine(dimm, "nfit/id")))];
        return ids.Length == 0 || ids.Contains(null) ? null : string.Concat(ids);
    }

    /// <summary>The sum of the unsafe shutdown counts of its NVDIMMs; null where one is not known.</summary>
    public long? UnsafeShutdownsOf(string region)
    {
        long?[] counts = [.. Dimms(region).Select(dimm => ReadNumber(Path.Combine(dimm, "nfit/dirty_shutdown")))];
        return counts.Length == 0 || counts.Contains(null) ? null : counts.Sum();
    }

    /// <summary>The NUMA node that a region is near to; null where it does not say.</summary>
    public static int? NumaNodeOf(string region) =>
        int.TryParse(ReadLine(Path.Combine(region, "numa_node")), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int node)
            ? node
            : null;

    /// <summary>The bad ranges of a block device, in bytes from its start; null where it has no list.</summary>
    public IReadOnlyList<ByteRange>? BadRangesOfBlockDevice(DeviceNumber device)
    {
        if (Resolve(Path.Combine(root, "dev/block", device.ToString())) is not { } directory) return null;
        long start = ReadNumber(Path.Combine(directory.FullName, "start")) ?? 0;
        string? whole = ReadLine(Path.Combine(directory.FullName, "badblocks"));
        string? text = whole ?? (directory.Parent is { } disk ? ReadLine(Path.Combine(disk.FullName, "badblocks")) : null);
        if (text is null) return null;
        long before = whole is null ? start * SectorBytes : 0;
        return [.. Parsed(text).Where(range => range.End > before)
            .Select(range => new ByteRange(Math.Max(range.Offset, before) - before, range.End - Math.Max(range.Offset, before)))];
    }

    /// <summary>Where a DAX device begins in its region, in bytes; null where the kernel does not tell it to this process.</summary>
    public long? StartInRegion(DeviceNumber device, string region)
    {
        if (ReadHex(Path.Combine(region, "resource")) is not { } first) return null;
        for (DirectoryInfo? at = Resolve(CharacterDevice(device)); at is not null && at.FullName != region; at = at.Parent)
            if (ReadHex(Path.Combine(at.FullName, "resource")) is { } own) return own - first;
        return null;
    }

    /// <summary>The physical address of a region; null where the kernel does not tell it.</summary>
    public static long? AddressOf(string region) => ReadHex(Path.Combine(region, "resource"));

    /// <summary>The bad ranges of a region, in bytes from its start; null where it has no list.</summary>
    public static IReadOnlyList<ByteRange>? BadRangesOfRegion(string region) =>
        ReadLine(Path.Combine(region, "badblocks")) is { } text ? Parsed(text) : null;

    /// <summary>
    /// The bad ranges of a DAX device, in bytes from its start: none where there is no list, null where the kernel does not tell this
    /// process where in its region the device begins.
    /// </summary>
    public IReadOnlyList<ByteRange>? BadRangesOfDaxDevice(DeviceNumber device, long lengthBytes)
    {
        if (RegionOf(device, isBlockDevice: false) is not { } region || BadRangesOfRegion(region) is not { Count: > 0 } bad) return [];
        if (StartInRegion(device, region) is not { } start) return null;
        var own = new ByteRange(start, lengthBytes);
        return [.. bad.Select(own.Intersect).Where(range => !range.IsEmpty).Select(range => new ByteRange(range.Offset - start, range.Length))];
    }

    /// <summary>The number of the bus that a region is on, as in /dev/ndctl0; null where it is on none.</summary>
    public static string? BusOf(string region)
    {
        for (DirectoryInfo? at = new(region); at is not null; at = at.Parent)
            if (at.Name.StartsWith("ndbus", StringComparison.Ordinal)) return at.Name["ndbus".Length..];
        return null;
    }

    private IEnumerable<string> Dimms(string region)
    {
        long count = ReadNumber(Path.Combine(region, "mappings")) ?? 0;
        for (long i = 0; i < count; i++)
        {
            string name = (ReadLine(Path.Combine(region, $"mapping{i}")) ?? "").Split(',')[0];
            yield return Path.Combine(root, "bus/nd/devices", name.Length == 0 ? "none" : name);
        }
    }

    private static List<ByteRange> Parsed(string text)
    {
        List<ByteRange> ranges = [];
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            if (line.Split(' ') is [var sector, var count]
                && long.TryParse(sector, NumberStyles.None, CultureInfo.InvariantCulture, out long first)
                && long.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out long sectors))
                ranges.Add(new ByteRange(first * SectorBytes, sectors * SectorBytes));
        return ranges;
    }

    private static long? ReadHex(string path) =>
        ReadLine(path) is { } text && text.StartsWith("0x", StringComparison.Ordinal)
            && long.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out long value)
            ? value
            : null;
}
