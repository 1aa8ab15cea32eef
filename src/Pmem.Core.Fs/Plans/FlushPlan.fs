namespace Pmem

open System
open System.Collections.Generic
open System.Runtime.InteropServices

/// <summary>A step of a <see cref="T:Pmem.FlushPlan"/>.</summary>
type FlushStep =
    /// Start writing back the cache lines of the range.
    | Flush of Range: ByteRange
    /// Wait until everything flushed is durable.
    | Drain

    /// <summary><c>flush offset+length</c>, or <c>drain</c>.</summary>
    override step.ToString() =
        match step with
        | Flush range -> String.Concat("flush ", range.ToString())
        | Drain -> "drain"

    /// Whether both are the same value.
    static member op_Equality(left: FlushStep, right: FlushStep) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: FlushStep, right: FlushStep) = not (Object.Equals(left, right))

module private Normal =
    /// Whole lines, none empty, in the order given.
    let lines (ranges: ReadOnlySpan<ByteRange>) =
        let lines = Array.zeroCreate<ByteRange> ranges.Length
        let mutable count = 0
        let mutable sorted = true

        for range in ranges do
            if not range.IsEmpty then
                let line = CacheLine.cover range

                if count > 0 && line.Offset < lines[count - 1].Offset then
                    sorted <- false

                lines[count] <- line
                count <- count + 1

        struct (lines, count, sorted)

    /// Merges neighbours in place; the input is sorted by offset. Returns how many ranges are left.
    let coalesce (lines: ByteRange[]) count =
        let mutable last = -1

        for i in 0 .. count - 1 do
            let next = lines[i]

            if last >= 0 && next.Offset <= lines[last].End then
                let previous = lines[last]
                lines[last] <- ByteRange(previous.Offset, max previous.End next.End - previous.Offset)
            else
                last <- last + 1
                lines[last] <- next

        last + 1

    let private byOffset =
        Comparison<ByteRange>(fun left right -> left.Offset.CompareTo right.Offset)

    let private trim (lines: ByteRange[]) count =
        if count = lines.Length then lines else Array.sub lines 0 count

    /// Sorted, disjoint, coalesced whole lines.
    let ofRanges (ranges: ReadOnlySpan<ByteRange>) =
        let struct (lines, count, sorted) = lines ranges

        if not sorted then
            lines.AsSpan(0, count).Sort byOffset

        trim lines (coalesce lines count)

    /// Both are normal already: merge them in one pass.
    let union (left: ByteRange[]) (right: ByteRange[]) =
        let merged = Array.zeroCreate (left.Length + right.Length)
        let mutable l = 0
        let mutable r = 0

        for i in 0 .. merged.Length - 1 do
            if r = right.Length || (l < left.Length && left[l].Offset <= right[r].Offset) then
                merged[i] <- left[l]
                l <- l + 1
            else
                merged[i] <- right[r]
                r <- r + 1

        trim merged (coalesce merged merged.Length)

