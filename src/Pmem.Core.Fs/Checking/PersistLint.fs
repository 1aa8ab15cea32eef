namespace Pmem

open System
open System.Collections.Generic

/// Lines that were flushed.
[<Sealed>]
type internal FlushedLines() =
    /// Longer ranges are kept as they are, not line by line.
    let mostLines = 4096L

    let single = HashSet<int64>()
    let long = List<ByteRange>()

    let linesOf (range: ByteRange) =
        seq { CacheLine.indexOf range.Offset .. CacheLine.indexOf (range.End - 1L) }

    let rangeOf line =
        let first = line * CacheLine.SizeBytes
        ByteRange(first, min CacheLine.SizeBytes (Int64.MaxValue - first))

    member _.Clear() =
        single.Clear()
        long.Clear()

    member _.Add(range: ByteRange) =
        if CacheLine.countOf range > mostLines then
            long.Add range
        else
            single.UnionWith(linesOf range)

    /// A range of whole lines is not flushed any more.
    member _.Remove(range: ByteRange) =
        for line in linesOf range do
            single.Remove line |> ignore

        for i in long.Count - 1 .. -1 .. 0 do
            let flushed = long[i]

            if flushed.Overlaps range then
                long.RemoveAt i

                for first, last in [ flushed.Offset, range.Offset; range.End, flushed.End ] do
                    if first < last then
                        long.Add(ByteRange(first, last - first))

    /// The parts of a range of whole lines that are flushed. They may overlap.
    member _.In(range: ByteRange) =
        [|
            if CacheLine.countOf range <= int64 single.Count then
                for line in linesOf range do
                    if single.Contains line then
                        rangeOf line
            else
                for line in single do
                    if range.Overlaps(rangeOf line) then
                        rangeOf line

            for flushed in long do
                if flushed.Overlaps range then
                    flushed.Intersect range
        |]

