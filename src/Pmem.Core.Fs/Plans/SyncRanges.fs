namespace Pmem

open System

//  fact                                                                          source
//  ----------------------------------------------------------------------------  ---------------------------------------
//  msync of a range writes its dirty pages, then has the device empty its cache  msync(2), fsync(2); Linux, mm/msync.c,
//  whatever was written: so one call costs about as much as megabytes do         fs/ext4/fsync.c; measured, docs/benchmarks.md

/// What a drain on page granularity has the operating system write.
module internal SyncRanges =
    /// What one call costs, in bytes that a disk could write meanwhile.
    [<Literal>]
    let CallBytes = 4194304L

    let private byOffset =
        Comparison<ByteRange>(fun left right -> left.Offset.CompareTo right.Offset)

    /// Merges ranges that are sorted and less than so many bytes apart, in place. Returns how many are left.
    let private merge (apartBytes: int64) (ranges: Span<ByteRange>) =
        let mutable last = -1

        for i in 0 .. ranges.Length - 1 do
            let next = ranges[i]

            if last >= 0 && next.Offset - ranges[last].End < apartBytes then
                let first = ranges[last].Offset
                ranges[last] <- ByteRange(first, max ranges[last].End next.End - first)
            else
                last <- last + 1
                ranges[last] <- next

        last + 1

    /// Sorted, disjoint, and coalesced where they touch; in place. Returns how many are left.
    let coalesce (ranges: Span<ByteRange>) =
        ranges.Sort byOffset
        merge 1L ranges

    /// As few calls as pay: what lies between two ranges is written along where that costs less than another call. It may
    /// have been stored to or not: writing what nobody asked for is slow at worst. Where several wait for the sync, each would
    /// wait for every call of it: then it is one. Of coalesced ranges, in place.
    let join (waiting: int) (ranges: Span<ByteRange>) =
        if ranges.IsEmpty then
            0
        else
            let hull = ranges[ranges.Length - 1].End - ranges[0].Offset
            let isOne = waiting > 1 || hull / CallBytes <= int64 ranges.Length
            merge (if isOne then Int64.MaxValue else CallBytes) ranges
