namespace Pmem;

/// <summary>What is common to persistent memory of both granularities, where no system call makes a store durable.</summary>
internal abstract class DirectPersister<TLines>(MappedStorage storage, TLines lines) : Persister
    where TLines : struct, ILineInstructions
{
    protected readonly TLines Lines = lines;
    protected readonly nint Address = storage.Address;
    protected readonly long LineMask = storage.Platform.LineSizeBytes - 1;

    public override Copier Copier { get; } = CopyWidth.CopierFor(storage.Platform, lines);

    public override Exception? Drain()
    {
        Lines.Fence();
        return null;
    }

    public override Exception? DeepFlush(long offset, long length)
    {
        if (length == 0) return null;
        if (storage.Platform.DeepWriteBack.IsNoWriteBack) return DeepFlushPages(offset, length);
        Lines.DeepWriteBack((nint)Units.down(LineMask, Address + offset), (nint)Units.up(LineMask, Address + offset + length));
        return null;
    }

    public override Exception? DeepDrain(long offset, long length)
    {
        Lines.Fence();
        return storage.DeepDrain(offset, length);
    }

    public override Exception? DeepPersist(long offset, long length) => DeepFlush(offset, length) ?? DeepDrain(offset, length);

    public override Exception? Msync(long offset, long length) => storage.File.Kind.IsDeviceDax
        ? new PmemException($"msync does nothing on the DAX device '{storage.Path}'; use {nameof(PmemMapping.Persist)}.", storage.Path, 0)
        : SyncPages(offset, length, "msync");

    private PmemException? DeepFlushPages(long offset, long length) => storage.File.Kind.IsDeviceDax
        ? Failures.OfDeepFlush(Refusal.NewNoWayToPersist("no cache line can be written back, and msync does nothing there"), storage.Path)
        : SyncPages(offset, length, "deep-flush");

    private PmemException? SyncPages(long offset, long length, string doing) => storage.Sync(offset, length) is var error and not 0
        ? Failures.OfPersist(error, storage.Path, offset, length, doing)
        : null;
}

/// <summary>Byte granularity (eADR): the caches are flushed on power failure, and a fence is enough.</summary>
internal sealed class FencePersister<TLines>(MappedStorage storage, TLines lines)
    : DirectPersister<TLines>(storage, lines) where TLines : struct, ILineInstructions
{
    public override Exception? Flush(long offset, long length) => null;

    public override Exception? Persist(long offset, long length) => Drain();

    public override Exception? Execute(FlushPlan plan) => Drain();
}
