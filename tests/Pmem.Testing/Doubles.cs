using Microsoft.Win32.SafeHandles;
using Pmem.Linux;

namespace Pmem.Testing;

/// <summary>Mappings of real files on platforms that this machine is not.</summary>
internal static class Doubles
{
    /// <summary>Maps a new file as if on this platform and of this kind; what is executed on it is recorded.</summary>
    public static (PmemMapping Mapping, RecordingMachine Machine) Map(
        string path, long lengthBytes, Platform platform, MappingKind kind, string? sysfsRoot = null)
    {
        MappedFile real = FileMapper.Map(PmemCreateOptions.Default.ForPath(path, lengthBytes));
        var facts = new MappingFacts(path, real.Info.Facts.FileRange, kind, false, DomainOf(platform), platform);
        MappingInfo decided = MappingInfo.Decide(facts).ValueOrThrow(path);
        var machine = new RecordingMachine(platform) { BaseAddress = real.Address };
        Sysfs sysfs = sysfsRoot is null ? Sysfs.Machine : new Sysfs(sysfsRoot);
        MappedFile file = real with { Info = decided };
        return (new PmemMapping(file, machine.PersisterFor(file, sysfs)), machine);
    }

    /// <summary>The same over memory without a file, for what only concerns what is executed.</summary>
    public static (PmemMapping Mapping, RecordingMachine Machine) Anonymous(long lengthBytes, Platform platform, MappingKind kind)
    {
        // Aligned to the largest page that a platform of the tests has.
        const int alignment = 65536;
        nint reserved = TestMemory.Map(lengthBytes + alignment);
        nint address = (reserved + alignment - 1) / alignment * alignment;
        var facts = new MappingFacts("memory", new ByteRange(0, lengthBytes), kind, false, DomainOf(platform), platform);
        MappingInfo decided = MappingInfo.Decide(facts).ValueOrThrow("memory");
        var machine = new RecordingMachine(platform) { BaseAddress = address };
        var file = new MappedFile(address, decided, default);
        return (new PmemMapping(file, machine.PersisterFor(file, new Sysfs("/nowhere"))), machine);
    }

    /// <summary>The domain of the one region that a made-up platform has.</summary>
    internal static string DomainOf(Platform platform) =>
        platform.Facts.PersistenceDomains is [string only] ? only : "";

    /// <summary>What the region's deep_flush below a made-up sysfs says.</summary>
    public static DeepFlushState DeepFlushState(string sysfsRoot, uint major, uint minor, bool isBlockDevice) =>
        Sysfs.DeepFlushStateOf(new Sysfs(sysfsRoot).RegionOf(new DeviceNumber(major, minor), isBlockDevice));

    public static IReadOnlyList<string> PersistenceDomains(string sysfsRoot) => new Sysfs(sysfsRoot).PersistenceDomains();

    /// <summary>The device number that holds a file, as in 254:0.</summary>
    public static string DeviceOf(string path)
    {
        using SafeFileHandle file = File.OpenHandle(path);
        int result = SysStat.Get(file, out SysStat.FileStatus status);
        return result == 0 ? status.Holder.ToString() : throw new IOException($"statx: {result}");
    }
}
