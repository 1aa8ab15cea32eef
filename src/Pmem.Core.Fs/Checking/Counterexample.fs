namespace Pmem

open System
open System.Collections.Generic

/// How much a text shows. Nothing here is set up at run time: checks that begin at once must not wait for one another.
module internal Shown =
    /// The events of a crash, besides those that were lost.
    [<Literal>]
    let Events = 24

    /// The reads and stores of recovery.
    [<Literal>]
    let Accesses = 24

    /// The promises: the last ones.
    [<Literal>]
    let Promises = 12

    /// The diagnostics.
    [<Literal>]
    let Diagnostics = 10

/// <summary>A crash of a counterexample: what had been done, and what of it was durable.</summary>
/// <remarks>Shown is what matters: the stores that were lost, the flushes of their lines, and the stores that recovery
/// read.</remarks>
[<Sealed; AllowNullLiteral(false)>]
type CrashMoment
    internal
    (events: RecordedEvent[], indices: int[], crashPoint: int, next: string, lost: TracedStore[], durable: TracedStore[])
    =
    /// What had happened before the crash and matters, in program order: part of what had happened.
    member _.Events: IReadOnlyList<RecordedEvent> = Array.AsReadOnly events

    /// The number in the whole trace of the event that the crash kept from taking effect; the length of the trace where
    /// it came after everything.
    member _.CrashPoint = crashPoint

    /// The numbers of the events in the whole trace.
    member internal _.Indices = indices

    /// The stores, or parts of stores, that the crash lost, in program order.
    member _.Lost: IReadOnlyList<TracedStore> = Array.AsReadOnly lost

    /// The stores, or parts of stores, that were durable, in program order.
    member _.Durable: IReadOnlyList<TracedStore> = Array.AsReadOnly durable

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
        let first = events.Length - Shown.Events

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
        trail: Access[],
        hasLookedAtPromises: bool,
        repair: string,
        tooEarly: string,
        model: PersistencyModel
    ) =
    // What a loop repeats is shown once.
    let distinct = trail |> Array.distinctBy (fun access -> access.ToString())
    let shown = Array.skip (max 0 (distinct.Length - Shown.Accesses)) distinct

    let promised =
        let last =
            Array.sub
                acknowledged
                (max 0 (acknowledged.Length - Shown.Promises))
                (min Shown.Promises acknowledged.Length)

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

    /// The operations that had been promised to survive, whether recovery looked at them or not.
    member _.Acknowledged: IReadOnlyList<int64> = Array.AsReadOnly acknowledged

    /// How recovery rejected it.
    member _.Failure = failure

    /// A copy of what memory held when the last recovery began.
    member _.ToImage() = Array.copy image

    /// <summary>The least order that rules this state out, in words, as in <c>persist Log.cs:41 (store 64+8 = 7) before
    /// Log.cs:44 (store 0+8 = 1)</c>; empty where none does.</summary>
    /// <remarks>It was tried on the trace.</remarks>
    member _.Repair = repair

    /// What to look at first: the store whose loss is the mistake, and the order that mends it.
    member internal counterexample.Headline =
        [|
            match Seq.tryHead counterexample.Lost with
            | Some store -> String.Concat("  Lost: ", store.ToString())
            | None when tooEarly.Length = 0 -> "  Nothing was lost: the moment of the crash is the mistake."
            | None -> ()
            if tooEarly.Length > 0 then
                String.Concat("  Too early: ", tooEarly)
            if repair.Length > 0 then
                String.Concat("  To rule it out: ", repair, ".")
        |]

    member private _.TrailLines =
        [|
            if distinct.Length > Shown.Accesses then
                "    …"
            for access in shown do
                String.Concat("    ", access.ToString())
        |]

    member internal _.Trail = shown

    member internal counterexample.Lines =
        [|
            yield! counterexample.Headline
            for i in 0 .. crashes.Length - 1 do
                if i = 0 then
                    String.Concat("  What happened, under ", model.ToString(), " (what does not matter is left out):")
                else
                    "  Then recovery ran, and did:"

                yield! crashes[i].Lines
            "  Then recovery ran:"
            yield! counterexample.TrailLines
            if hasLookedAtPromises && acknowledged.Length > 0 then
                String.Concat("  Promised before the crash: ", promised)
            String.Concat("  ", failure.ToString())
        |]

    /// What happened, what was lost, what recovery read, and what it said.
    override counterexample.ToString() = String.Join("\n", counterexample.Lines)
