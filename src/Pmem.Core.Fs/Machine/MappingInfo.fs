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
    /// A private copy of a file's pages (MAP_PRIVATE): no store to it ever reaches the file.
    | PrivateCopy
    /// Memory without a file.
    | Anonymous
    /// Memory that somebody else mapped.
    | Adopted

    /// In words.
    override kind.ToString() =
        match kind with
        | FileDax -> "DAX file"
        | DeviceDax -> "DAX device"
        | PageCache -> "page cache"
        | PrivateCopy -> "private copy"
        | Anonymous -> "anonymous memory"
        | Adopted -> "adopted memory"

    /// Whether nothing that is stored to it is ever durable.
    member kind.IsVolatile = kind = PrivateCopy || kind = Anonymous

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
        | _, PrivateCopy -> struct (false, "it is a private copy: nothing is made durable")
        | _, Anonymous -> struct (false, "it is memory without a file: nothing is made durable")
        | Setting.On, _ -> struct (true, "PMEM_IS_PMEM_FORCE is 1")
        | Setting.Off, _ -> struct (false, "PMEM_IS_PMEM_FORCE is 0")
        | Setting.Unset, FileDax -> struct (true, "its file system is DAX and maps it directly")
        | Setting.Unset, DeviceDax -> struct (true, "it is a device-DAX device")
        | Setting.Unset, Adopted -> struct (false, "somebody else mapped it")
        | Setting.Unset, PageCache -> struct (false, "its file system is not DAX, or refused MAP_SYNC")

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

    /// Whether nothing that is stored to it is ever durable: a private copy, or memory without a file. Flush, drain and persist
    /// then succeed, and make nothing durable, as with libpmem2 (pmem2_config_set_sharing(3), pmem2_source_from_anon(3)).
    member mapping.IsVolatile = mapping.Facts.Kind.IsVolatile

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
            | _ when mapping.IsVolatile -> "nothing"
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
            if facts.Kind.IsVolatile then
                // Nothing has to be flushed: PMDK, src/libpmem2/map_posix.c, get_min_granularity.
                StoreGranularity.Byte, why
            elif not isPmem then
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
                    IsPmem = (granularity <> StoreGranularity.Page && not facts.Kind.IsVolatile)
                    Granularity = granularity
                    Why = why
                }

    /// The granularity that somebody says it has, and that is not found out: by PMEM2_FORCE_GRANULARITY, or of memory that is adopted.
    static member internal Say(facts: MappingFacts, granularity: StoreGranularity, why: string) =
        if facts.Kind.IsVolatile then
            MappingInfo.Decide facts
        elif
            granularity = StoreGranularity.CacheLine
            && facts.Platform.WriteBack = NoWriteBack
        then
            Error(NoWayToPersist facts.Platform.WhyNoWriteBack)
        elif granularity = StoreGranularity.Page && facts.Kind = DeviceDax then
            Error(NoWayToPersist "msync does nothing on device DAX")
        else
            Ok
                {
                    Facts = facts
                    IsPmem = (granularity <> StoreGranularity.Page)
                    Granularity = granularity
                    Why = why
                }

    /// The same of other bytes of the file.
    member internal mapping.WithRange(bytes: ByteRange) =
        { mapping with Facts = { mapping.Facts with FileRange = bytes } }

    /// Refuses a mapping that is coarser than what is required.
    member internal mapping.Require(required: StoreGranularity) =
        if mapping.Granularity <= required then
            Ok mapping
        else
            Error(GranularityTooCoarse(required, mapping.Granularity, mapping.Why))
