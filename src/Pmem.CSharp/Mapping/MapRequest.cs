namespace Pmem;

/// <summary>Which bytes of a file are mapped, and how.</summary>
internal sealed record MapRequest(FileRequest File)
{
    public long Offset { get; init; }

    /// <summary>0 for all from the offset on.</summary>
    public long LengthBytes { get; init; }

    public StoreGranularity? Required { get; init; }

    /// <summary>Storage is reserved for what is mapped.</summary>
    public bool IsReserved { get; init; }

    /// <summary>What may be done with the pages.</summary>
    public PmemProtection Protection { get; init; } =
        File.IsReadOnly ? PmemProtection.Read : PmemProtection.Read | PmemProtection.Write;

    /// <summary>Stores are to a copy of the pages.</summary>
    public bool IsPrivate { get; init; }

    /// <summary>Where it is to be; 0 for anywhere.</summary>
    public nint Address { get; init; }

    /// <summary>How much address space is kept behind the first byte; 0 for no more than is mapped.</summary>
    public long ReserveLengthBytes { get; init; }

    /// <summary>The reserved address space that it goes to; null for anywhere.</summary>
    public AddressReservation? Reservation { get; init; }

    /// <summary>Where in it, in bytes.</summary>
    public long ReservationOffset { get; init; }

    /// <summary>Every page is there before the mapping is handed out.</summary>
    public bool IsPrefaulted { get; init; }
}
