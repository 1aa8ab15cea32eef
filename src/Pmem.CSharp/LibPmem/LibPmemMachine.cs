namespace Pmem;

/// <summary>What libpmem's functions execute on: addresses, whatever lies there.</summary>
internal abstract unsafe class LibPmemMachine(Platform platform, IPageSync pages, Copier copier)
{
    private readonly bool _hasFlushedRegions = platform.CanElideFlush;
    private readonly bool _isFlushedAnywhere = platform.ElidesFlush("");
    private readonly CopyPlans _plans = CopyPlans.Of(platform, StoreGranularity.CacheLine);
    private readonly CopyPlans _plansOfFlushed = CopyPlans.Of(platform, StoreGranularity.Byte);

    public Platform Platform { get; } = platform;

    public IPageSync Pages { get; } = pages;

    public Copier Copier { get; } = copier;

    /// <summary>As in C, every address is taken for persistent memory.</summary>
    public CopyPlan PlanFor(void* address, nuint length, PmemCopyOptions flags) =>
        (IsFlushElided(address, length) ? _plansOfFlushed : _plans).For(flags);

    /// <summary>
    /// Whether a flush of the range does nothing: the environment says so, or the mapping that holds it is in a region whose
    /// caches are flushed. libpmem asks all regions together, which says nothing of memory that lies in none.
    /// </summary>
    public bool IsFlushElided(void* address, nuint length) => _hasFlushedRegions
        && (_isFlushedAnywhere || RangeTracker.FileOf((nint)address, (nint)length) is { Info.IsFlushElided: true });

    public abstract void WriteBack(nint start, nint end);

    public abstract void Fence();
}

/// <summary>The same with these instructions.</summary>
internal sealed class LibPmemMachine<TLines>(Platform platform, TLines lines, IPageSync pages)
    : LibPmemMachine(platform, pages, CopyWidth.CopierFor(platform, lines)) where TLines : struct, ILineInstructions
{
    private readonly TLines _lines = lines;

    public override void WriteBack(nint start, nint end) => _lines.WriteBack(start, end);

    public override void Fence() => _lines.Fence();
}
