namespace Pmem

open System
open System.Collections.Generic

/// Tells how a state comes about: what matters of the events before each crash.
[<Sealed>]
type internal Story(subject: Subject, finding: Finding) =
    let crashes = List.toArray finding.Situation.Crashes
    let layers = List.toArray finding.Layers

    /// What recovery did after each crash, all fates before it settled.
    let runs =
        crashes
        |> Array.mapi (fun depth _ ->
            if depth = crashes.Length - 1 then
                finding.Run
            else
                let narrowings =
                    finding.Situation.Narrowings
                    |> Array.filter (fun narrowing -> narrowing.Depth <= depth)

                let crashes = List.truncate (depth + 1) finding.Situation.Crashes

                Explorer(Runner(subject, 1, true), 0, ValueNone).Tell
                    { finding.Situation with
                        Crashes = crashes
                        Narrowings = narrowings
                        Acknowledged = Situation.acknowledged crashes
                    })

    /// The bytes of words that recovery read after a crash, however often it crashed again.
    let readAfter depth =
        let read = Dictionary<int64, uint64>()

        for run in Seq.skip depth runs do
            for access in run.Trail do
                if not access.IsStore then
                    Atoms.forEach access.Range.Offset access.Range.Length (fun atom first last _ ->
                        match read.TryGetValue atom with
                        | true, mask -> read[atom] <- mask ||| Atoms.maskOf first last
                        | _ -> read[atom] <- Atoms.maskOf first last)

        read

    /// The shares of stores that were lost at a crash.
    let lostAt depth =
        let durability = crashes[depth].Durability
        let lost = HashSet<struct (int * int64)>()

        for pair in durability.Pending do
            for i in 0 .. pair.Value.Count - 1 do
                if not (layers[depth].IsReflected(pair.Key, i)) then
                    lost.Add(struct (pair.Value[i].Event, pair.Value[i].Atom)) |> ignore

        lost

    let storesBefore depth =
        seq {
            for i in crashes[depth].Point - 1 .. -1 .. 0 do
                match crashes[depth].Events[i].Event with
                | Trace.AnyStore(offset, bytes, isNonTemporal) -> yield! Atoms.pieces i offset bytes isNonTemporal
                | _ -> ()
        }

    /// The stores that left what recovery read: of each byte the last that was durable.
    let seenAt depth (lost: HashSet<struct (int * int64)>) =
        let read = readAfter depth

        [|
            for piece in storesBefore depth do
                match read.TryGetValue piece.Atom with
                | true, mask when
                    mask &&& piece.Mask <> 0UL
                    && not (lost.Contains(struct (piece.Event, piece.Atom)))
                    ->
                    read[piece.Atom] <- mask &&& ~~~piece.Mask
                    struct (piece.Event, Atoms.rangeOf piece.Atom)
                | _ -> ()
        |]

    /// The rest of the stores of which a part was lost.
    let tornAt depth (lost: HashSet<struct (int * int64)>) =
        let torn = HashSet<int>(lost |> Seq.map (fun struct (event, _) -> event))

        [|
            for piece in storesBefore depth do
                if
                    torn.Contains piece.Event
                    && not (lost.Contains(struct (piece.Event, piece.Atom)))
                then
                    struct (piece.Event, Atoms.rangeOf piece.Atom)
        |]

    /// The flushes, after a store that was lost, of a line of it: too early or too late, or with no drain after them.
    let flushesAt depth (lost: HashSet<struct (int * int64)>) =
        [|
            for i in 0 .. crashes[depth].Point - 1 do
                match crashes[depth].Events[i].Event with
                | Execute(WriteBack(_, range))
                | Execute(SyncPages range) ->
                    if
                        lost
                        |> Seq.exists (fun struct (event, atom) -> event < i && range.Overlaps(Atoms.rangeOf atom))
                    then
                        i
                | _ -> ()
        |]

    let moment depth =
        let crash = crashes[depth]
        let events = Seq.toArray crash.Events
        let lost = lostAt depth
        let seen = Array.append (seenAt depth lost) (tornAt depth lost) |> Array.distinct

        let indices =
            Seq.concat
                [
                    lost |> Seq.map (fun struct (event, _) -> event)
                    seen |> Seq.map (fun struct (event, _) -> event)
                    flushesAt depth lost |> Seq.ofArray
                ]
            |> Seq.distinct
            |> Seq.sort
            |> Seq.toArray

        let next =
            if crash.Point >= events.Length then
                "after the last event"
            else
                String.Concat("before ", events[crash.Point].ToString())

        CrashMoment(
            Array.map (fun i -> events[i]) indices,
            indices,
            crash.Point,
            next,
            Trace.parts events (lost |> Seq.map (fun struct (event, atom) -> struct (event, Atoms.rangeOf atom))),
            Trace.parts events seen
        )

    let image () =
        let image = Array.copy finding.Situation.Image

        for depth in 0 .. crashes.Length - 1 do
            let durability = crashes[depth].Durability

            for pair in durability.Durable do
                Atoms.write image pair.Key pair.Value

            for pair in durability.Pending do
                for i in 0 .. pair.Value.Count - 1 do
                    if layers[depth].IsReflected(pair.Key, i) then
                        Atoms.write image pair.Value[i].Atom { Value = pair.Value[i].Value; Mask = pair.Value[i].Mask }

        image

    member _.Tell(repair: RepairOrder voption) =
        CrashCounterexample(
            Array.init crashes.Length moment,
            Seq.toArray finding.Situation.Acknowledged,
            finding.Failure,
            image (),
            finding.Run.Trail,
            runs |> Array.exists (fun run -> run.HasLookedAtPromises),
            repair |> ValueOption.map string |> ValueOption.defaultValue "",
            (match repair with
             | ValueSome order when order.IsTooEarly -> order.Before.ToString()
             | _ -> ""),
            subject.Options.Model
        )
