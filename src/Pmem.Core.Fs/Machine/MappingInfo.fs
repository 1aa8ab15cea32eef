namespace Pmem

open System
open System.Globalization

//  fact                                                                          source
//  ----------------------------------------------------------------------------  ---------------------------------------
//  MAP_SHARED_VALIDATE | MAP_SYNC succeeds only where a store that is durable
//  in memory is durable in the file too (DAX, and its metadata is written)        mmap(2), MAP_SYNC
//  device DAX has no file system: its mapping is the memory itself, and msync
//  does nothing there                                                            pmem_msync(3), WARNING
//  device DAX is mapped in multiples of its alignment, with its whole length      Linux, drivers/dax/device.c; pmem_map_file(3)
//  a huge page needs address and file offset aligned to it: 2 MiB or 1 GiB       Linux, Documentation/filesystems/dax.rst

/// What a mapping is made of.
type MappingKind =
    /// A file on a DAX file system, mapped with MAP_SYNC.
    | FileDax
    /// A device-DAX character device.
    | DeviceDax
    /// A file through the page cache.
    | PageCache

    /// In words.
    override kind.ToString() =
        match kind with
        | FileDax -> "DAX file"
        | DeviceDax -> "DAX device"
        | PageCache -> "page cache"

/// What was found out when a file was mapped.
type MappingFacts =
    {
        /// The path, as it was given.
        Path: string
        /// The bytes of the file that are mapped.
        FileRange: ByteRange
        /// What it is made of.
        Kind: MappingKind
        /// Only reading is possible.
        IsReadOnly: bool
        /// <summary><c>persistence_domain</c> of the NVDIMM region that holds the file; empty where none does, or it does not
        /// say.</summary>
        PersistenceDomain: string
        /// The platform that decides.
        Platform: Platform
    }

    /// Whether both are the same value.
    static member op_Equality(left: MappingFacts, right: MappingFacts) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: MappingFacts, right: MappingFacts) = not (Object.Equals(left, right))

/// What a mapping is taken for.
module internal MappingChoice =
    let isPmem facts =
        match facts.Platform.Environment.IsPmemForce, facts.Kind with
        | Setting.On, _ -> struct (true, "PMEM_IS_PMEM_FORCE is 1")
        | Setting.Off, _ -> struct (false, "PMEM_IS_PMEM_FORCE is 0")
        | Setting.Unset, FileDax -> struct (true, "MAP_SYNC was granted")
        | Setting.Unset, DeviceDax -> struct (true, "it is a device-DAX device")
        | Setting.Unset, PageCache -> struct (false, "MAP_SYNC was refused: the file system is not DAX")

/// <summary>What is known of a mapping, as an immutable value: what it maps, and how a store to it is made durable.</summary>
/// <remarks>It has no address and no bytes; the executor's <c>PmemMapping</c> has those.</remarks>
type MappingInfo =
    {
        /// What was found.
        Facts: MappingFacts
        /// Whether it is persistent memory: stores need no system call to become durable.
        IsPmem: bool
        /// How much must be flushed to make a store durable.
        Granularity: StoreGranularity
        /// Why it has that granularity.
        Why: string
    }

    /// The path, as it was given.
    member mapping.Path = mapping.Facts.Path

    /// The length of the mapping, in bytes.
    member mapping.LengthBytes = mapping.Facts.FileRange.Length

    /// Whether a flush of it does nothing: its caches are flushed on power failure (eADR), or the environment says so.
    member mapping.IsFlushElided = mapping.Granularity = StoreGranularity.Byte

    /// <summary>Path, length, is-pmem, granularity and how a persist is done, in a line.</summary>
    override mapping.ToString() =
        let persist =
            match mapping.Granularity with
            | StoreGranularity.Byte -> mapping.Facts.Platform.Fence.ToString()
            | StoreGranularity.CacheLine ->
                String.Concat(
                    mapping.Facts.Platform.WriteBack.ToString(),
                    " + ",
                    mapping.Facts.Platform.Fence.ToString()
                )
            | StoreGranularity.Page -> "msync"

        String.Concat(
            [|
                mapping.Path
                ": "
                mapping.LengthBytes.ToString CultureInfo.InvariantCulture
                " bytes, "
                (if mapping.IsPmem then "pmem, " else "not pmem, ")
                (if mapping.Facts.IsReadOnly then "read-only, " else "")
                mapping.Granularity.ToString()
                " granularity, persist = "
                persist
                " ("
                mapping.Why
                ")"
            |]
        )

    /// Whether both are the same value.
    static member op_Equality(left: MappingInfo, right: MappingInfo) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: MappingInfo, right: MappingInfo) = not (Object.Equals(left, right))

    /// Decides granularity and is-pmem. A device on which neither write-back nor msync works is refused.
    static member internal Decide(facts: MappingFacts) =
        let platform = facts.Platform
        let struct (isPmem, why) = MappingChoice.isPmem facts

        let granularity, why =
            if not isPmem then
                StoreGranularity.Page, why
            elif platform.ElidesFlush facts.PersistenceDomain then
                StoreGranularity.Byte, why
            elif platform.WriteBack = NoWriteBack then
                StoreGranularity.Page, platform.WhyNoWriteBack
            else
                StoreGranularity.CacheLine, why

        if facts.Kind = DeviceDax && granularity = StoreGranularity.Page then
            Error(NoWayToPersist(String.Concat(why, ", and msync does nothing on device DAX")))
        else
            Ok
                {
                    Facts = facts
                    IsPmem = (granularity <> StoreGranularity.Page)
                    Granularity = granularity
                    Why = why
                }

    /// Refuses a mapping that is coarser than what is required.
    member internal mapping.Require(required: StoreGranularity) =
        if mapping.Granularity <= required then
            Ok mapping
        else
            Error(GranularityTooCoarse(required, mapping.Granularity, mapping.Why))
