namespace Pmem;

/// <summary>Which bytes of a file are mapped, and what is asked of the mapping. All that is left out has a safe default.</summary>
public abstract class PmemMapOptions
{
    private protected PmemMapOptions() { }

    /// <summary>The coarsest granularity that is acceptable; a coarser mapping is refused. Null accepts any.</summary>
    public StoreGranularity? RequiredGranularity { get; init; }

    /// <summary>The first byte of the file to map: a multiple of the page, or of a device's alignment; on Windows of 64 KiB.</summary>
    public long Offset { get; init; }

    /// <summary>How many bytes to map; 0 for all from <see cref="Offset"/> on.</summary>
    public long Length { get; init; }

    /// <summary>
    /// Where the mapping is to be, a multiple of the page; null for anywhere. Refused where something is mapped there, and where
    /// the system is not Linux.
    /// </summary>
    public unsafe byte* Address { get; init; }

    /// <summary>
    /// How much address space to keep behind the first byte, in bytes, so that <see cref="PmemMapping.Grow"/> can extend the mapping where
    /// it is. It costs no memory. 0 for a mapping that does not grow. Refused where the system is not Linux: elsewhere no view
    /// moves: there a mapping that is to be longer is disposed, and made again.
    /// </summary>
    public long ReserveLength { get; init; }

    /// <summary>
    /// Make every page present before the mapping is handed out (madvise(2), MADV_POPULATE_WRITE; before Linux 5.14 by
    /// touching each), so that no access has to wait for one. Blocks of a sparse file are allocated by it. Where that fails,
    /// for want of space or memory, nothing is mapped.
    /// </summary>
    public bool Prefault { get; init; }
}
