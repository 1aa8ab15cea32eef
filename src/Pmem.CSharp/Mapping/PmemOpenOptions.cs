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

    /// <summary>
    /// Map a copy (MAP_PRIVATE): stores are seen through this mapping alone and never reach the file, and a persist makes nothing durable
    /// (<see cref="MappingInfo.IsVolatile"/>). The file need only be open to read. Refused of a device.
    /// </summary>
    public bool Private { get; init; }

    /// <summary>
    /// What may be done with the pages; null for Read and Write, or Read where <see cref="ReadOnly"/> is set. Without Read and Write only the
    /// Pointer can be used: every other member refuses.
    /// </summary>
    public PmemProtection? Protection { get; init; }

    internal unsafe MapRequest For(FileRequest file)
    {
        PmemProtection protection = Protection ?? (ReadOnly ? PmemProtection.Read : PmemProtection.Read | PmemProtection.Write);
        bool isWritten = protection.HasFlag(PmemProtection.Write);
        if (ReadOnly && Reserve) throw Failures.OfRefusal(Refusal.NewContradiction(nameof(ReadOnly), nameof(Reserve)), file.Path);
        if (ReadOnly && isWritten) throw Failures.OfRefusal(Refusal.NewContradiction(nameof(ReadOnly), nameof(Protection)), file.Path);
        if (Private && ReserveLength != 0) throw Failures.OfRefusal(Refusal.NewContradiction(nameof(Private), nameof(ReserveLength)), file.Path);
        return new MapRequest(file with { IsReadOnly = Private || !isWritten })
        {
            Protection = protection,
            IsPrivate = Private,
            Address = (nint)Address,
            Offset = Offset,
            LengthBytes = Length,
            Required = RequiredGranularity,
            IsPrefaulted = Prefault,
            ReserveLengthBytes = ReserveLength,
            IsReserved = Reserve,
        };
    }
}
