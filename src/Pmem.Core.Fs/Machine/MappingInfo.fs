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

    /// Whether both are the same value.
    static member op_Equality(left: MappingKind, right: MappingKind) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: MappingKind, right: MappingKind) = not (Object.Equals(left, right))

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
        /// The platform that decides.
        Platform: Platform
    }

    /// Whether both are the same value.
    static member op_Equality(left: MappingFacts, right: MappingFacts) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: MappingFacts, right: MappingFacts) = not (Object.Equals(left, right))

/// <summary>A mapping, as an immutable value: what it maps, and how a store to it is made durable.</summary>
/// <remarks>It has no address and no bytes; the executor has those.</remarks>
type Mapping =
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
    static member op_Equality(left: Mapping, right: Mapping) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: Mapping, right: Mapping) = not (Object.Equals(left, right))

/// Deciding what a mapping is, and how it may be made.
module Mapping =
    let private isTakenForPmem facts =
        match facts.Platform.Environment.IsPmemForce, facts.Kind with
        | Setting.On, _ -> struct (true, "PMEM_IS_PMEM_FORCE is 1")
        | Setting.Off, _ -> struct (false, "PMEM_IS_PMEM_FORCE is 0")
        | Setting.Unset, FileDax -> struct (true, "MAP_SYNC was granted")
        | Setting.Unset, DeviceDax -> struct (true, "it is a device-DAX device")
        | Setting.Unset, PageCache -> struct (false, "MAP_SYNC was refused: the file system is not DAX")

    /// Decides granularity and is-pmem. A device on which neither write-back nor msync works is refused.
    let decide (facts: MappingFacts) =
        let platform = facts.Platform
        let struct (isPmem, why) = isTakenForPmem facts

        let granularity, why =
            if not isPmem then
                StoreGranularity.Page, why
            elif platform.IsFlushElided then
                StoreGranularity.Byte, why
            elif platform.WriteBack = NoWriteBack then
                StoreGranularity.Page, platform.WhyNoWriteBack
            else
                StoreGranularity.CacheLine, why

        if facts.Kind = DeviceDax && granularity = StoreGranularity.Page then
            Refused(NoWayToPersist(String.Concat(why, ", and msync does nothing on device DAX")))
        else
            Accepted
                {
                    Facts = facts
                    IsPmem = (granularity <> StoreGranularity.Page)
                    Granularity = granularity
                    Why = why
                }

    /// Refuses a mapping that is coarser than what is required.
    let require (required: StoreGranularity) (mapping: Mapping) =
        if mapping.Granularity <= required then
            Accepted mapping
        else
            Refused(GranularityTooCoarse(required, mapping.Granularity, mapping.Why))

    /// The bytes to map of a file of this length; a length of 0 means up to the end. The unit is what an offset must be a
    /// multiple of: the page, or the alignment of a device.
    let rangeOfFile unitBytes (fileLengthBytes: int64) (offset: int64) (lengthBytes: int64) =
        decision {
            do! Decision.require (fileLengthBytes > 0L) FileIsEmpty
            do! Decision.require (offset >= 0L && offset % unitBytes = 0L) (OffsetNotAligned(offset, unitBytes))
            do! Decision.require (lengthBytes >= 0L) (LengthNotPositive lengthBytes)

            let length = if lengthBytes = 0L then fileLengthBytes - offset else lengthBytes

            do!
                Decision.require
                    (length > 0L && Bounds.isWithin fileLengthBytes offset length)
                    (OutsideFile(offset, length, fileLengthBytes))

            return ByteRange(offset, length)
        }

    /// What an address must be a multiple of, so that the largest pages that fit can be used: 1 GiB, 2 MiB or the page.
    let alignmentFor (pageSizeBytes: int64) (lengthBytes: int64) =
        if lengthBytes >= (1L <<< 30) then 1L <<< 30
        elif lengthBytes >= (1L <<< 21) then 1L <<< 21
        else pageSizeBytes
