namespace Pmem

open System
open System.Collections.Generic

/// One crash: the trace that it cut off, and where.
type internal Crash = { Events: IReadOnlyList<RecordedEvent>; Point: int; Durability: Durability }

/// Memory after one crash or more, as far as it is known.
type internal Situation =
    {
        Image: byte[]
        Crashes: Crash list
        Narrowings: Narrowing[]
        Acknowledged: int64[]
    }

/// A state that recovery rejects.
type internal Finding =
    {
        Situation: Situation
        Layers: LazyLayer list
        Run: RecoveryRun
        Failure: RecoveryFailure
    }

module internal Situation =
    /// The memory of a situation; both lists begin with the first crash.
    let build (situation: Situation) =
        let log = List<Narrowing>()
        let flat = FlatSource situation.Image :> Source

        let add (layers: LazyLayer list, lower) crash =
            let layer = LazyLayer(layers.Length, crash.Durability, lower, log)
            layers @ [ layer ], (layer :> Source)

        let layers, source = List.fold add ([], flat) situation.Crashes
        let byDepth = List.toArray layers

        for narrowing in situation.Narrowings do
            byDepth[narrowing.Depth].Replay narrowing

        struct (layers, source, log)

    let promises (events: IReadOnlyList<RecordedEvent>) =
        [|
            for recorded in events do
                match recorded.Event with
                | Acknowledge operation -> operation
                | _ -> ()
        |]

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

/// Explores situations path by path. Every recovery run is counted, but not those that repeat the first path, and each
/// rejected one, to see whether recovery is deterministic.
[<Sealed>]
type internal Explorer(subject: Subject, random: RandomNumbers voption, repeats: int) =
    let options = subject.Options
    let mutable runs = 0L
    let mutable accesses = 0L
    let mutable hasSampled = false

    let isSame (left: RecoveryRun) (right: RecoveryRun) =
        let kind (run: RecoveryRun) =
            match run.Failure with
            | ValueNone -> ""
            | ValueSome(RecoveryFailure.Threw error) -> error.GetType().FullName
            | ValueSome failure -> failure.ToString()

        left.History = right.History && kind left = kind right

    let runOnce situation script =
        options.Cancellation.ThrowIfCancellationRequested()
        let struct (layers, source, log) = Situation.build situation
        let run = RecoveryRun.run subject source script log situation.Acknowledged
        accesses <- accesses + run.Accesses

        if not script.WasFollowed then
            Situation.strayed ()

        struct (run, layers, log)

    let repeat situation script (run: RecoveryRun) =
        for _ in 1..repeats do
            let struct (again, _, _) = runOnce situation script

            if not (isSame run again) then
                Situation.disagreed ()

    /// The situation after a crash at an event of a recovery run.
    let next situation (run: RecoveryRun) (log: List<Narrowing>) point durability promised =
        // After the last event memory does not change: what was read later need not be settled.
        let known = min point (run.Trace.Count - 1)

        { situation with
            Crashes =
                situation.Crashes
                @ [ { Events = run.Trace; Point = point; Durability = durability } ]
            Narrowings = log.GetRange(0, run.NarrowingsAt[known]).ToArray()
            Acknowledged = Array.append situation.Acknowledged (Array.truncate promised (Situation.promises run.Trace))
        }

    member _.Runs = runs
    member _.Accesses = accesses

    /// Whether paths were left out that no script remembers.
    member _.HasSampled = hasSampled

    /// Runs paths, or one, until one is rejected, all are done, or the runs are at the limit; where they are, the script
    /// stays at the path to go on with. Returns whether all were done.
    member explorer.Explore
        (situation, script: Script, limit: int64, crashesLeft: int, isOnce: bool, found: Finding -> unit)
        : bool =
        let mutable isDone = false
        let mutable isStopped = false

        while not isDone && not isStopped do
            if runs >= limit then
                isStopped <- true
            else
                let struct (run, layers, log) = runOnce situation script
                runs <- runs + 1L

                if runs = 1L || run.Failure.IsSome then
                    repeat situation script run

                match run.Failure with
                | ValueSome failure ->
                    script.WasRejected <- true

                    found { Situation = situation; Layers = layers; Run = run; Failure = failure }

                    isStopped <- true
                | ValueNone when
                    crashesLeft > 0
                    && run.HasStores
                    && not (explorer.CrashRun(situation, script, run, log, limit, crashesLeft, found))
                    ->
                    isStopped <- true
                | ValueNone ->
                    isDone <- not (script.Advance())
                    isStopped <- isOnce

        isDone

    /// Crashes a recovery run at each of its points. A point that comes before the first choice that is new was visited
    /// by an earlier run; the end of a run was not: an earlier one may have gone on from there.
    member private explorer.CrashRun(situation, script: Script, run, log, limit, crashesLeft, found) =
        let mutable isDone = true
        let changed = script.Changed

        CrashPoints.walk options.Model run.Trace (fun point durability promised ->
            let known = min point (run.Trace.Count - 1)

            if point = run.Trace.Count || run.ChoicesAt[known] > changed then
                let crashed = next situation run log point durability promised
                let inner = Script random

                // At random one path is taken for each crash of recovery: the samples are spread, not spent on the first.
                if random.IsSome then
                    if not (explorer.Explore(crashed, inner, limit, crashesLeft - 1, true, found)) then
                        hasSampled <- true
                        script.WasSampled <- true

                    isDone <- not inner.WasRejected
                else
                    isDone <- explorer.Explore(crashed, inner, limit, crashesLeft - 1, false, found)

                script.WasRejected <- inner.WasRejected

            isDone)

        isDone

