namespace Pmem

open System

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
