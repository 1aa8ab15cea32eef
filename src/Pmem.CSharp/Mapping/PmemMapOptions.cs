namespace Pmem;

/// <summary>How a file is opened, made and mapped. All that is left out has a safe default.</summary>
public sealed class PmemMapOptions
{
    internal static PmemMapOptions Default { get; } = new();

    /// <summary>Create: refuse a file that exists (EEXIST) rather than give it the new length.</summary>
    public bool Exclusive { get; init; }

    /// <summary>Create: reserve no storage; blocks are allocated as they are written, and a store can fail for want of space.</summary>
    public bool Sparse { get; init; }

    /// <summary>Create: the permissions of a new file, less the umask. Only the owner by default.</summary>
    public UnixFileMode UnixFileMode { get; init; } = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>The coarsest granularity that is acceptable; a coarser mapping is refused. Null accepts any.</summary>
    public StoreGranularity? RequiredGranularity { get; init; }

    /// <summary>The first byte of the file to map: a multiple of the page, or of a device's alignment.</summary>
    public long Offset { get; init; }

    /// <summary>How many bytes to map; 0 for all from <see cref="Offset"/> on.</summary>
    public long Length { get; init; }

    /// <summary>Open: only reading is possible; a store through a pointer then ends the process.</summary>
    public bool ReadOnly { get; init; }
}