/// Goes through a trace once: a fold over what the durability of its stores tells.
[<Sealed>]
type internal Linter(model: PersistencyModel, events: IReadOnlyList<RecordedEvent>) =
    let rules = ModelRules.of' model
    let durability = Durability(rules, null)

    /// Lines flushed, with no drain and no store since.
    let flushed = FlushedLines()
    let found = List<PersistDiagnostic>()

    let flushOf index range =
        TracedFlush(index, range, events[index].Source)

    /// Whether a store can be wrong by itself: where what is visible is durable, only one past the cache can.
    let isAtRisk (piece: Piece) =
        piece.IsNonTemporal || not rules.VisibleIsDurable

    let part event ranges =
        Trace.parts events (Seq.map (fun range -> struct (event, range)) ranges)

    /// Zeros that are filled in later are how memory is initialized.
    let isMistake (older: Piece) = (older.Value &&& older.Mask) <> 0UL

    let report (overwritten: List<Piece>) (by: int) =
        for event, pieces in overwritten |> Seq.groupBy (fun piece -> piece.Event) |> Seq.sortBy fst do
            let ranges =
                pieces |> Seq.map (fun piece -> Atoms.rangeOf piece.Atom) |> Seq.toArray

            for store, newer in Array.zip (part event ranges) (part by ranges) do
                found.Add(OverwrittenBeforeDurable(store, newer))

    let cover (piece: Piece) (older: Piece) (overwritten: List<Piece>) =
        if not (isAtRisk piece) then
            // A store that is durable as it is visible takes along what was stored to its word before it.
            older.Covered <- ~~~0UL
        elif older.Mask &&& piece.Mask <> 0UL then
            if older.Covered = 0UL && isAtRisk older && isMistake older then
                overwritten.Add older

            older.Covered <- older.Covered ||| piece.Mask

    let store index (pieces: List<Piece>) =
        let overwritten = List<Piece>()

        for piece in pieces do
            let chain = durability.ChainOf piece.Atom
            let mutable i = chain.Count - 2
            let mutable open' = piece.Mask

            // What is older than a store that covers as much was covered by that one.
            while i >= 0 && open' <> 0UL do
                cover piece chain[i] overwritten
                open' <- open' &&& ~~~chain[i].Mask
                i <- i - 1

            flushed.Remove(CacheLine.cover (Atoms.rangeOf piece.Atom))

        report overwritten index

    let writeBack index kind (range: ByteRange) =
        let again = flushed.In range

        if again.Length > 0 then
            for lines in FlushPlan.Of(again).Ranges do
                found.Add(FlushedTwice(flushOf index lines))
        elif not (Array.exists (fun (piece: Piece) -> not piece.IsWrittenBack) (durability.CoveredBy range)) then
            found.Add(FlushedClean(flushOf index range))

        if kind <> Clflush then
            flushed.Add range

    let sync index (range: ByteRange) =
        // Under Eadr msync is called for, if at all, to fence.
        if not rules.VisibleIsDurable && not (durability.HasPending range) then
            found.Add(FlushedClean(flushOf index range))

        if rules.HasFences then
            flushed.Clear()

    let step index =
        let event = events[index].Event
        let stored = durability.Enter(index, event)

        match event with
        | Trace.AnyStore _ -> store index stored
        | Execute Fence when rules.HasFences -> flushed.Clear()
        | Execute(SyncPages range) when not range.IsEmpty -> sync index (range.AlignOut ModelRules.PageBytes)
        | Execute(WriteBack(kind, range)) when rules.WritesBackLines && kind <> NoWriteBack && not range.IsEmpty ->
            writeBack index kind (CacheLine.cover range)
        | _ -> ()

        durability.Apply(event, durability.Forces event)

    let left select diagnose =
        durability.Pending.Values
        |> Seq.collect (
            Seq.filter (fun piece -> isAtRisk piece && piece.Mask &&& ~~~piece.Covered <> 0UL && select piece)
        )
        |> Seq.map (fun piece -> struct (piece.Event, Atoms.rangeOf piece.Atom))
        |> Trace.parts events
        |> Seq.map diagnose
        |> found.AddRange

    member _.Run() : PersistDiagnostic[] =
        for index in 0 .. events.Count - 1 do
            step index

        let isDrainMissing (piece: Piece) =
            piece.IsWrittenBack || (piece.IsNonTemporal && rules.HasFences)

        left (isDrainMissing >> not) NotFlushed
        left isDrainMissing NotDrained
        found.ToArray()

/// <summary>Finds the mistakes that a trace shows without a crash.</summary>
[<AbstractClass; Sealed>]
type PersistLint =
    /// <summary>The mistakes of a trace: those of its course in program order, then what is left undone at its
    /// end.</summary>
    /// <remarks>Under Eadr only stores past the cache can be wrong; under PageCache msync is the flush and the drain. A
    /// trace without a diagnostic can still be wrong in the order of its stores.</remarks>
    /// <param name="model">What is guaranteed.</param>
    /// <param name="events">The trace, in program order.</param>
    /// <exception cref="T:System.ArgumentNullException">The events, or the bytes of a store, are null.</exception>
    /// <exception cref="T:System.ArgumentOutOfRangeException">A store begins before 0 or ends after 2^63 -
    /// 1.</exception>
    static member Check
        (model: PersistencyModel, events: IEnumerable<RecordedEvent>)
        : IReadOnlyList<PersistDiagnostic> =
        ArgumentNullException.ThrowIfNull(events, nameof events)
        let events = Seq.toArray events
        Trace.requireBytes events
        Linter(model, events).Run()

namespace Pmem.FSharp

open Pmem

/// Lint, for pipelines.
module PersistLint =
    /// The mistakes of a trace: those of its course in program order, then what is left undone at its end.
    let check (model: PersistencyModel) (events: RecordedEvent seq) =
        List.ofSeq (PersistLint.Check(model, events))
