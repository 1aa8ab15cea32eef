namespace Pmem

open System
open System.Collections.Generic

/// <summary>An order that rules a state out: these stores are persisted before an event.</summary>
[<NoEquality; NoComparison>]
type internal RepairOrder =
    {
        First: RecordedEvent
        /// The last of the stores that must be durable: the first where there is one.
        Last: RecordedEvent
        Before: RecordedEvent
        /// Whether the event before which they must be durable came before them.
        IsTooEarly: bool
    }

    /// As in <c>persist Log.cs:41 (store 64+8 = 7) before Log.cs:44 (store 0+8 = 1)</c>.
    override order.ToString() =
        let what (recorded: RecordedEvent) =
            String.Concat(recorded.Source.ToString(), " (", recorded.Event.ToString(), ")")

        let stores =
            if Object.ReferenceEquals(order.First, order.Last) then
                what order.First
            else
                String.Concat(what order.First, " to ", what order.Last)

        String.Concat("persist ", stores, " before ", what order.Before)

/// What the crash came too late for, or too early: the trace about it, and which of its stores were durable.
[<Sealed>]
type internal RepairScene(finding: Finding, depth: int) =
    let crash = List.item depth finding.Situation.Crashes
    let layer = List.item depth finding.Layers

    /// Without a promise to end what the crash fell into, so many events after it.
    let mostEvents = 64

    let isPromise (recorded: RecordedEvent) = recorded.Event.IsAcknowledge

    /// The events to the end of the operation that the crash fell into: the next one may have the mistake again.
    let events =
        let isAfterPromise = crash.Point > 0 && isPromise crash.Events[crash.Point - 1]

        let count =
            if isAfterPromise then
                crash.Point
            else
                seq { crash.Point .. crash.Events.Count - 1 }
                |> Seq.tryFind (fun i -> isPromise crash.Events[i])
                |> Option.map ((+) 1)
                |> Option.defaultValue (crash.Point + mostEvents)

        Seq.truncate count crash.Events |> Seq.toArray

    let rangeOf index =
        match events[index].Event with
        | Trace.AnyStore(offset, bytes, _) -> ByteRange(offset, int64 bytes.Length)
        | _ -> ByteRange(0L, 0L)

    let isBarrier index =
        match events[index].Event with
        | Execute Fence
        | Execute(SyncPages _)
        | Execute(WriteBack(Clflush, _)) -> true
        | _ -> false

    let pendingWhere isReflected =
        [|
            for pair in layer.Durability.Pending do
                for i in 0 .. pair.Value.Count - 1 do
                    if layer.IsReflected(pair.Key, i) = isReflected then
                        pair.Value[i].Event
        |]
        |> Array.distinct
        |> Array.sort

    /// The stores that left what recovery read: of each word the last.
    let seen =
        let read = HashSet<int64>()

        for access in finding.Run.Trail do
            if not access.IsStore then
                Atoms.forEach access.Range.Offset access.Range.Length (fun atom _ _ _ -> read.Add atom |> ignore)

        [|
            for i in crash.Point - 1 .. -1 .. 0 do
                let mutable isSeen = false

                let range = rangeOf i

                Atoms.forEach range.Offset range.Length (fun atom _ _ _ -> isSeen <- read.Remove atom || isSeen)

                if isSeen then
                    i
        |]

    let lost = pendingWhere false

    member _.Crash = crash
    member _.Events = events
    member _.RangeOf index = rangeOf index
    member _.Lost = lost

    /// The stores that were durable and matter, the last first.
    member val Durable =
        Array.append seen (pendingWhere true)
        |> Array.except lost
        |> Array.distinct
        |> Array.sortDescending

    /// The first promise after an event and before the crash.
    member _.PromiseAfter index =
        seq { index + 1 .. crash.Point - 1 }
        |> Seq.tryFind (fun i -> isPromise events[i])

    /// The numbers of the fences, syncs and the like from the crash on.
    member _.Barriers =
        [|
            for i in crash.Point .. events.Length - 1 do
                if isBarrier i then
                    i
        |]

    /// Whether what lies between two events makes something durable.
    member _.HasBarrier(first, last) =
        Seq.exists isBarrier (seq { first..last })
