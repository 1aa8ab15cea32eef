namespace Pmem

open System
open System.Collections.Generic
open System.Text

/// What a crash check found.
[<RequireQualifiedAccess>]
type CrashVerdict =
    /// Recovery accepted every state that a crash can leave behind.
    | Consistent
    /// Recovery accepted every state that was tried; the budget or the sampling left others out.
    | ConsistentSoFar
    /// Recovery rejected a state that a crash can leave behind.
    | Inconsistent

    /// In words.
    override verdict.ToString() =
        match verdict with
        | Consistent -> "Consistent, exhaustively"
        | ConsistentSoFar -> "Consistent so far, not exhaustively"
        | Inconsistent -> "Inconsistent"

/// How recovery rejected a state.
[<RequireQualifiedAccess>]
type RecoveryFailure =
    /// It returned false.
    | ReturnedFalse
    /// It threw.
    | Threw of Exception: exn
    /// It had not ended after so many accesses: reads, stores, flushes, drains and promises.
    | Looped of Accesses: int64

    /// In words.
    override failure.ToString() =
        match failure with
        | ReturnedFalse -> "Recovery returned false."
        | Threw error -> String.Concat("Recovery threw ", error.GetType().Name, ": ", error.Message)
        | Looped accesses ->
            String.Concat("Recovery loops: it had not ended after ", Words.number accesses, " accesses.")

    /// Whether both are the same value.
    static member op_Equality(left: RecoveryFailure, right: RecoveryFailure) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: RecoveryFailure, right: RecoveryFailure) = not (Object.Equals(left, right))

/// What recovery did to memory: the bytes that a read returned, or that it stored.
[<Sealed; AllowNullLiteral(false)>]
type internal Access(range: ByteRange, isStore: bool, bytes: ReadOnlyMemory<byte>) =
    override _.ToString() =
        String.Concat(
            (if isStore then "stored " else "read   "),
            range.ToString(),
            (if isStore then " = " else " → "),
            Words.bytes bytes.Span
        )

/// <summary>A crash of a counterexample: what had been done, and what of it was durable.</summary>
/// <remarks>Events that do not matter were dropped from the first crash.</remarks>
[<Sealed; AllowNullLiteral(false)>]
type CrashMoment
    internal
    (events: RecordedEvent[], indices: int[], crashPoint: int, next: string, lost: TracedStore[], durable: TracedStore[])
    =
    /// The most events that the text shows, besides those that were lost.
    static let shownEvents = 24

    /// What had happened before the crash and matters, in program order.
    member _.Events: IReadOnlyList<RecordedEvent> = Array.AsReadOnly events

    /// The number in the whole trace of the event that the crash kept from taking effect; the length of the trace where
    /// it came after everything.
    member _.CrashPoint = crashPoint

    /// The stores, or parts of stores, that the crash lost, in program order.
    member _.Lost: IReadOnlyList<TracedStore> = Array.AsReadOnly lost

    /// The stores, or parts of stores, that were durable, in program order.
    member _.Durable: IReadOnlyList<TracedStore> = Array.AsReadOnly durable

    /// The numbers of the events in the whole trace.
    member internal _.Indices = indices

    member internal _.Lines =
        let hasLost = HashSet<int>(lost |> Array.map (fun store -> store.EventIndex))
        let hasDurable = HashSet<int>(durable |> Array.map (fun store -> store.EventIndex))

        let fate index =
            match hasLost.Contains index, hasDurable.Contains index with
            | true, true -> "torn     "
            | true, false -> "LOST     "
            | false, true -> "durable  "
            | false, false -> "         "

        // What was lost is always shown, and the last of the rest.
        let first = events.Length - shownEvents

        let isShown i =
            i >= first || hasLost.Contains indices[i]

        let hidden =
            Array.init (max 0 first) id |> Array.filter (isShown >> not) |> Array.length

        [|
            if hidden > 0 then
                String.Concat("    … ", Words.count (int64 hidden) "event", " before the rest, nothing of them lost")

            for i in 0 .. events.Length - 1 do
                if isShown i then
                    String.Concat("    ", fate indices[i], events[i].ToString())

                    if hasDurable.Contains indices[i] then
                        for store in lost do
                            if store.EventIndex = indices[i] then
                                String.Concat("             lost of it: ", store.Range.ToString())
            String.Concat("    -- power failure ", next)
        |]

    /// One line for each event, with its source line and its fate, and then the crash.
    override moment.ToString() = String.Join("\n", moment.Lines)

