namespace Pmem

open System.Collections.Generic

/// A store's share of a word: the number of the event, and of the word.
type internal Share = (struct (int * int64))

/// What a trace becomes when some of its events are left out and some of its stores are lost.
module internal Replay =
    let write (image: byte[]) (lost: HashSet<Share>) index event =
        match event with
        | Trace.AnyStore(offset, bytes, isNonTemporal) ->
            for piece in Atoms.pieces index offset bytes isNonTemporal do
                if not (lost.Contains(struct (index, piece.Atom))) then
                    Images.write image piece.Atom { Value = piece.Value; Mask = piece.Mask }
        | _ -> ()

    /// The image that the events before a number leave behind.
    let image (before: byte[]) (events: IReadOnlyList<RecordedEvent>) isKept count lost =
        let image = Array.copy before

        for i in 0 .. count - 1 do
            if isKept i then
                write image lost i events[i].Event

        image

    /// The events that a crash at a point finds begun: a store that is cut short has begun.
    let begun (events: IReadOnlyList<RecordedEvent>) point =
        if point < events.Count then
            match events[point].Event with
            | Trace.AnyStore _ -> point + 1
            | _ -> point
        else
            events.Count

    /// What a crash lost, where everything is durable that can be.
    let lost (durability: Durability) (layer: LazyLayer) =
        let lost = HashSet<Share>()

        for pair in durability.Pending do
            for i in 0 .. pair.Value.Count - 1 do
                if not (layer.IsDurable(pair.Key, i)) then
                    lost.Add(struct (pair.Value[i].Event, pair.Value[i].Atom)) |> ignore

        lost

    let moment (events: RecordedEvent[]) isKept point (lost: HashSet<Share>) =
        let count = begun events point
        let kept = [| for i in 0 .. count - 1 -> i |] |> Array.filter isKept

        let ranges isLost =
            seq {
                for i in kept do
                    match events[i].Event with
                    | Trace.AnyStore(offset, bytes, isNonTemporal) ->
                        for piece in Atoms.pieces i offset bytes isNonTemporal do
                            if lost.Contains(struct (i, piece.Atom)) = isLost then
                                struct (i, ByteRange(piece.Atom * Atom.SizeBytes, Atom.SizeBytes))
                    | _ -> ()
            }

        let next =
            if point >= events.Length then "after the last event"
            elif count > point then "during the last store"
            else System.String.Concat("before ", events[point].ToString())

        CrashMoment(
            Array.map (fun i -> events[i]) kept,
            kept,
            point,
            next,
            Trace.parts events (ranges true),
            Trace.parts events (ranges false)
        )

