namespace Pmem.Tool;

//  what is said                                                        source
//  ------------------------------------------------------------------  ------------------------------------------------------
//  fsdax namespaces carry file systems, raw and sector ones no DAX     ndctl-create-namespace(1), --mode
//  ext4 and XFS need blocks of the page's size; XFS no reflink          Linux, Documentation/filesystems/dax.rst; mkfs.xfs(8)
//  mount -o dax, or dax=always                                         the same

/// <summary>What would make a mapping finer, in the words of ndctl, mkfs and mount.</summary>
internal static class Advice
{
    public static IReadOnlyList<string> For(MappingInfo mapping, Mount? mount, Machine machine)
    {
        if (mapping.Granularity == StoreGranularity.Byte) return ["Nothing can be finer."];
        if (mapping.Granularity == StoreGranularity.CacheLine)
            return ["Nothing here can be finer: only a platform that flushes its caches on power failure (eADR) needs no write-back."];
        if (mapping.Facts.Kind != MappingKind.PageCache)
            return [$"It is persistent memory, but the processor cannot write its lines back from this process: {mapping.Why}."];
        if (mount is { IsOnPmem: true }) return OnPmem(mount, machine);
        return Elsewhere(machine);
    }

    /// <summary>A block device has bytes, but is not mapped.</summary>
    public static IReadOnlyList<string> ForBlockDevice(string path) =>
    [
        "It is a block device: give a file on a file system that it holds.",
        $"On a namespace in fsdax mode: mkfs.ext4 -b 4096 {path}, then mount -o dax {path} DIRECTORY.",
    ];

    private static List<string> OnPmem(Mount mount, Machine machine)
    {
        List<string> advice = [];
        if (mount.FileSystem is not ("ext4" or "xfs" or "ext2"))
            advice.Add($"{mount.FileSystem} has no DAX: mkfs.ext4 -b 4096 {mount.Source}, or mkfs.xfs -m reflink=0 {mount.Source}; both erase it.");
        if (!mount.IsDax) advice.Add($"It is not mounted with DAX: umount {mount.Point}; mount -o dax {mount.Source} {mount.Point}");
        foreach (PmemNamespace raw in machine.Namespaces().Where(found => found.Mode is "raw" or "safe"))
            advice.Add($"{raw.Name} is in mode {raw.Mode}, which has no DAX: ndctl create-namespace -f -e {raw.Name} --mode=fsdax; this erases it.");
        if (advice.Count == 0) advice.Add("It is mounted with DAX, and the kernel still refused MAP_SYNC: see dmesg, and xfs_io -c 'lsattr' for files without DAX.");
        return advice;
    }

    private static List<string> Elsewhere(Machine machine)
    {
        Mount[] dax = [.. machine.PmemMounts().Where(mount => mount.IsDax)];
        if (dax.Length > 0) return [$"It lies on another device. Put it on one of: {string.Join(", ", dax.Select(mount => mount.Point))}."];
        DaxDevice[] devices = [.. machine.DaxDevices()];
        if (devices.Length > 0) return [$"It lies on another device. Map one of: {string.Join(", ", devices.Select(device => device.Path))}."];
        if (machine.Regions().Count > 0)
            return
            [
                "This machine has persistent memory, and no file system with DAX on it:",
                "ndctl create-namespace --mode=fsdax; mkfs.ext4 -b 4096 /dev/pmem0; mount -o dax /dev/pmem0 DIRECTORY",
            ];
        return
        [
            "The kernel shows no persistent memory on this machine (no region in /sys/bus/nd): msync is what makes stores durable here.",
            "For tests only, PMEM_IS_PMEM_FORCE=1 takes any file for persistent memory.",
        ];
    }
}
