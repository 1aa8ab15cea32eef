namespace Pmem;

/// <summary>enum pmem2_granularity, with its values.</summary>
public enum Pmem2Granularity
{
    /// <summary>PMEM2_GRANULARITY_BYTE</summary>
    Byte,

    /// <summary>PMEM2_GRANULARITY_CACHE_LINE</summary>
    CacheLine,

    /// <summary>PMEM2_GRANULARITY_PAGE</summary>
    Page,
}

/// <summary>enum pmem2_sharing_type, with its values.</summary>
public enum Pmem2Sharing
{
    /// <summary>PMEM2_SHARED</summary>
    Shared,

    /// <summary>PMEM2_PRIVATE</summary>
    Private,
}

/// <summary>The flags of pmem2_config_set_protection(3), with their values.</summary>
[Flags]
public enum Pmem2Protection : uint
{
    /// <summary>PMEM2_PROT_NONE</summary>
    None = 0,

    /// <summary>PMEM2_PROT_EXEC</summary>
    Exec = 1u << 29,

    /// <summary>PMEM2_PROT_READ</summary>
    Read = 1u << 30,

    /// <summary>PMEM2_PROT_WRITE</summary>
    Write = 1u << 31,
}

/// <summary>struct pmem2_source.</summary>
public sealed class Pmem2Source
{
    internal Pmem2Source(PmemSource source, int? descriptor) => (Source, Descriptor) = (source, descriptor);

    internal PmemSource Source { get; }

    internal int? Descriptor { get; }
}

/// <summary>struct pmem2_config.</summary>
public sealed class Pmem2Config
{
    internal Pmem2Config() { }

    internal StoreGranularity? Required { get; set; }

    internal long Offset { get; set; }

    internal nuint Length { get; set; }

    internal bool IsPrivate { get; set; }

    internal PmemProtection Protection { get; set; } = PmemProtection.Read | PmemProtection.Write;

    internal Pmem2VmReservation? Reservation { get; set; }

    internal nuint ReservationOffset { get; set; }
}

/// <summary>struct pmem2_map.</summary>
public sealed class Pmem2Map
{
    internal Pmem2Map(PmemMapping mapping) => Mapping = mapping;

    internal PmemMapping Mapping { get; }

    internal bool IsDeleted { get; set; }
}

/// <summary>struct pmem2_vm_reservation.</summary>
public sealed class Pmem2VmReservation
{
    internal Pmem2VmReservation(AddressReservation reservation) => Reservation = reservation;

    internal AddressReservation Reservation { get; }
}

/// <summary>struct pmem2_badblock_context.</summary>
public sealed class Pmem2BadBlockContext
{
    internal Pmem2BadBlockContext(PmemSource source) => (Source, Left) = (source, new Queue<ByteRange>(source.FindBadBlocks()));

    internal PmemSource Source { get; }

    internal Queue<ByteRange> Left { get; }
}

/// <summary>struct pmem2_badblock: a range of the source, in bytes.</summary>
/// <param name="Offset">The first byte.</param>
/// <param name="Length">How many.</param>
public readonly record struct Pmem2BadBlock(nuint Offset, nuint Length);

/// <summary>pmem2_persist_fn, pmem2_flush_fn: what makes a range durable, or starts to.</summary>
/// <param name="address">Its first byte.</param>
/// <param name="length">How many bytes.</param>
public unsafe delegate void Pmem2RangeFunction(void* address, nuint length);

/// <summary>pmem2_drain_fn: waits until what was flushed is durable.</summary>
public delegate void Pmem2DrainFunction();

/// <summary>pmem2_memmove_fn, pmem2_memcpy_fn: copies, durably unless the flags say otherwise; returns the destination.</summary>
/// <param name="destination">Where to.</param>
/// <param name="source">Where from.</param>
/// <param name="length">How many bytes.</param>
/// <param name="flags">PMEM2_F_MEM_*, with the same values.</param>
public unsafe delegate void* Pmem2CopyFunction(void* destination, void* source, nuint length, PmemCopyOptions flags);

/// <summary>pmem2_memset_fn: stores a byte over and over.</summary>
/// <param name="destination">Where to.</param>
/// <param name="value">Its low byte is stored.</param>
/// <param name="length">How many bytes.</param>
/// <param name="flags">PMEM2_F_MEM_*, with the same values.</param>
public unsafe delegate void* Pmem2FillFunction(void* destination, int value, nuint length, PmemCopyOptions flags);
