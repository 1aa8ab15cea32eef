using Microsoft.FSharp.Core;
using Microsoft.Win32.SafeHandles;
using Pmem.Linux;

namespace Pmem;

/// <summary>A file in memory: where it lies, what the core decided about it, and which device holds it.</summary>
internal sealed record MappedFile(nint Address, MappingInfo Info, DeviceNumber Device)
{
    public FileIdentity Identity { get; init; }

    /// <summary>
    /// What syncs its pages, where a mapping does: the kernel tells an error once to each open file, so what syncs them by their
    /// address must ask it.
    /// </summary>
    public PagePersister? PagePersister { get; set; }

    /// <summary>What the mapping is made of whole units of.</summary>
    public long UnitBytes { get; init; } = 1;

    /// <summary>Its place in reserved address space; null where it has none.</summary>
    public ReservedRange? Room { get; init; }

    /// <summary>The open file that is mapped, while more of it may be.</summary>
    public SafeFileHandle? Kept { get; init; }

    /// <summary>Somebody else mapped it, and unmaps it.</summary>
    public bool IsAdopted { get; init; }

    /// <summary>What keeps adopted memory mapped.</summary>
    public object? Owner { get; init; }

    /// <summary>What may be done with its pages.</summary>
    public PmemProtection Protection { get; init; } = PmemProtection.Read | PmemProtection.Write;

    /// <summary>The file to read by where memory may be broken; null where the kernel copies between addresses.</summary>
    public SafeFileHandle? SafeWay => Kind.IsFileDax ? Kept : null;

    /// <summary>What it grows by has no storage of its own until it is stored to.</summary>
    public bool IsSparse { get; init; }

    /// <summary>What it grows by is present before it is handed out.</summary>
    public bool IsPrefaulted { get; init; }

    public nint LengthBytes => (nint)Info.LengthBytes;

    /// <summary>The bytes that are mapped: the length, up to a whole unit.</summary>
    public nint MappedBytes => (nint)new ByteRange(0, LengthBytes).AlignOut(UnitBytes).Length;

    public MappingKind Kind => Info.Facts.Kind;

    public bool IsPmem => Info.IsPmem;

    /// <summary>0, or the error number. After 0 the address is no longer this file's.</summary>
    public int Unmap()
    {
        if (IsAdopted) return RangeTracker.Remove(Address, MappedBytes);
        int error = Room is null ? RangeTracker.Unmap(Address, MappedBytes) : Room.Leave(this);
        if (error == 0) Kept?.Dispose();
        return error;
    }

    /// <summary>
    /// Whether the kernel lists a bad block of a DAX device in these bytes of the mapping. A file needs no list: its driver keeps it.
    /// </summary>
    public bool IsKnownToBeBad(long offset, long lengthBytes)
    {
        if (!Kind.IsDeviceDax) return false;
        ByteRange bytes = Info.Facts.FileRange;
        var asked = new ByteRange(bytes.Offset + offset, lengthBytes);
        return Sysfs.Machine.BadRangesOfDaxDevice(Device, bytes.End)?.Any(asked.Overlaps) ?? false;
    }

    /// <summary>What a deep drain does after its fence: 0, or the error number.</summary>
    public int DeepDrain(nint start, nint end, IPageSync pages, Sysfs sysfs)
    {
        string? region = Kind.IsPageCache ? null : sysfs.RegionOf(Device, isBlockDevice: Kind.IsFileDax);
        FSharpResult<DeepFlush, Refusal> decision = DeepFlush.Decide(Kind, Sysfs.DeepFlushStateOf(region));
        if (decision.IsError) throw Failures.OfDeepFlush(decision.ErrorValue, Info.Path);
        DeepFlush action = decision.ResultValue;
        if (action.IsWriteRegion) return PmemMeter.Counted(Sysfs.WriteDeepFlush(region!));
        return action.IsSyncPages ? pages.SyncCounted(start, end) : 0;
    }
}
