namespace Pmem

open System
open System.Collections.Generic

/// Memory after one crash or more, as far as it is known.
type internal Situation =
    {
        /// What lies below: what was durable at the first crash, or all of it.
        Image: byte[]
        /// The first crash first.
        Crashes: Crash list
        Narrowings: Narrowing[]
        Acknowledged: IReadOnlyList<int64>
    }

/// A state that recovery rejects.
type internal Finding =
    {
        Situation: Situation
        Layers: LazyLayer list
        Run: RecoveryRun
        Failure: RecoveryFailure
    }

/// What exploring came to.
[<RequireQualifiedAccess>]
type internal Outcome =
    /// Everything that was asked for was tried.
    | Exhausted
    /// The limit was reached.
    | Stopped
    | Rejected of Finding

module internal Situation =
    /// The memory of a situation, its layers from the first crash on, and what has been settled about them.
    let build (situation: Situation) (settled: Narrowing[]) =
        let log = List<Narrowing>()
        let flat = FlatSource situation.Image :> Source

        let add (layers: LazyLayer list, lower) crash =
            let layer = LazyLayer(layers.Length, crash.Durability, lower, log)
            layers @ [ layer ], (layer :> Source)

        let layers, source = List.fold add ([], flat) situation.Crashes

        let settle (narrowings: Narrowing seq) =
            for narrowing in narrowings do
                (List.item narrowing.Depth layers).Settle narrowing

        settle situation.Narrowings
        settle settled
        struct (layers, source, log)

    let promises (events: IReadOnlyList<RecordedEvent>) =
        [|
            for recorded in events do
                match recorded.Event with
                | Acknowledge operation -> operation
                | _ -> ()
        |]

    /// What was promised before the last of these crashes.
    let acknowledged (crashes: Crash list) =
        let all =
            [|
                for crash in crashes do
                    yield! Array.truncate crash.Promised (promises crash.Events)
            |]

        Promises.first all.Length all

    /// The situation after a crash of a recovery run.
    let next (situation: Situation) (run: RecoveryRun) (crash: Crash) =
        // After the last event memory does not change: what was read later need not be settled.
        let known = min crash.Point (run.Trace.Count - 1)

        { situation with
            Crashes = situation.Crashes @ [ crash ]
            Narrowings = run.Log.GetRange(0, run.NarrowingsAt[known]).ToArray()
            Acknowledged =
                if crash.Promised = 0 then
                    situation.Acknowledged
                else
                    let all =
                        Array.append
                            (Seq.toArray situation.Acknowledged)
                            (Array.truncate crash.Promised (promises run.Trace))

                    Promises.first all.Length all
        }

    /// The words that a run chose in, in groups that met one fate before the crash: the stores, then the lines. A group of
    /// one word is left out: the word is varied by itself.
    let groups (layers: LazyLayer list) (taken: Taken[]) isIn =
        let atoms = HashSet<int64>(taken |> Seq.map (fun choice -> choice.Atom))

        let pieces =
            [|
                for layer in layers do
                    for unit in atoms |> Seq.map layer.Durability.UnitOfAtom |> Seq.distinct do
                        match layer.Durability.ViewOf unit with
                        | null -> ()
                        | view ->
                            for i in 0 .. view.Pieces.Length - 1 do
                                if atoms.Contains view.Pieces[i].Atom then
                                    struct (layer.Depth, unit, i, view.Pieces[i])
            |]

        let by (key: Piece -> int64) =
            pieces
            |> Seq.groupBy (fun struct (depth, _, _, piece) -> struct (depth, key piece))
            |> Seq.filter (fun (_, group) ->
                group
                |> Seq.distinctBy (fun struct (_, _, _, piece) -> piece.Atom)
                |> Seq.length
                    >
                    1)
            |> Seq.map (fun (_, group) ->
                [|
                    for struct (depth, unit, index, _) in group ->
                        { Depth = depth; Unit = unit; Index = index; IsIn = isIn }
                |])
            |> Seq.toArray

        struct (by (fun piece -> int64 piece.Event), by (fun piece -> CacheLine.indexOf (piece.Atom * Atom.SizeBytes)))

    let private notDeterministic what =
        InvalidOperationException(
            String.Concat(
                "The recovery is not deterministic: ",
                what,
                ". It must depend on nothing but what it reads from the memory that it is given."
            )
        )

    let strayed () =
        raise (notDeterministic "on the same memory it read other bytes than before")

    let disagreed () =
        raise (notDeterministic "on the same memory it came to another result than before")
