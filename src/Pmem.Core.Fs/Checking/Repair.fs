namespace Pmem

open System

/// <summary>Finds the least order that rules a state out.</summary>
/// <remarks>
/// A store that was lost is made durable before a later one that was durable, or before a promise; or a store that was durable comes
/// after those that follow it. Each order is tried on the trace: the first is taken that leaves no state rejected up to the end of the
/// operation. Where none does, it is one that rules out this state.
/// </remarks>
[<Sealed>]
type internal Repair(subject: Subject, finding: Finding) =
    /// Each is tried with so many runs, up to so many in all: a few milliseconds.
    let mostOrders = 64

    let mostRuns = 3000L
    let mostRunsOfPoint = 150L
    let runner = Runner(subject, 1, false)

    let scenes =
        finding.Situation.Crashes
        |> List.mapi (fun depth _ -> RepairScene(finding, depth))

    let persist (range: ByteRange) source =
        let instructions =
            if subject.Options.Model.IsPageCache then
                [| SyncPages(range.AlignOut ModelRules.PageBytes) |]
            else
                [| WriteBack(Clwb, CacheLine.cover range); Fence |]

        instructions
        |> Array.map (fun instruction -> RecordedEvent(Execute instruction, source))

    /// Whether recovery accepts all that a mended trace leaves from an event on, as far as is tried.
    let isEnough first (mended: RecordedEvent[]) =
        let durable = Array.copy subject.Image
        let promises = Situation.promises mended
        let mutable isAccepted = true

        CrashPoints.walk subject.Rules durable mended (fun crash ->
            if crash.Point >= first then
                let situation =
                    {
                        Image = durable
                        Crashes = [ crash ]
                        Narrowings = [||]
                        Acknowledged = Promises.first crash.Promised promises
                    }

                let explorer = Explorer(runner, subject.Options.RecoveryCrashes, ValueNone)

                match explorer.Advance(situation, Level.Words, runner.Runs + mostRunsOfPoint) with
                | Outcome.Rejected _ -> isAccepted <- false
                | _ -> ()

            isAccepted && runner.Runs < mostRuns)

        isAccepted && runner.Runs < mostRuns

    /// A store that was lost is persisted before what came later and was durable, or was promised: the last such is the least.
    let flushes (scene: RepairScene) =
        seq {
            for lost in scene.Lost do
                let later = Array.filter (fun durable -> durable > lost) scene.Durable

                for before in Array.sortDescending (Array.append later (Option.toArray (scene.PromiseAfter lost))) do
                    let order =
                        {
                            First = scene.Events[lost]
                            Last = scene.Events[lost]
                            Before = scene.Events[before]
                            IsTooEarly = false
                        }

                    let mended =
                        lazy
                            Array.insertManyAt
                                before
                                (persist (scene.RangeOf lost) scene.Events[lost].Source)
                                scene.Events

                    struct (order, before, mended)
        }

    /// The stores between one and a barrier, which it is to come after; none where one of them changes the same bytes.
    let between (scene: RepairScene) early barrier =
        let range = scene.RangeOf early

        let stores =
            [|
                for i in early + 1 .. barrier do
                    if not (scene.RangeOf i).IsEmpty then
                        i
            |]

        if stores |> Array.exists (fun i -> range.Overlaps(scene.RangeOf i)) then
            [||]
        else
            stores

    /// A store that was durable is made after those that follow it, up to a barrier, and after they are durable.
    let move (scene: RepairScene) early barrier =
        match between scene early barrier with
        | [||] -> ValueNone
        | stores ->
            let recorded = scene.Events[early]

            let order =
                {
                    First = scene.Events[stores[0]]
                    Last = scene.Events[stores[stores.Length - 1]]
                    Before = recorded
                    IsTooEarly = true
                }

            let mended =
                lazy
                    (scene.Events
                     |> Array.insertManyAt
                         (barrier + 1)
                         (Array.append [| recorded |] (persist (scene.RangeOf early) recorded.Source))
                     |> Array.removeAt early)

            ValueSome struct (stores[0], struct (order, early, mended))

    /// First those stores that the program itself makes durable before what follows: they are in order, and in the wrong one.
    let moves (scene: RepairScene) =
        seq {
            for isOrdered in [ true; false ] do
                for barrier in scene.Barriers do
                    for early in scene.Durable do
                        match move scene early barrier with
                        | ValueSome struct (next, candidate) when scene.HasBarrier(early, next) = isOrdered -> candidate
                        | _ -> ()
        }

    let tried orders =
        orders
        |> Seq.truncate mostOrders
        |> Seq.tryFind (fun struct (_, first, mended: Lazy<RecordedEvent[]>) -> isEnough first (mended.Force()))

    /// The order that leaves nothing rejected, or one that rules out this state at least.
    member _.Find() : RepairOrder voption =
        let workload = List.head scenes

        // Where something was lost, the last crash that lost it is at fault; else the moment of a crash is.
        let fault =
            scenes
            |> List.tryFindBack (fun scene -> scene.Lost.Length > 0)
            |> Option.defaultValue (List.last scenes)

        let isOfWorkload = fault.Lost.Length = 0 || Object.ReferenceEquals(fault, workload)

        let best =
            if isOfWorkload then
                tried (flushes workload) |> Option.orElseWith (fun () -> tried (moves workload))
            else
                None

        match
            best
            |> Option.orElseWith (fun () -> Seq.tryHead (flushes fault))
            |> Option.orElseWith (fun () -> Seq.tryHead (moves fault))
        with
        | Some struct (order, _, _) -> ValueSome order
        | None -> ValueNone
