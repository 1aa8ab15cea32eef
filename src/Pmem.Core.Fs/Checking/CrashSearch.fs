namespace Pmem

open System
open System.Collections.Generic
open System.Threading

/// Where the states are too many to try: the crash, the read that looked at the most of them, and the store behind it.
type internal Explosion = { CrashPoint: int; Choices: int; Read: Access; Store: TracedStore voption }

/// What a search over all crash points of a trace came to.
type internal Searched =
    {
        Finding: Finding voption
        IsComplete: bool
        Runs: int64
        Points: int
        /// Every state with at most so many parts lost, or at most so many durable, was tried; -1 where not even that.
        MostParts: int
        /// Every combination of the fates of any so many parts was tried.
        Strength: int
        Assumed: string[]
        Explosion: Explosion voption
        /// The crash points before the finding that were not done.
        Undone: HashSet<int>
    }

/// Visits the crash points of a trace.
[<Sealed>]
type internal CrashSearch(subject: Subject, events: RecordedEvent[]) =
    let options = subject.Options
    let promises = Situation.promises events
    let model = subject.Rules

    /// Three more runs: a recovery that rolls dice is caught with one chance in eight left.
    let runner = Runner(subject, 3)

    /// What is not done, by the ordinal of the crash point.
    let unfinished = Dictionary<int, Explorer>()

    let mutable finding = ValueNone
    let mutable visited = 0

    let points =
        let mutable count = 0

        CrashPoints.walk model null events (fun _ ->
            count <- count + 1
            true)

        count

    let budget = options.BudgetFor points

    let seedOf ordinal =
        match options.Strategy with
        | CrashStrategy.Exhaustive -> ValueNone
        | CrashStrategy.Sampled seed -> ValueSome(int64 (SplitMix.of2 (uint64 seed) (uint64 ordinal)))

    /// An equal share of the budget for each point that is left, and at least one run.
    let limit left =
        min budget (runner.Runs + max 1L ((budget - runner.Runs) / int64 left))

    let situationAt durable crash =
        {
            Image = durable
            Crashes = [ crash ]
            Narrowings = [||]
            Acknowledged = Promises.first crash.Promised promises
        }

    let visit ordinal durable crash level left =
        let explorer =
            match unfinished.TryGetValue ordinal with
            | true, explorer -> explorer
            | _ -> Explorer(runner, options.RecoveryCrashes, seedOf ordinal)

        visited <- max visited (ordinal + 1)
        unfinished[ordinal] <- explorer

        match explorer.Advance(situationAt durable crash, level, limit left) with
        | Outcome.Rejected found -> finding <- ValueSome found
        | _ ->
            if explorer.IsDone then
                unfinished.Remove ordinal |> ignore

        options.Progress.Invoke
            {
                RecoveryRuns = runner.Runs
                CrashPointsDone = ordinal + 1
                CrashPoints = points
            }

    let isBelow level ordinal =
        ordinal >= visited
        || (match unfinished.TryGetValue ordinal with
            | true, explorer -> explorer.Level < level
            | _ -> false)

    /// Calls with each crash point from an image that holds what is durable there; goes on while that returns true.
    let walk (visit: int -> byte[] -> Crash -> bool) =
        let durable = Array.copy subject.Image
        let mutable ordinal = -1

        CrashPoints.walk model durable events (fun crash ->
            ordinal <- ordinal + 1
            visit ordinal durable crash)

    /// One pass over the points that have not reached a level.
    let pass level =
        let mutable left =
            points - visited
            + (unfinished.Values
               |> Seq.filter (fun explorer -> explorer.Level < level)
               |> Seq.length)

        walk (fun ordinal durable crash ->
            if isBelow level ordinal then
                visit ordinal durable crash level left
                left <- left - 1

            finding.IsNone && runner.Runs < budget)

    let goesOn level =
        finding.IsNone
        && runner.Runs < budget
        && (visited < points
            || Seq.exists (fun (explorer: Explorer) -> explorer.Level < level) unfinished.Values)

    let mostParts () =
        if visited < points then
            -1
        else
            match Seq.fold (fun least (explorer: Explorer) -> min least explorer.Level) Level.All unfinished.Values with
            | Level.All
            | Level.PairsOfWords -> 2
            | Level.PairsOfParts
            | Level.Fates
            | Level.Words -> 1
            | _ -> 0

    let strength () =
        if visited < points || unfinished.Count = 0 then
            0
        else
            Seq.fold (fun least (explorer: Explorer) -> min least explorer.Strength) Int32.MaxValue unfinished.Values

    let storeBehind (crash: Crash) (atoms: HashSet<int64>) =
        let pieces =
            crash.Durability.Pending.Values
            |> Seq.collect id
            |> Seq.filter (fun piece -> atoms.Contains piece.Atom)
            |> Seq.groupBy (fun piece -> piece.Event)
            |> Seq.toArray

        if pieces.Length = 0 then
            ValueNone
        else
            let event = pieces |> Array.maxBy (fun (_, pieces) -> Seq.length pieces) |> fst
            ValueSome(Trace.whole event events[event])

    /// What shows the place where the states explode is run though the check was cancelled.
    let calm =
        { subject with Options = options.WithCancellation CancellationToken.None }

    /// Looks at the durable path once more, for the read that chose the most.
    let explosionAt durable crash =
        let run = Explorer(Runner(calm, 1), 0, ValueNone).Tell(situationAt durable crash)

        let chosen (access: Access) =
            run.Taken
            |> Array.filter (fun choice -> access.Range.Overlaps(Atoms.rangeOf choice.Atom))

        let reads = run.Trail |> Array.filter (fun access -> not access.IsStore)

        if reads.Length = 0 then
            ValueNone
        else
            let read = reads |> Array.maxBy (fun access -> (chosen access).Length)
            let atoms = chosen read |> Seq.map (fun choice -> choice.Atom)

            ValueSome
                {
                    CrashPoint = crash.Point
                    Choices = run.Taken.Length
                    Read = read
                    Store = storeBehind crash (HashSet<int64> atoms)
                }

    /// The crash with the most left to try.
    let explosion () =
        let mutable found = ValueNone

        if unfinished.Count > 0 && finding.IsNone then
            let worst =
                unfinished |> Seq.minBy (fun pair -> struct (int pair.Value.Level, pair.Key))

            walk (fun ordinal durable crash ->
                if ordinal = worst.Key then
                    found <- explosionAt durable crash

                ordinal < worst.Key)

        found

    member _.Run() =
        for level in
            [
                Level.Few
                Level.Parts
                Level.Words
                Level.Fates
                Level.PairsOfParts
                Level.PairsOfWords
                Level.All
            ] do
            while goesOn level do
                pass level

    member _.Finding = finding

    /// What has been found so far.
    member _.Result =
        {
            Finding = finding
            IsComplete = unfinished.Count = 0 && visited = points
            Runs = runner.Runs
            Points = if finding.IsSome then visited else points
            MostParts = mostParts ()
            Strength = strength ()
            Assumed = Seq.toArray runner.Assumed
            Explosion = explosion ()
            Undone = HashSet<int> unfinished.Keys
        }