/// <summary>Makes a counterexample of a finding, and makes it short.</summary>
/// <remarks>
/// First as few stores as possible are lost: each that is left matters by being lost. Then events are dropped, as long as
/// recovery still rejects what the crash leaves of the rest, in the same way, and still accepts a reference: what the
/// rest leaves where nothing is lost (at the crash, or else at the end of the workload). Without the reference the store
/// whose loss is the mistake could be dropped as well.
/// </remarks>
[<Sealed>]
type internal CrashShrink(subject: Subject, events: RecordedEvent[], finding: Finding) =
    /// Enough for thousands of events, and over in seconds; a counterexample that is not the shortest is still one.
    let mostWork = 5_000_000L
    let mostAccesses = 5_000_000L
    let mostRunsOfOne = 500L

    let crash = List.head finding.Situation.Crashes
    let count = Replay.begun events crash.Point
    let explorer = Explorer(subject, ValueNone, 0)
    let isKept = Array.create events.Length true
    let lost = Replay.lost crash.Durability (List.head finding.Layers)
    let nothing = HashSet<Share>()
    let mutable work = 0L

    let kind failure =
        match failure with
        | RecoveryFailure.ReturnedFalse -> "false"
        | RecoveryFailure.Looped _ -> "loop"
        | RecoveryFailure.Threw error -> error.GetType().FullName

    let explore image acknowledged crashes =
        let mutable found = ValueNone

        let situation =
            { Image = image; Crashes = []; Narrowings = [||]; Acknowledged = acknowledged }

        let limit = explorer.Runs + mostRunsOfOne

        explorer.Explore(
            situation,
            Script ValueNone,
            limit,
            crashes,
            false,
            (fun finding -> found <- ValueSome finding)
        )
        |> ignore

        found

    let promises count =
        Array.init count id
        |> Array.filter (fun i -> isKept[i])
        |> Array.map (fun i -> events[i])
        |> Situation.promises

    let isKeptAt i = isKept[i]

    let imageOf count lost =
        work <- work + int64 (count + subject.Image.Length / 256)
        Replay.image subject.Image events isKeptAt count lost

    /// What recovery says to what the crash leaves of the events that are kept.
    let reject () =
        match explore (imageOf count lost) (promises crash.Point) subject.Options.RecoveryCrashes with
        | ValueSome again when kind again.Failure = kind finding.Failure -> ValueSome again
        | _ -> ValueNone

    /// Whether recovery accepts what the first events leave where nothing is lost.
    let accepts first =
        (explore (imageOf first nothing) (promises (max first crash.Point)) 0).IsNone

    let goesOn () =
        work < mostWork && explorer.Accesses < mostAccesses

    /// Whether a store's share may be durable while the others that are lost stay lost.
    let isFirstLost (pieces: List<Piece>) index =
        let isIn = Array.zeroCreate pieces.Count
        isIn[index] <- true
        Order.closeDown (Model.keepsUnitOrder subject.Options.Model) pieces isIn

        Seq.forall
            (fun i ->
                i = index
                || not isIn[i]
                || not (lost.Contains(struct (pieces[i].Event, pieces[i].Atom))))
            (seq { 0 .. pieces.Count - 1 })

    let restoreSome () =
        for unit in Seq.sort (Seq.toArray crash.Durability.Pending.Keys) do
            let pieces = crash.Durability.Pending[unit]

            for index in 0 .. pieces.Count - 1 do
                let share: Share = struct (pieces[index].Event, pieces[index].Atom)

                if lost.Contains share && goesOn () && isFirstLost pieces index then
                    lost.Remove share |> ignore

                    if (reject ()).IsNone then
                        lost.Add share |> ignore

    /// Leaves as few stores lost as possible: none, if the moment of the crash is the mistake.
    let restore () =
        let all = Seq.toArray lost
        lost.Clear()

        if (reject ()).IsNone then
            lost.UnionWith all
            restoreSome ()

    /// The number of events whose outcome recovery accepts where nothing is lost: up to the crash, or all, or 0 for
    /// neither.
    let reference () =
        if lost.Count > 0 && accepts count then count
        elif accepts events.Length then events.Length
        else 0

    /// The stores of which a byte is left in the image.
    let visible first (lost: HashSet<Share>) =
        let owners = Array.create subject.Image.Length -1

        for i in 0 .. first - 1 do
            match events[i].Event with
            | Trace.AnyStore(offset, bytes, _) ->
                for at in offset .. offset + int64 bytes.Length - 1L do
                    if not (lost.Contains(struct (i, at / Atom.SizeBytes))) then
                        owners[int at] <- i
            | _ -> ()

        HashSet<int> owners

    /// Drops what can be told without a try: what comes too late, what stores nothing (without flushes and drains more
    /// states are possible, not fewer), and what is overwritten both after the crash and in the reference.
    let dropUnseen reference =
        let seen = visible count lost
        seen.UnionWith(visible reference nothing)

        for i in 0 .. events.Length - 1 do
            match events[i].Event with
            | Acknowledge _ -> isKept[i] <- i < max crash.Point reference
            | Execute _ -> isKept[i] <- false
            | _ -> isKept[i] <- i < max count reference && seen.Contains i

    /// Drops a run of events if the rest still shows the mistake.
    let tryDrop reference (chosen: int[]) =
        for i in chosen do
            isKept[i] <- false

        let isShown = (reject ()).IsSome && (reference = 0 || accepts reference)

        if not isShown then
            for i in chosen do
                isKept[i] <- true

        isShown

    let dropPromises reference =
        let isPromise i =
            isKept[i] && events[i].Event.IsAcknowledge

        let promises = Array.init events.Length id |> Array.filter isPromise
        tryDrop reference promises |> ignore

    let rec drop reference size =
        let kept =
            Array.init events.Length id |> Array.filter (fun i -> isKept[i]) |> Array.rev

        let mutable hasDropped = false

        for chosen in Array.chunkBySize size kept do
            if goesOn () && tryDrop reference chosen then
                hasDropped <- true

        if goesOn () && (size > 1 || hasDropped) then
            drop reference (max 1 (size / 2))

    let shorten () =
        restore ()
        let reference = reference ()
        dropUnseen reference
        dropPromises reference
        drop reference (max 1 (events.Length / 2))

    let describe (final: Finding) =
        let mutable image = Replay.image subject.Image events isKeptAt count lost
        let first = Replay.moment events isKeptAt crash.Point lost

        let later =
            (final.Situation.Crashes, final.Layers)
            ||> List.map2 (fun crash layer ->
                let lost = Replay.lost crash.Durability layer
                let events = Seq.toArray crash.Events

                image <- Replay.image image events (fun _ -> true) (Replay.begun events crash.Point) lost
                Replay.moment events (fun _ -> true) crash.Point lost)

        CrashCounterexample(
            List.toArray (first :: later),
            final.Situation.Acknowledged,
            final.Failure,
            image,
            final.Run.Trail,
            subject.Options.Model
        )

    /// The finding as it is, for one whose repetition takes more runs than a try may have.
    let whole =
        { finding with
            Situation = { finding.Situation with Crashes = List.tail finding.Situation.Crashes }
            Layers = List.tail finding.Layers
        }

    member _.Run() =
        if (reject ()).IsSome then
            shorten ()

        match reject () with
        | ValueSome final -> describe final
        | ValueNone -> describe whole
