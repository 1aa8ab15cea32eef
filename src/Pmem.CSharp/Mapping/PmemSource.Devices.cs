using Microsoft.Win32.SafeHandles;
using Pmem.Linux;

namespace Pmem;

/// <content>The NVDIMMs behind a source, and their bad blocks.</content>
public sealed partial class PmemSource
{
    /// <summary>
    /// The identifiers of all NVDIMMs that hold it, one behind the other: kept with the data, it says later whether they are still the same
    /// ones (libpmem2_unsafe_shutdown(7)). As pmem2_source_device_id(3).
    /// </summary>
    /// <exception cref="PmemException">It lies on no NVDIMM, or the kernel does not say.</exception>
    public string DeviceId => _sysfs.DeviceIdOf(Region()) ?? throw NotKnown("the kernel has no identifiers of its NVDIMMs (nfit/id in sysfs)");

    /// <summary>
    /// How often NVDIMMs that hold it lost power before they could flush: more than before means that data may be lost. As
    /// pmem2_source_device_usc(3).
    /// </summary>
    /// <exception cref="PmemException">It lies on no NVDIMM, or the kernel does not say.</exception>
    public long UnsafeShutdownCount =>
        _sysfs.UnsafeShutdownsOf(Region()) ?? throw NotKnown("the kernel has no unsafe shutdown counts of its NVDIMMs (nfit/dirty_shutdown in sysfs)");

    /// <summary>The NUMA node whose processors are near to it; -1 where the machine has none. As pmem2_source_numa_node(3).</summary>
    /// <exception cref="PmemException">It lies on no NVDIMM, or the kernel does not say.</exception>
    public int NumaNode => Sysfs.NumaNodeOf(Region()) ?? throw NotKnown("its region has no numa_node in sysfs");

    /// <summary>
    /// Its bad blocks, in bytes, sorted: of a file as whole pages, of a device as whole sectors of 512 bytes. An access there ends the
    /// process (SIGBUS). None where the device has no list of them. As pmem2_badblock_next(3).
    /// </summary>
    /// <exception cref="PmemException">It is memory without a file, or the file system does not say where the file lies.</exception>
    public IReadOnlyList<ByteRange> FindBadBlocks()
    {
        if (IsAnonymous) throw NotKnown("memory without a file has no blocks");
        (DeviceNumber device, bool isDax) = Asked(file => (file.Device, file.Kind.IsDaxDevice));
        if (isDax) return OfDevice(device);
        IReadOnlyList<ByteRange>? bad = _sysfs.BadRangesOfBlockDevice(device);
        return bad is null or [] ? [] : OfFile(bad);
    }

    /// <summary>
    /// Replaces bad blocks by healthy ones, which read as zero: what was there is lost. Of a file by deallocating and allocating the pages
    /// (fallocate(2)), of a device by the NVDIMM's own command. As pmem2_badblock_clear(3).
    /// </summary>
    /// <param name="range">What <see cref="FindBadBlocks"/> said, or a part of it.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie in the file, or a page of it is not bad (and would be lost).</exception>
    /// <exception cref="PmemException">The kernel refuses; the message says why.</exception>
    public void ClearBadBlocks(ByteRange range)
    {
        if (IsAnonymous) throw NotKnown("memory without a file has no blocks");
        if (!range.IsWithin(Length)) throw new ArgumentOutOfRangeException(nameof(range), $"{range} does not lie in '{Path}', which has {Length} bytes.");
        if (range.IsEmpty) return;
        (DeviceNumber device, bool isDax) = Asked(file => (file.Device, file.Kind.IsDaxDevice));
        ByteRange cleared = isDax ? range : range.AlignOut(Environment.SystemPageSize);
        if (!FindBadBlocks().Any(bad => bad.Contains(cleared)))
            throw new ArgumentOutOfRangeException(nameof(range), $"Not all of {cleared} of '{Path}' is bad, and what is healthy would be lost.");
        int error = isDax ? ClearOnDevice(device, range) : Fcntl.Renew(_handle!, cleared);
        if (error != 0) throw Failures.OfErrno(-error, Path, $"clear the bad blocks {range} of");
    }

    /// <summary>The region that holds it.</summary>
    private string Region()
    {
        if (IsAnonymous) throw NotKnown("memory without a file lies on no NVDIMM");
        (DeviceNumber device, bool isDax) = Asked(file => (file.Device, file.Kind.IsDaxDevice));
        return _sysfs.RegionOf(device, isBlockDevice: !isDax) ?? throw NotKnown("it lies on no NVDIMM region");
    }

    private IReadOnlyList<ByteRange> OfDevice(DeviceNumber device) => _sysfs.BadRangesOfDaxDevice(device, Length)
        ?? throw NotKnown("the kernel does not say where the device begins in its region (resource in sysfs)");

    /// <summary>The parts of the file that lie on bad blocks of its device.</summary>
    private List<ByteRange> OfFile(IReadOnlyList<ByteRange> bad)
    {
        List<SysIoctl.Extent> extents = [];
        int error = SysIoctl.Extents(_handle!, extents);
        if (error != 0) throw Failures.OfErrno(error, Path, "find out where on its device lies");
        var found = new NotedRanges();
        foreach (SysIoctl.Extent extent in extents)
            foreach (ByteRange range in bad)
            {
                ByteRange hit = new ByteRange(extent.OnDevice, extent.InFile.Length).Intersect(range);
                if (!hit.IsEmpty) found.Add(new ByteRange(extent.InFile.Offset + hit.Offset - extent.OnDevice, hit.Length).AlignOut(Environment.SystemPageSize));
            }
        return [.. found.Coalesced()];
    }

    private int ClearOnDevice(DeviceNumber device, ByteRange range)
    {
        string region = Region();
        if (_sysfs.StartInRegion(device, region) is not { } start || Sysfs.AddressOf(region) is not { } address || Sysfs.BusOf(region) is not { } bus)
            throw NotKnown("the kernel does not say on which bus the device is, and where (resource in sysfs)");
        int error = Fcntl.Open($"/dev/ndctl{bus}", Fcntl.ReadWrite, out SafeFileHandle command);
        using (command) return error != 0 ? error : -SysIoctl.ClearErrors(command, (ulong)(address + start + range.Offset), (ulong)range.Length);
    }
}
