namespace Pmem.Core

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

/// A store's part in one unit, not durable yet.
[<Sealed>]
type internal PendingStore(index: int, range: ByteRange, isNonTemporal: bool) =
    member _.Index = index
    member _.Range = range
    member _.IsNonTemporal = isNonTemporal
    member val IsFlushed = false with get, set
    member val IsOverwritten = false with get, set

/// Goes through a trace once, with the stores that are not durable yet at hand, by unit.
[<Sealed>]
type internal Linter(model: PersistencyModel, events: IReadOnlyList<RecordedEvent>) =
    let unitBytes = Model.unitBytes model
    let pending = Dictionary<int64, List<PendingStore>>()

    /// Units flushed, with no drain and no store since.
    let flushed = HashSet<int64>()
    let found = List<PersistDiagnostic>()

    let unitsOf (range: ByteRange) =
        [|
            for unit in range.Offset / unitBytes .. (range.End - 1L) / unitBytes -> unit
        |]

    let pendingIn unit =
        match pending.TryGetValue unit with
        | true, stores -> stores
        | _ ->
            let stores = List<PendingStore>()
            pending[unit] <- stores
            stores

    let flushOf index range =
        TracedFlush(index, range, events[index].File, events[index].Line)

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
                let range = whole.Intersect(ByteRange(unit * unitBytes, unitBytes))
                let stores = pendingIn unit
                overwrite index range stores
                stores.Add(PendingStore(index, range, isNonTemporal))
                flushed.Remove unit |> ignore

    /// CLFLUSH makes durable what went past the cache too.
    let hasUnflushed kind unit =
        (pendingIn unit).Exists(fun store -> not store.IsFlushed && (kind = Clflush || not store.IsNonTemporal))

    let writeBack index kind (range: ByteRange) =
        let units = unitsOf range
        let again = units |> Array.filter flushed.Contains

        if again.Length > 0 then
            for lines in FlushPlan.Of(again |> Array.map (fun unit -> ByteRange(unit * unitBytes, unitBytes))).Ranges do
                found.Add(FlushedTwice(flushOf index lines))
        elif not (Array.exists (hasUnflushed kind) units) then
            found.Add(FlushedClean(flushOf index range))

        for unit in units do
            if kind = Clflush then
                pendingIn(unit).Clear()
            else
                flushed.Add unit |> ignore

                for store in pendingIn unit do
                    store.IsFlushed <- not store.IsNonTemporal

    let fence () =
        flushed.Clear()

        for stores in pending.Values do
            stores.RemoveAll(fun store -> store.IsFlushed || store.IsNonTemporal) |> ignore

    let sync index (range: ByteRange) =
        let units = unitsOf range

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
    static member Check
        (model: PersistencyModel, events: IEnumerable<RecordedEvent>)
        : IReadOnlyList<PersistDiagnostic> =
        ArgumentNullException.ThrowIfNull(events, nameof events)
        Linter(model, Seq.toArray events).Run()

/// Lint, for pipelines.
module PersistLint =
    /// The mistakes of a trace: those of its course in program order, then what is left undone at its end.
    let check (model: PersistencyModel) (events: RecordedEvent seq) =
        List.ofSeq (PersistLint.Check(model, events))
