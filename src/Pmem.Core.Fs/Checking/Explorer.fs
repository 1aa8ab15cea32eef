namespace Pmem

open System
open System.Collections.Generic

/// Counts the runs of a search, and makes them.
[<Sealed>]
type internal Runner(subject: Subject, repeats: int, repeatsFirst: bool) =
    let mutable runs = 0L
    let mutable accesses = 0L
    let assumed = SortedSet<string>()

    let isSame (left: RecoveryRun) (right: RecoveryRun) =
        let kind (run: RecoveryRun) =
            match run.Failure with
            | ValueNone -> ""
            | ValueSome(RecoveryFailure.Threw error) -> error.GetType().FullName
            | ValueSome failure -> failure.ToString()

        left.History = right.History && kind left = kind right

    let once situation path readBlock isTelling =
        subject.Options.Cancellation.ThrowIfCancellationRequested()
        let struct (layers, source, log) = Situation.build situation path.Settled
        let chooser = Chooser path

        let run =
            RecoveryRun.run subject source chooser log situation.Acknowledged (readBlock layers) isTelling

        accesses <- accesses + run.Accesses

        if not run.WasFollowed then
            Situation.strayed ()

        struct (run, layers)

    member _.Subject = subject
    member _.Runs = runs
    member _.Accesses = accesses

    /// What was taken for granted about blocks that are read with their validators.
    member _.Assumed: SortedSet<string> = assumed

    /// A recovery run. Runs that repeat the first path, where that is asked for, and each rejected one, to see whether recovery is deterministic, are
    /// not counted. The last of them keeps its accesses.
    member _.Run(situation, path: ChoicePath, readBlock) =
        let struct (run, layers) = once situation path readBlock false
        runs <- runs + 1L

        if (runs = 1L && repeatsFirst) || run.Failure.IsSome then
            let mutable last = struct (run, layers)
            let again = { path with Given = run.Taken }

            for i in 1 .. max 1 repeats do
                let struct (repeated, _) = once situation again readBlock (i = max 1 repeats)

                if not (isSame run repeated) then
                    Situation.disagreed ()

                last <- struct ({ repeated with NarrowingsAt = run.NarrowingsAt; Log = run.Log }, layers)

            last
        else
            struct (run, layers)

/// A crash of a recovery whose states were not all tried.
type internal OpenCrash<'Site> = { Site: 'Site; Run: RecoveryRun; Point: int; Promised: int }

