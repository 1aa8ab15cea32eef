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

/// The work at one crash point, which counts for itself.
[<Sealed>]
type internal PointSearch(runner: Runner, explorer: Explorer) =
    let mutable counted = 0L
    let mutable level = enum<Level> -1
    member _.Explorer = explorer
    member _.Assumed = runner.Assumed

    /// The level that it had reached when it was taken last: its thread may be ahead of the results that are taken.
    member _.Level = level

    /// Takes it as it is now. The runs since the last time.
    member _.Take() =
        let runs = runner.Runs - counted
        counted <- runner.Runs
        level <- explorer.Level
        runs

    member _.Advance(situation, level, share) =
        explorer.Advance(situation, level, runner.Runs + share)

/// Visits the crash points of a trace.
[<Sealed>]
type internal CrashSearch(subject: Subject, events: RecordedEvent[]) =
    let options = subject.Options
    let promises = Situation.promises events
    let model = subject.Rules

    /// Random samples are spread over all points; elsewhere a point that the next one covers waits for that.
    let covered =
        let covered = CrashPoints.covered model events

        if options.Strategy.IsExhaustive then
            covered
        else
            Array.map (fun _ -> false) covered

    let count = covered.Length
    let budget = options.BudgetFor count

    /// What was begun and is not done.
    let points: PointSearch voption[] = Array.create count ValueNone
    let isDone: bool[] = Array.zeroCreate count
    let isVisited: bool[] = Array.zeroCreate count
    let assumed = SortedSet<string>()
    let mutable finding = ValueNone
    let mutable runs = 0L
    let mutable visited = 0

    let seedOf ordinal =
        match options.Strategy with
        | CrashStrategy.Exhaustive -> ValueNone
        | CrashStrategy.Sampled seed -> ValueSome(int64 (SplitMix.of2 (uint64 seed) (uint64 ordinal)))

    let situationAt durable crash =
        {
            Image = durable
            Crashes = [ crash ]
            Narrowings = [||]
            Acknowledged = Promises.first crash.Promised promises
        }

    let visit ordinal =
        if not isVisited[ordinal] then
            isVisited[ordinal] <- true
            visited <- visited + 1

    /// What a point came to is added to what is known: for each point in turn, whichever thread it was searched on.
    let take ordinal outcome =
        let point = points[ordinal].Value
        runs <- runs + point.Take()
        assumed.UnionWith point.Assumed
        visit ordinal

        match outcome with
        | ValueSome(Outcome.Rejected found) -> finding <- ValueSome found
        | _ ->
            if point.Explorer.IsDone then
                points[ordinal] <- ValueNone
                isDone[ordinal] <- true

    let begin' (working: Subject) ordinal =
        if points[ordinal].IsNone then
            // The first run is repeated three times: a recovery that rolls dice is caught with one chance in eight left.
            let runner = Runner(working, 3, (ordinal = 0))
            points[ordinal] <- ValueSome(PointSearch(runner, Explorer(runner, options.RecoveryCrashes, seedOf ordinal)))

        points[ordinal].Value

    /// Searches the points that it is given, one after the other, each up to its share of runs.
    let newWorker working level share (due: int[]) () =
        let durable = Array.copy subject.Image
        let walk = CrashWalk(model, durable, events)
        let at = ref -1

        fun job ->
            while at.Value < due[job] do
                walk.MoveNext() |> ignore
                at.Value <- at.Value + 1

            (begin' working due[job]).Advance(situationAt durable walk.Current, level, share)

    let progress () =
        options.Progress.Invoke { RecoveryRuns = runs; CrashPointsDone = visited; CrashPoints = count }

    let levelOf ordinal =
        if isDone[ordinal] then
            Level.All
        else
            match points[ordinal] with
            | ValueSome point when isVisited[ordinal] -> point.Level
            | _ -> enum<Level> -1

    /// A point that is covered by one that is done is done.
    let settleCovered () =
        for ordinal in 0 .. count - 1 do
            if covered[ordinal] && not isVisited[ordinal] && isDone[ordinal + 1] then
                isDone[ordinal] <- true
                visit ordinal
                progress ()

    /// The points that have not reached a level, as many as there are runs left for.
    let dueFor level =
        [|
            for ordinal in 0 .. count - 1 do
                if levelOf ordinal < level && (not covered[ordinal] || isVisited[ordinal + 1]) then
                    ordinal
        |]
        |> Array.truncate (int (min (budget - runs) (int64 count)))

    /// One pass over the points that are due. The shares are known before it: so it comes to the same on any threads.
    let pass (working: Subject) level (stop: unit -> unit) =
        let due = dueFor level
        let share = max 1L ((budget - runs) / int64 due.Length)
        let next = ref 0

        let crew =
            Crew<Outcome>(due.Length, newWorker working level share due, (fun outcome -> outcome.IsRejected))

        let takeNext job (outcome: Outcome) =
            // Other threads may be ahead.
            if not outcome.IsRejected then
                options.Cancellation.ThrowIfCancellationRequested()

            take due[job] (ValueSome outcome)
            next.Value <- job + 1
            progress ()
            finding.IsNone

        try
            crew.Run(options.Threads, takeNext, stop)
        with _ ->
            // What it had come to when it was cancelled counts.
            if next.Value < due.Length && points[due[next.Value]].IsSome then
                take due[next.Value] ValueNone

            reraise ()

        settleCovered ()

    let goesOn level =
        finding.IsNone
        && runs < budget
        && Seq.exists (fun ordinal -> levelOf ordinal < level) (seq { 0 .. count - 1 })

    /// What was visited and is not done.
    let unfinished () =
        [|
            for ordinal in 0 .. count - 1 do
                match points[ordinal] with
                | ValueSome point when isVisited[ordinal] -> struct (ordinal, point)
                | _ -> ()
        |]

    let least (measure: PointSearch -> 'T) most =
        unfinished ()
        |> Array.fold (fun least (struct (_, point)) -> min least (measure point)) most

    let mostParts () =
        if visited < count then
            -1
        else
            match least (fun point -> point.Level) Level.All with
            | Level.All
            | Level.PairsOfWords -> 2
            | Level.PairsOfParts
            | Level.Fates
            | Level.Words -> 1
            | _ -> 0

    /// Where a finding ended the last pass, how far the points behind it came depends on the threads.
    let strength () =
        if finding.IsSome || visited < count || (unfinished ()).Length = 0 then
            0
        else
            least (fun point -> point.Explorer.Strength) Int32.MaxValue

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
        let run =
            Explorer(Runner(calm, 1, true), 0, ValueNone).Tell(situationAt durable crash)

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
        let open' = unfinished ()

        if open'.Length = 0 || finding.IsSome then
            ValueNone
        else
            let struct (worst, _) =
                open'
                |> Array.minBy (fun struct (ordinal, point) -> struct (int point.Level, ordinal))

            let durable = Array.copy subject.Image
            let walk = CrashWalk(model, durable, events)

            for _ in 0..worst do
                walk.MoveNext() |> ignore

            explosionAt durable walk.Current

    member _.Run() =
        use stop = CancellationTokenSource.CreateLinkedTokenSource options.Cancellation

        let working = { subject with Options = options.WithCancellation stop.Token }

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
                pass working level stop.Cancel

    member _.Finding = finding

    /// What has been found so far.
    member _.Result =
        {
            Finding = finding
            IsComplete = Array.forall id isDone
            Runs = runs
            Points = if finding.IsSome then visited else count
            MostParts = mostParts ()
            Strength = strength ()
            Assumed = Seq.toArray assumed
            Explosion = explosion ()
            Undone = HashSet<int>(Seq.filter (fun ordinal -> not isDone[ordinal]) (seq { 0 .. count - 1 }))
        }
