using Microsoft.FSharp.Core;
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

    public nint LengthBytes => (nint)Info.LengthBytes;

    /// <summary>The bytes that are mapped: the length, up to a whole unit.</summary>
    public nint MappedBytes => (nint)new ByteRange(0, LengthBytes).AlignOut(UnitBytes).Length;

    public MappingKind Kind => Info.Facts.Kind;

    public bool IsPmem => Info.IsPmem;

    /// <summary>0, or the error number. After 0 the address is no longer this file's.</summary>
    public int Unmap() => RangeTracker.Unmap(Address, MappedBytes);

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
