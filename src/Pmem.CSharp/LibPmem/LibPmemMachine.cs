namespace Pmem;

/// <summary>What libpmem's functions execute on: addresses, whatever lies there.</summary>
internal abstract class LibPmemMachine(IPageSync pages, Copier copier)
{
    public IPageSync Pages { get; } = pages;

    public Copier Copier { get; } = copier;

    /// <summary>As in C, every address is taken for persistent memory; in which region it lies is not asked.</summary>
    public CopyPlans Plans { get; } = CopyPlans.Of(
        PmemPlatform.Current, PmemPlatform.Current.ElidesFlush("") ? StoreGranularity.Byte : StoreGranularity.CacheLine);

    public abstract void WriteBack(nint start, nint end);

    public abstract void Fence();
}

/// <summary>The same with these instructions.</summary>
internal sealed class LibPmemMachine<TLines>(TLines lines, IPageSync pages)
    : LibPmemMachine(pages, CopyWidth.CopierFor(PmemPlatform.Current, lines)) where TLines : struct, ILineInstructions
{
    private readonly TLines _lines = lines;

    public override void WriteBack(nint start, nint end) => _lines.WriteBack(start, end);

    public override void Fence() => _lines.Fence();
}
