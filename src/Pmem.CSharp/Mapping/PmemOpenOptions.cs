namespace Pmem;

/// <summary>How an existing file is opened and mapped.</summary>
public sealed class PmemOpenOptions : PmemMapOptions
{
    internal static PmemOpenOptions Default { get; } = new();

    /// <summary>Only reading is possible; a store through a pointer then ends the process.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>
    /// Reserve storage for every byte that is mapped (fallocate(2)). A store to a hole of a file for which the disk then has
    /// no space ends the process (SIGBUS): this finds out before. Refused with <see cref="ReadOnly"/>, of a device, and where the
    /// file system has no fallocate (EOPNOTSUPP).
    /// </summary>
    public bool Reserve { get; init; }

    internal MapRequest For(FileRequest file)
    {
        if (ReadOnly && Reserve) throw Failures.OfRefusal(Refusal.NewContradiction(nameof(ReadOnly), nameof(Reserve)), file.Path);
        return new MapRequest(file with { IsReadOnly = ReadOnly })
        {
            Offset = Offset,
            LengthBytes = Length,
            Required = RequiredGranularity,
            IsPrefaulted = Prefault,
            IsReserved = Reserve,
        };
    }
}
