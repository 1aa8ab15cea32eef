namespace Pmem

open System
open System.Collections.Generic

/// <summary>Finds the least order that rules a state out.</summary>
/// <remarks>One store that was lost is made durable before one that was durable, or before a promise: that is tried on the
/// trace. Of the orders that rule the state out the first is taken that leaves no state rejected near it.</remarks>
[<Sealed>]
type internal Repair(subject: Subject, finding: Finding) =
    /// The crash whose order is at fault: the last that lost something.
    let depth =
        finding.Layers
        |> List.tryFindIndexBack (fun layer ->
            layer.Durability.Pending
            |> Seq.exists (fun pair ->
                Seq.exists (fun i -> not (layer.IsReflected(pair.Key, i))) (seq { 0 .. pair.Value.Count - 1 })))
        |> Option.defaultValue 0

    let crash = List.item depth finding.Situation.Crashes
    let layer = List.item depth finding.Layers

    /// Orders that are tried; and runs for each, to see whether it is enough.
    let mostOrders = 24

    let mostRuns = 400L

    let eventsWhere isReflected =
        [|
            for pair in layer.Durability.Pending do
                for i in 0 .. pair.Value.Count - 1 do
                    if layer.IsReflected(pair.Key, i) = isReflected then
                        pair.Value[i].Event
        |]
        |> Array.distinct
        |> Array.sort

    let promises =
        [|
            for i in 0 .. crash.Point - 1 do
                if crash.Events[i].Event.IsAcknowledge then
                    i
        |]

    let persist (range: ByteRange) source =
        let instructions =
            if subject.Options.Model.IsPageCache then
                [ SyncPages(range.AlignOut ModelRules.PageBytes) ]
            else
                [ WriteBack(Clwb, CacheLine.cover range); Fence ]

        instructions
        |> List.map (fun instruction -> RecordedEvent(Execute instruction, source))

    let rangeOf index =
        match crash.Events[index].Event with
        | Trace.AnyStore(offset, bytes, _) -> ByteRange(offset, int64 bytes.Length)
        | _ -> ByteRange(0L, 0L)

    /// The trace with a store made durable before an event.
    let mended lost before =
        let events = Seq.toList crash.Events
        let earlier, later = List.splitAt before events

        List.concat [ earlier; persist (rangeOf lost) events[lost].Source; later ]
        |> List.toArray

    /// Whether recovery accepts all that the mended trace leaves, as far as is tried.
    let isEnough events =
        let options =
            subject.Options.WithBudget(mostRuns).WithProgress(Action<CrashProgress> ignore)

        let search = CrashSearch({ subject with Options = options }, events)
        search.Run()
        search.Finding.IsNone

    let words lost (before: int) =
        let what (recorded: RecordedEvent) =
            String.Concat(recorded.Source.ToString(), " (", recorded.Event.ToString(), ")")

        String.Concat("persist ", what crash.Events[lost], " before ", what crash.Events[before])

    member _.Find() =
        let lost = eventsWhere false

        let orders =
            seq {
                for lost in lost do
                    for before in Seq.append (eventsWhere true) promises do
                        if lost < before then
                            struct (lost, before)
            }
            |> Seq.truncate mostOrders
            |> Seq.toArray

        let isBest struct (lost, before) =
            depth = 0 && isEnough (mended lost before)

        match Array.tryFind isBest orders, Array.tryHead orders with
        | Some(struct (lost, before)), _
        | None, Some(struct (lost, before)) -> words lost before
        | None, None -> ""