/// A state that a crash can leave behind and that recovery rejects, and how it comes about.
[<Sealed; AllowNullLiteral(false)>]
type CrashCounterexample
    internal
    (
        crashes: CrashMoment[],
        acknowledged: int64[],
        failure: RecoveryFailure,
        image: byte[],
        trail: string[],
        model: PersistencyModel
    ) =
    /// The most promises that the text shows: the last ones.
    static let shownPromises = 12

    let promised =
        let last =
            Array.sub acknowledged (max 0 (acknowledged.Length - shownPromises)) (min shownPromises acknowledged.Length)

        String.Concat(
            (if last.Length < acknowledged.Length then "…, " else ""),
            String.Join(", ", Array.map Words.number last)
        )

    /// The crashes in order: of the workload, then of each recovery but the last.
    member _.Crashes: IReadOnlyList<CrashMoment> = Array.AsReadOnly crashes

    /// The stores that were lost, of all crashes in order.
    member _.Lost: IReadOnlyList<TracedStore> =
        Array.collect (fun (crash: CrashMoment) -> Seq.toArray crash.Lost) crashes

    /// The stores that were durable and matter, of all crashes in order.
    member _.Durable: IReadOnlyList<TracedStore> =
        Array.collect (fun (crash: CrashMoment) -> Seq.toArray crash.Durable) crashes

    /// The events that matter, of all crashes in order.
    member _.Events: IReadOnlyList<RecordedEvent> =
        Array.collect (fun (crash: CrashMoment) -> Seq.toArray crash.Events) crashes

    /// The number of the workload's event that the first crash kept from taking effect.
    member _.CrashPoint = crashes[0].CrashPoint

    /// The operations that had been promised to survive.
    member _.Acknowledged: IReadOnlyList<int64> = Array.AsReadOnly acknowledged

    /// How recovery rejected it.
    member _.Failure = failure

    /// A copy of what memory held when the last recovery began.
    member _.ToImage() = Array.copy image

    member internal _.Trail = trail

    member internal _.Lines =
        [|
            for i in 0 .. crashes.Length - 1 do
                if i = 0 then
                    String.Concat("  What happened, under ", model.ToString(), " (events that do not matter left out):")
                else
                    "  Then recovery ran, and did:"

                yield! crashes[i].Lines
            "  Then recovery ran:"
            for access in trail do
                String.Concat("    ", access)
            if acknowledged.Length > 0 then
                String.Concat("  Promised before the crash: ", promised)
            String.Concat("  ", failure.ToString())
        |]

    /// What happened, what was lost, what recovery read, and what it said.
    override counterexample.ToString() = String.Join("\n", counterexample.Lines)

/// <summary>What a crash check found; <c>ToString</c> is meant for a test log.</summary>
[<Sealed; AllowNullLiteral(false)>]
type CrashReport
    internal
    (
        options: CrashCheckOptions,
        verdict: CrashVerdict,
        recoveryRuns: int64,
        crashPoints: int,
        counterexamples: CrashCounterexample[],
        diagnostics: PersistDiagnostic[]
    ) =
    /// The most diagnostics that the text shows.
    static let shownDiagnostics = 10

    member internal _.Model: PersistencyModel = options.Model

    /// What was found.
    member _.Verdict = verdict

    /// <summary>How often recovery was run to explore states.</summary>
    /// <remarks>Not counted: runs that repeat a path to see whether recovery is deterministic, and those that shorten a
    /// counterexample.</remarks>
    member _.RecoveryRuns = recoveryRuns

    /// The crash points of the workload that can matter; with a counterexample, those that were visited.
    member _.CrashPoints = crashPoints

    /// Whether there is a counterexample.
    member _.HasCounterexample = counterexamples.Length > 0

    /// <summary>The state that recovery rejected.</summary>
    /// <exception cref="T:System.InvalidOperationException">There is none: the verdict is not Inconsistent.</exception>
    member _.Counterexample =
        if counterexamples.Length = 0 then
            raise (
                InvalidOperationException(
                    String.Concat("There is no counterexample: the verdict is \"", verdict.ToString(), "\".")
                )
            )

        counterexamples[0]

    /// The mistakes that the workload's trace shows without a crash.
    member _.Diagnostics: IReadOnlyList<PersistDiagnostic> = Array.AsReadOnly diagnostics

    /// The verdict, the counterexample and the diagnostics, in lines.
    override _.ToString() =
        let text = StringBuilder()

        let line (words: string) =
            text.Append(words).Append('\n') |> ignore

        line (
            String.Concat(
                [|
                    verdict.ToString()
                    " ("
                    options.ToString()
                    "): "
                    Words.count recoveryRuns "recovery run"
                    ", "
                    Words.count (int64 crashPoints) "crash point"
                    "."
                |]
            )
        )

        for counterexample in counterexamples do
            Array.iter line counterexample.Lines

        if diagnostics.Length > 0 then
            line "  Seen without a crash:"

        // A loop makes the same mistake many times: once for each text is enough.
        let texts =
            diagnostics |> Array.map (fun found -> found.ToString()) |> Array.distinct

        for words in Array.truncate shownDiagnostics texts do
            line (String.Concat("    ", words))

        if texts.Length > shownDiagnostics then
            line (String.Concat("    and ", Words.number (int64 (texts.Length - shownDiagnostics)), " more."))

        text.ToString().TrimEnd '\n'
