namespace Pmem

open System
open System.Collections.Generic

/// <summary>A mistake that a trace shows without a crash. Order between dependent stores is for <c>CrashCheck</c>.</summary>
type PersistDiagnostic =
    /// A store that no flush covers by the end of the trace.
    | NotFlushed of Store: TracedStore
    /// A store that was flushed, or went past the cache, and that no drain waits for.
    | NotDrained of Store: TracedStore
    /// Lines that were flushed already, with no store and no drain since: the second flush costs time for nothing.
    | FlushedTwice of Flush: TracedFlush
    /// A flush without anything to write back: no line of it has a store that needs one and had none.
    | FlushedClean of Flush: TracedFlush
    /// A store that another overwrote before it was durable: one of the two was for nothing, or an order is missing.
    | OverwrittenBeforeDurable of Store: TracedStore * By: TracedStore

    /// The source line, what is wrong, and what to do.
    override diagnostic.ToString() =
        match diagnostic with
        | NotFlushed store ->
            String.Concat(
                store.ToString(),
                " is never flushed: flush its range and drain before anything relies on it."
            )
        | NotDrained store when store.IsNonTemporal ->
            String.Concat(store.ToString(), " is never drained: drain before anything relies on it.")
        | NotDrained store ->
            String.Concat(
                store.ToString(),
                " is flushed but never drained: drain, or persist in place of the flush, before anything relies on it."
            )
        | FlushedTwice flush ->
            String.Concat(
                flush.ToString(),
                " flushes again what was flushed already and not stored to since: leave one of the two out."
            )
        | FlushedClean flush ->
            String.Concat(
                flush.ToString(),
                " flushes nothing: no line of it has a store that still needs a flush. Check the range, or leave it out."
            )
        | OverwrittenBeforeDurable(store, by) ->
            String.Concat(
                store.ToString(),
                " is overwritten before it is durable, by ",
                by.ToString(),
                ": persist it first if it matters, or leave it out if it does not."
            )

    /// Whether both are the same value.
    static member op_Equality(left: PersistDiagnostic, right: PersistDiagnostic) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: PersistDiagnostic, right: PersistDiagnostic) = not (Object.Equals(left, right))

/// A store's part in one unit, not durable yet.
[<Sealed>]
type internal PendingStore(index: int, range: ByteRange, isNonTemporal: bool) =
    member _.Index = index
    member _.Range = range
    member _.IsNonTemporal = isNonTemporal
    member val IsFlushed = false with get, set
    member val IsOverwritten = false with get, set

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