/// What a search over all crash points of a trace came to.
[<Struct>]
type internal Searched = { Finding: Finding voption; IsComplete: bool; Runs: int64; Points: int }

/// Visits the crash points of a trace.
[<Sealed>]
type internal CrashSearch(subject: Subject, events: RecordedEvent[]) =
    let options = subject.Options
    let promises = Situation.promises events

    let random =
        match options.Strategy with
        | CrashStrategy.Exhaustive -> ValueNone
        | CrashStrategy.Sampled seed -> ValueSome(RandomNumbers seed)

    /// Three more runs: a recovery that rolls dice is caught with one chance in eight left.
    let explorer = Explorer(subject, random, 3)

    /// The paths to go on with, for each crash point that is not done.
    let scripts = Dictionary<int, Script>()

    let mutable finding = ValueNone
    let mutable visited = 0

    let points =
        let mutable count = 0

        CrashPoints.walk options.Model events (fun _ _ _ ->
            count <- count + 1
            true)

        count

    /// An equal share of the budget for each point that is left, and at least one run.
    let limit left =
        min options.Budget (explorer.Runs + max 1L ((options.Budget - explorer.Runs) / int64 left))

    let visit ordinal point durability promised left =
        let crash = { Events = events; Point = point; Durability = durability }

        let situation =
            {
                Image = subject.Image
                Crashes = [ crash ]
                Narrowings = [||]
                Acknowledged = Array.truncate promised promises
            }

        let script =
            match scripts.TryGetValue ordinal with
            | true, script -> script
            | _ -> Script random

        visited <- max visited (ordinal + 1)

        let isDone =
            explorer.Explore(
                situation,
                script,
                limit left,
                options.RecoveryCrashes,
                false,
                (fun found -> finding <- ValueSome found)
            )

        if isDone then scripts.Remove ordinal |> ignore else scripts[ordinal] <- script

        options.Progress.Invoke
            {
                RecoveryRuns = explorer.Runs
                CrashPointsDone = ordinal + 1
                CrashPoints = points
            }

    /// One pass over the points that are not done.
    let pass isFirst =
        let mutable ordinal = -1
        let mutable left = if isFirst then points else scripts.Count

        CrashPoints.walk options.Model events (fun point durability promised ->
            ordinal <- ordinal + 1

            if isFirst || scripts.ContainsKey ordinal then
                visit ordinal point durability promised left
                left <- left - 1

            finding.IsNone && explorer.Runs < options.Budget)

    member _.Run() =
        pass true

        // What the early points did not need of their share is left for those that need more.
        while finding.IsNone && scripts.Count > 0 && explorer.Runs < options.Budget do
            pass false

        {
            Finding = finding
            IsComplete = scripts.Count = 0 && visited = points && not explorer.HasSampled
            Runs = explorer.Runs
            Points = if finding.IsSome then visited else points
        }