/// <summary>What to make durable: an ordered list of flush ranges, then one drain.</summary>
/// <remarks>
/// Always well formed: the ranges are whole cache lines, sorted, disjoint and coalesced, so no line is flushed twice,
/// and the last step, and only the last, is the drain. The empty plan is the drain alone. A plan is a value: it says
/// nothing about how a machine does it (<see cref="T:Pmem.Lowering"/>) and can be kept and executed many times.
/// </remarks>
[<Sealed; AllowNullLiteral(false)>]
type FlushPlan private (ranges: ByteRange[]) =
    static let empty = FlushPlan [||]

    /// The plan that only drains.
    static member Empty = empty

    /// The plan that flushes every line of these ranges, in any order and overlapping as they may.
    static member Of([<ParamArray>] ranges: ByteRange[]) =
        ArgumentNullException.ThrowIfNull(ranges, nameof ranges)
        FlushPlan(Normal.ofRanges (ReadOnlySpan ranges))

    /// The plan that flushes every line of these ranges.
    static member Of(ranges: ReadOnlySpan<ByteRange>) = FlushPlan(Normal.ofRanges ranges)

    /// The whole-line ranges to flush, sorted, disjoint and coalesced.
    member _.Ranges = ReadOnlySpan ranges

    /// The number of cache lines that the plan flushes.
    member _.LineCount =
        let mutable count = 0L

        for range in ranges do
            count <- count + CacheLine.countOf range

        count

    /// The first byte after the last flushed range: what a mapping must reach for the plan to be executed on it.
    member _.EndOffset = if ranges.Length = 0 then 0L else ranges[ranges.Length - 1].End

    /// The steps in order; the last is the drain.
    member _.Steps: IReadOnlyList<FlushStep> =
        Array.init (ranges.Length + 1) (fun i -> if i < ranges.Length then Flush ranges[i] else Drain)

    /// This plan and the lines of one range more.
    member _.Flush(range: ByteRange) =
        FlushPlan(Normal.union ranges (Normal.ofRanges (ReadOnlySpan [| range |])))

    /// The plan that flushes what either flushes.
    member plan.Union(other: FlushPlan) =
        if obj.ReferenceEquals(plan, other) then
            plan
        else
            FlushPlan(Normal.union ranges (other.Ranges.ToArray()))

    /// The plan that flushes what any of these flushes: sorted and coalesced once, whatever their number.
    static member Union(plans: IEnumerable<FlushPlan>) =
        ArgumentNullException.ThrowIfNull(plans, nameof plans)
        let ranges = List<ByteRange>()

        for plan in plans do
            ranges.AddRange plan.Ranges

        FlushPlan(Normal.ofRanges (Span.op_Implicit (CollectionsMarshal.AsSpan ranges)))

    /// Whether the plan flushes every line that the range touches. An empty range touches none.
    member _.Covers(range: ByteRange) =
        let mutable low = 0
        let mutable high = ranges.Length

        while low < high do
            let middle = (low + high) >>> 1

            if ranges[middle].End <= range.Offset then low <- middle + 1 else high <- middle

        range.IsEmpty || (low < ranges.Length && ranges[low].Contains range)

    override _.Equals other =
        match other with
        | :? FlushPlan as other -> ReadOnlySpan(ranges).SequenceEqual other.Ranges
        | _ -> false

    override _.GetHashCode() =
        let mutable hash = HashCode()

        for range in ranges do
            hash.Add range

        hash.ToHashCode()

    /// <summary>The steps, as in <c>flush 0+128; flush 4096+64; drain</c>.</summary>
    override plan.ToString() = String.Join("; ", plan.Steps)

    interface IEquatable<FlushPlan> with
        member plan.Equals other = plan.Equals(box other)

    /// Whether both are the same value.
    static member op_Equality(left: FlushPlan, right: FlushPlan) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: FlushPlan, right: FlushPlan) = not (Object.Equals(left, right))

namespace Pmem.FSharp

open Pmem

/// Flush plans, for pipelines.
module FlushPlan =
    /// The plan that only drains.
    let empty = FlushPlan.Empty

    /// The plan with the lines of one range more.
    let flush (range: ByteRange) (plan: FlushPlan) = plan.Flush range

    /// The plan that flushes every line of these ranges, in any order and overlapping as they may.
    let ofRanges (ranges: ByteRange seq) = FlushPlan.Of(Seq.toArray ranges)

    /// The plan that flushes what either flushes: associative, commutative, idempotent; the empty plan is its unit.
    let union (left: FlushPlan) (right: FlushPlan) = left.Union right

    /// The plan that flushes what any of them flushes.
    let unionMany (plans: FlushPlan seq) = FlushPlan.Union plans

    /// Whether the plan flushes every line that the range touches.
    let covers (range: ByteRange) (plan: FlushPlan) = plan.Covers range

    /// The number of cache lines that the plan flushes.
    let lineCount (plan: FlushPlan) = plan.LineCount

    /// The flushed ranges: whole lines, sorted, disjoint, coalesced.
    let ranges (plan: FlushPlan) = List.ofArray (plan.Ranges.ToArray())

    /// The steps in order; the last is the drain.
    let steps (plan: FlushPlan) = List.ofSeq plan.Steps