/// <summary>The states after one crash, path by path, and those of the crashes of the recovery runs on these.</summary>
[<Sealed>]
type internal Explorer(runner: Runner, crashesLeft: int, seed: int64 voption) as this =
    let subject = runner.Subject
    let blocks = Dictionary<uint64, BlockStates>()

    /// Crashes of recovery that were visited, by what they leave.
    let visited = HashSet<uint64>()

    let unfinished = List<OpenCrash<Explorer>>()
    let combinations = Combinations()
    let mutable situation = Unchecked.defaultof<Situation>
    let mutable taken: Taken[] = [||]
    let mutable layers: LazyLayer list = []
    let mutable level = enum<Level> -1
    let mutable hasChoice = false

    /// The path that comes next, where the limit came first.
    let mutable waiting = ValueNone

    let steps =
        match seed with
        | ValueSome seed -> (Exploration.sample seed).GetEnumerator()
        | ValueNone -> (Exploration.steps this).GetEnumerator()

    /// A block that is read with its validator: which of its states is a choice like that of a word.
    let chooseBlock (layers: LazyLayer list) (backing: CrashedBacking) offset (destination: Memory<byte>) isValid =
        let block = CrashedBlock(offset, destination.Length, isValid)
        let known = { situation with Narrowings = backing.Log.ToArray() }

        let fork settled =
            let struct (forked, source, _) = Situation.build known settled
            struct (forked, source)

        let history = backing.Chooser.History

        let states =
            match blocks.TryGetValue history with
            | true, states -> states
            | _ ->
                let states = block.States(backing, fork)
                blocks[history] <- states
                states

        let path =
            if states.Paths.Length = 1 then
                states.Paths[0]
            else
                states.Paths[backing.Chooser.Choose(Bounds.unitOf Atom.SizeBytes offset, states.Paths.Length)]

        if not states.IsComplete || states.Paths.Length > 1 then
            runner.Assumed.Add "a block that its validator refuses is not looked at"
            |> ignore

        if not states.IsComplete then
            runner.Assumed.Add
                "of the torn states of a block that is read with a validator, only those that were tried can be valid"
            |> ignore

        for narrowing in path.Settled do
            (List.item narrowing.Depth layers).Settle narrowing

        block.Take(backing, path, destination)

    let readBlock layers (backing: CrashedBacking) offset (destination: Memory<byte>) (isValid: BlockValidator) =
        if backing.TryCopy(offset, destination.Span) then
            isValid.Invoke(Span.op_Implicit destination.Span)
        else
            chooseBlock layers backing offset destination isValid

    /// What tells the crashes of one recovery run, and of others after the same crash, apart.
    let keyOf (run: RecoveryRun) (crash: Crash) =
        let known = run.NarrowingsAt[min crash.Point (run.Trace.Count - 1)]
        let mutable key = crash.Durability.StateHash

        for i in 0 .. known - 1 do
            let step = run.Log[i]
            let where = SplitMix.of2 (uint64 step.Unit) (uint64 step.Depth)

            key <-
                key
                ^^^ SplitMix.of2 where ((uint64 step.Index <<< 1) + (if step.IsIn then 1UL else 0UL))

        for promise in Array.truncate crash.Promised (Situation.promises run.Trace) do
            key <- SplitMix.of2 key (uint64 promise)

        key

    /// Crashes a recovery run at each of its points: tries a little of each, or notes it where the limit is reached.
    let crashRun (run: RecoveryRun) limit =
        let mutable result = Outcome.Exhausted

        CrashPoints.walk subject.Rules null run.Trace (fun crash ->
            if seed.IsSome || visited.Add(keyOf run crash) then
                let innerSeed =
                    seed
                    |> ValueOption.map (fun seed -> int64 (SplitMix.of2 (uint64 seed) (uint64 runner.Runs)))

                let inner = Explorer(runner, crashesLeft - 1, innerSeed)
                // At random one path is taken for each crash of recovery: the samples are spread, not spent on the first.
                let outcome =
                    if seed.IsSome then
                        inner.Sample(Situation.next situation run crash, limit)
                    else
                        inner.Advance(Situation.next situation run crash, Level.Few, limit)

                match outcome with
                | Outcome.Rejected finding -> result <- Outcome.Rejected finding
                | _ when seed.IsSome -> hasChoice <- hasChoice || inner.HasChoice
                | _ when inner.IsDone -> ()
                | _ -> unfinished.Add { Site = inner; Run = run; Point = crash.Point; Promised = crash.Promised }

            result.IsExhausted)

        result

    let attempt path limit =
        let struct (run, runLayers) = runner.Run(situation, path, readBlock)
        taken <- run.Taken
        layers <- runLayers
        hasChoice <- hasChoice || taken.Length > 0

        if path.Fates.IsSome && not path.Fates.Value.IsByLine then
            combinations.Add taken

        match run.Failure with
        | ValueSome failure ->
            Outcome.Rejected { Situation = situation; Layers = runLayers; Run = run; Failure = failure }
        | ValueNone when crashesLeft > 0 && run.CanBeCrashed -> crashRun run limit
        | ValueNone -> Outcome.Exhausted

    /// The crash of a recovery again, with what is durable at it.
    let again (crashed: OpenCrash<Explorer>) =
        let mutable found = Unchecked.defaultof<Crash>

        CrashPoints.walk subject.Rules null crashed.Run.Trace (fun crash ->
            found <- crash
            crash.Point <> crashed.Point || crash.Promised <> crashed.Promised)

        Situation.next situation crashed.Run found

    /// The crashes of recovery that are not done, up to a level.
    let advanceInner upTo limit =
        let mutable result = Outcome.Exhausted
        let mutable i = 0

        while i < unfinished.Count && result.IsExhausted do
            match unfinished[i].Site.Advance(again unfinished[i], upTo, limit) with
            | Outcome.Exhausted when unfinished[i].Site.IsDone -> unfinished.RemoveAt i
            | Outcome.Exhausted -> i <- i + 1
            | outcome -> result <- outcome

        result

    let advance () =
        steps.MoveNext() |> ignore

        match steps.Current with
        | Reached reached -> level <- reached
        | Try path -> waiting <- ValueSome path

    /// Whether everything was tried.
    member _.IsDone = level = Level.All && unfinished.Count = 0

    /// Whether anything could be chosen.
    member _.HasChoice = hasChoice

    /// The level that this crash, and every crash of recovery on its paths, has reached.
    member _.Level: Level =
        Seq.fold (fun least (crashed: OpenCrash<Explorer>) -> min least crashed.Site.Level) level unfinished

    /// The combinations of any so many fates that were tried, here and at the crashes of recovery.
    member _.Strength: int =
        Seq.fold
            (fun least (crashed: OpenCrash<Explorer>) -> min least crashed.Site.Strength)
            (if level = Level.All then Int32.MaxValue else combinations.Strength)
            unfinished

    /// The durable path once, with its accesses: this must be the first run of its runner.
    member _.Tell newSituation =
        situation <- newSituation
        let struct (run, _) = runner.Run(situation, ChoicePath.Durable, readBlock)
        run

    /// Tries paths up to a level, or to the limit of runs.
    member _.Advance(newSituation, upTo: Level, limit: int64) : Outcome =
        situation <- newSituation
        let mutable result = ValueNone

        while result.IsNone && level < upTo do
            match waiting with
            | ValueSome _ when runner.Runs >= limit -> result <- ValueSome Outcome.Stopped
            | ValueSome path ->
                waiting <- ValueNone

                match attempt path limit with
                | Outcome.Exhausted ->
                    if seed.IsSome && not hasChoice then
                        level <- Level.All
                | outcome -> result <- ValueSome outcome
            | ValueNone -> advance ()

        match result with
        | ValueSome outcome -> outcome
        | ValueNone -> advanceInner upTo limit

    /// Tries one random path.
    member _.Sample(newSituation, limit: int64) : Outcome =
        situation <- newSituation
        advance ()

        match waiting with
        | ValueSome path when runner.Runs < limit -> attempt path limit
        | _ -> Outcome.Stopped

    interface ITried with
        member _.Taken = taken
        member _.Groups(choices, isIn) = Situation.groups layers choices isIn