/// Goes through a trace once, with the stores that are not durable yet at hand, by unit.
[<Sealed>]
type internal Linter(model: PersistencyModel, events: IReadOnlyList<RecordedEvent>) =
    let unitBytes = Model.unitBytes model
    let pending = Dictionary<int64, List<PendingStore>>()

    /// Lines flushed, with no drain and no store since.
    let flushed = FlushedLines()
    let found = List<PersistDiagnostic>()

    /// The last unit is not whole.
    let rangeOf unit =
        let first = unit * unitBytes
        ByteRange(first, min unitBytes (Int64.MaxValue - first))

    /// The units of a store.
    let unitsOf (range: ByteRange) =
        [|
            for unit in range.Offset / unitBytes .. (range.End - 1L) / unitBytes -> unit
        |]

    /// The units of a range in which something is pending. A flush may be far longer than what was stored in it.
    let pendingUnits (range: ByteRange) =
        if range.Length / unitBytes < int64 pending.Count then
            unitsOf range |> Array.filter pending.ContainsKey
        else
            Seq.filter (fun unit -> range.Overlaps(rangeOf unit)) pending.Keys
            |> Seq.sort
            |> Seq.toArray

    let pendingIn unit =
        match pending.TryGetValue unit with
        | true, stores -> stores
        | _ ->
            let stores = List<PendingStore>()
            pending[unit] <- stores
            stores

    let flushOf index range =
        TracedFlush(index, range, events[index].Source)

    let overwrite index (range: ByteRange) (stores: List<PendingStore>) =
        for store in stores do
            if store.Range.Overlaps range && not store.IsOverwritten then
                store.IsOverwritten <- true

                found.Add(
                    OverwrittenBeforeDurable(
                        Trace.part store.Index events[store.Index] store.Range,
                        Trace.part index events[index] range
                    )
                )

        stores.RemoveAll(fun store -> range.Contains store.Range) |> ignore

    /// A store that is durable at once takes along what was stored to its words before it.
    let settleWords (words: ByteRange) (stores: List<PendingStore>) =
        for store in stores.ToArray() do
            if store.Range.Overlaps words then
                stores.Remove store |> ignore

                for first, last in [ store.Range.Offset, words.Offset; words.End, store.Range.End ] do
                    if first < last then
                        stores.Add(PendingStore(store.Index, ByteRange(first, last - first), store.IsNonTemporal))

    let store index offset (length: int64) isNonTemporal =
        let whole = ByteRange(offset, length)

        if length > 0L && Model.isDurableAtOnce model isNonTemporal then
            let words = whole.AlignOut Atom.SizeBytes

            for unit in unitsOf words do
                match pending.TryGetValue unit with
                | true, stores -> settleWords words stores
                | _ -> ()
        elif length > 0L then
            for unit in unitsOf whole do
                let range = whole.Intersect(rangeOf unit)
                let stores = pendingIn unit
                overwrite index range stores
                stores.Add(PendingStore(index, range, isNonTemporal))
                flushed.Remove(rangeOf unit)

    /// CLFLUSH makes durable what went past the cache too.
    let hasUnflushed kind unit =
        (pendingIn unit).Exists(fun store -> not store.IsFlushed && (kind = Clflush || not store.IsNonTemporal))

    let writeBack index kind (range: ByteRange) =
        let units = pendingUnits range
        let again = flushed.In range

        if again.Length > 0 then
            for lines in FlushPlan.Of(again).Ranges do
                found.Add(FlushedTwice(flushOf index lines))
        elif not (Array.exists (hasUnflushed kind) units) then
            found.Add(FlushedClean(flushOf index range))

        if kind <> Clflush then
            flushed.Add range

        for unit in units do
            if kind = Clflush then
                pendingIn(unit).Clear()
            else
                for store in pendingIn unit do
                    store.IsFlushed <- not store.IsNonTemporal

    let fence () =
        flushed.Clear()

        for stores in pending.Values do
            stores.RemoveAll(fun store -> store.IsFlushed || store.IsNonTemporal) |> ignore

    let sync index (range: ByteRange) =
        let units = pendingUnits range

        // Under Eadr msync is called for, if at all, to fence.
        if
            model <> PersistencyModel.Eadr
            && not (Array.exists (fun unit -> pendingIn(unit).Count > 0) units)
        then
            found.Add(FlushedClean(flushOf index range))

        for unit in units do
            pendingIn(unit).Clear()

        if Model.hasLines model then
            fence ()

    let step index =
        match events[index].Event with
        | Trace.AnyStore(offset, bytes, isNonTemporal) -> store index offset (int64 bytes.Length) isNonTemporal
        | Execute Fence when Model.hasLines model -> fence ()
        | Execute(SyncPages range) when not range.IsEmpty -> sync index (range.AlignOut Model.PageBytes)
        | Execute(WriteBack(kind, range)) when Model.needsWriteBack model && kind <> NoWriteBack && not range.IsEmpty ->
            writeBack index kind (CacheLine.cover range)
        | _ -> ()

    let left select diagnose =
        pending.Values
        |> Seq.collect (Seq.filter select)
        |> Seq.map (fun (store: PendingStore) -> struct (store.Index, store.Range))
        |> Trace.parts events
        |> Seq.map diagnose
        |> found.AddRange

    member _.Run() : PersistDiagnostic[] =
        for index in 0 .. events.Count - 1 do
            step index

        let isDrainMissing (store: PendingStore) =
            store.IsFlushed || (store.IsNonTemporal && Model.hasLines model)

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
