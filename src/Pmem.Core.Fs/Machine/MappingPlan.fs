namespace Pmem

//  fact                                                                          source
//  ----------------------------------------------------------------------------  ---------------------------------------
//  an offset in a file is mapped in whole pages, a device and a huge page whole  mmap(2); Linux, drivers/dax/device.c,
//                                                                                mm/hugetlb.c
//  a huge page needs address and file offset aligned to it: 2 MiB or 1 GiB       Linux, Documentation/filesystems/dax.rst

/// Deciding which bytes of a file are mapped, and where. The unit of a file is what an offset in it must be a multiple of: the
/// page, or the alignment of a device or of huge pages.
[<AbstractClass; Sealed>]
type internal MappingPlan =
    /// Refuses a length that is no whole number of units. An ordinary file ends where it likes.
    static member LengthInUnits(pageSizeBytes: int64, unitBytes: int64, lengthBytes: int64) =
        Decision.require
            (unitBytes <= pageSizeBytes || Bounds.isWhole unitBytes lengthBytes)
            (LengthNotAligned(lengthBytes, unitBytes))

    /// The bytes to map of a file of this length; a length of 0 means up to the end.
    static member RangeOfFile
        (pageSizeBytes: int64, unitBytes: int64, fileLengthBytes: int64, offset: int64, lengthBytes: int64)
        =
        decision {
            do! Decision.require (fileLengthBytes > 0L) FileIsEmpty
            do! Decision.require (lengthBytes >= 0L) (LengthNotPositive lengthBytes)
            do! Decision.require (Bounds.isWhole unitBytes offset) (OffsetNotAligned(offset, unitBytes))
            do! MappingPlan.LengthInUnits(pageSizeBytes, unitBytes, lengthBytes)

            do!
                Decision.require
                    (offset < fileLengthBytes && Bounds.isWithin fileLengthBytes offset lengthBytes)
                    (OutsideFile(offset, lengthBytes, fileLengthBytes))

            return ByteRange(offset, (if lengthBytes = 0L then fileLengthBytes - offset else lengthBytes))
        }

    /// What an address must be a multiple of, so that the largest pages that fit can be used: 1 GiB, 2 MiB or the page; never
    /// less than the unit.
    static member AlignmentFor(pageSizeBytes: int64, unitBytes: int64, lengthBytes: int64) =
        let largest =
            if lengthBytes >= (1L <<< 30) then 1L <<< 30
            elif lengthBytes >= (1L <<< 21) then 1L <<< 21
            else pageSizeBytes

        max largest unitBytes
