using Pmem.Linux;

namespace Pmem;

/// <summary>
/// How stores to one mapping are made durable. Granularity picks one of three when a file is mapped, and nothing asks for it
/// afterwards: <see cref="FencePersister{TLines}"/>, <see cref="LinePersister{TLines}"/>, <see cref="PagePersister"/>.
/// </summary>
/// <remarks>
/// Offsets were checked by the mapping, which this thread is in. No member throws: what the caller must throw is returned, so that
/// it can leave the mapping first; null where all went well.
/// </remarks>
internal abstract class Persister
{
    /// <summary>Copies to the mapping, and completes what the plan says.</summary>
    public abstract Copier Copier { get; }

    /// <summary>Copies that need nothing but one call of machine code.</summary>
    public virtual ShortCalls Short => default;

    public abstract Exception? Flush(long offset, long length);

    public abstract Exception? Drain();

    public abstract Exception? Persist(long offset, long length);

    public abstract Exception? Execute(FlushPlan plan);

    public abstract Exception? DeepFlush(long offset, long length);

    public abstract Exception? DeepDrain(long offset, long length);

    public abstract Exception? DeepPersist(long offset, long length);

    /// <summary>msync, whatever the granularity.</summary>
    public abstract Exception? Msync(long offset, long length);

    /// <summary>A caller was promised the operation with this number.</summary>
    public virtual Exception? Acknowledge(long operation) => null;

    /// <summary>The persister of this mapping, on the machine that this process runs on.</summary>
    public static Persister For(MappedFile file) => For(file, PmemPlatform.CurrentLines, FileMapper.System, Sysfs.Machine);

    /// <summary>The persister of this mapping, with these instructions and this operating system.</summary>
    public static Persister For<TLines>(MappedFile file, TLines lines, IPageSync pages, Sysfs sysfs) where TLines : struct, ILineInstructions
    {
        var storage = new MappedStorage(file, pages, sysfs);
        return file.Info.Granularity switch
        {
            { IsByte: true } => new FencePersister<TLines>(storage, lines),
            { IsCacheLine: true } => new LinePersister<TLines>(storage, lines),
            _ => new PagePersister(storage),
        };
    }
}
