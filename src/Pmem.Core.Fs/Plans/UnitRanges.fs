namespace Pmem

/// The ranges of a plan rounded out to a larger unit and coalesced again. Lowering and executor both walk it, so they
/// cannot disagree; it allocates nothing.
[<Struct; NoEquality; NoComparison>]
type internal UnitRanges =
    val private plan: FlushPlan
    val private unitBytes: int64
    val mutable private next: int
    val mutable private current: ByteRange

    new(plan, unitBytes) = { plan = plan; unitBytes = unitBytes; next = 0; current = ByteRange() }

    member walk.Current = walk.current

    member walk.MoveNext() =
        let ranges = walk.plan.Ranges

        if walk.next >= ranges.Length then
            false
        else
            let mutable range = ranges[walk.next].AlignOut walk.unitBytes
            walk.next <- walk.next + 1

            while walk.next < ranges.Length
                  && Bounds.alignDown walk.unitBytes ranges[walk.next].Offset <= range.End do
                let last = ranges[walk.next].AlignOut walk.unitBytes
                range <- ByteRange(range.Offset, last.End - range.Offset)
                walk.next <- walk.next + 1

            walk.current <- range
            true
