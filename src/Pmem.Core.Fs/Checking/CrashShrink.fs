namespace Pmem

open System
open System.Collections.Generic

/// <summary>Finds the smallest state like one that was found; the trace stays as it is.</summary>
/// <remarks>
/// First the earliest crash point that has such a state: only those that were not done can. There, crash by crash, as few
/// stores are lost as recovery still rejects in the same way. So what is shown can come about.
/// </remarks>
[<Sealed>]
type internal CrashShrink(subject: Subject, events: RecordedEvent[]) =
    /// Enough for thousands of stores, and over in seconds; a state that is not the smallest is still one.
    let mostRuns = 4000L
    let mostAccesses = 20_000_000L
    let mostRunsOfOne = 500L

    let runner = Runner(subject, 1, true)
    let rules = subject.Rules

    let kind failure =
        match failure with
        | RecoveryFailure.ReturnedFalse -> "false"
        | RecoveryFailure.Looped _
        | RecoveryFailure.Unfinished _ -> "bound"
        | RecoveryFailure.Threw error -> error.GetType().FullName

    let goesOn () =
        runner.Runs < mostRuns && runner.Accesses < mostAccesses

    /// The first state of a situation that is rejected in the same way.
    let reject failure (situation: Situation) =
        let explorer =
            Explorer(runner, subject.Options.RecoveryCrashes + 1 - situation.Crashes.Length, ValueNone)

        let limit = runner.Runs + mostRunsOfOne

        match explorer.Advance(situation, Level.Few, limit) with
        | Outcome.Rejected found when kind found.Failure = kind failure -> ValueSome found
        | _ -> ValueNone

    /// Every piece that is pending at a crash, as it fared in a layer.
    let fates (layer: LazyLayer) =
        [|
            for unit in Seq.sort (Seq.toArray layer.Durability.Pending.Keys) do
                for i in 0 .. layer.Durability.Pending[unit].Count - 1 do
                    { Depth = layer.Depth; Unit = unit; Index = i; IsIn = layer.MayBeIn(unit, i) }
        |]

    /// The situation with the crashes down to a depth, all fates settled; those at the depth as they are given.
    let settled (finding: Finding) depth (own: Narrowing[]) =
        let above = finding.Layers |> List.truncate depth |> List.map fates |> Array.concat

        let crashes = List.truncate (depth + 1) finding.Situation.Crashes

        { finding.Situation with
            Crashes = crashes
            Narrowings = Array.append above own
            Acknowledged = Situation.acknowledged crashes
        }

    let restored (layer: LazyLayer) (own: Narrowing[]) (chosen: Narrowing -> bool) =
        let isIn = own |> Array.map (fun fate -> fate.IsIn || chosen fate)

        for unit in own |> Seq.map (fun fate -> fate.Unit) |> Seq.distinct |> Seq.toArray do
            let first = own |> Array.findIndex (fun fate -> fate.Unit = unit)
            let pieces = layer.Durability.Pending[unit]
            let inUnit = Array.sub isIn first pieces.Count
            Order.closeDown rules.KeepsOrder pieces inUnit
            inUnit.CopyTo(isIn, first)

        Array.map2 (fun (fate: Narrowing) isIn -> { fate with Narrowing.IsIn = isIn }) own isIn

    let lostOf (own: Narrowing[]) =
        own |> Array.filter (fun fate -> not fate.IsIn)

    /// Groups of lost pieces that are tried to be durable: all, then units, then stores, then single ones.
    let groups (layer: LazyLayer) (own: Narrowing[]) =
        let lost = lostOf own

        let event (fate: Narrowing) =
            let pieces = layer.Durability.Pending[fate.Unit]
            pieces[fate.Index].Event

        let by (key: Narrowing -> 'Key) =
            lost |> Array.groupBy key |> Array.map (snd >> HashSet<Narrowing>)

        Array.concat
            [
                by ignore
                by (fun fate -> fate.Unit)
                by event
                by (fun fate -> struct (fate.Unit, fate.Index))
            ]

    /// As few lost at one crash as the rejection needs.
    let minimize (finding: Finding) depth =
        let layer = List.item depth finding.Layers
        let mutable own = fates layer
        let mutable best = ValueNone

        let attempt candidate =
            match reject finding.Failure (settled finding depth candidate) with
            | ValueSome found ->
                own <- candidate
                best <- ValueSome found
            | ValueNone -> ()

        for group in groups layer own do
            if goesOn () && lostOf own |> Array.exists group.Contains then
                attempt (restored layer own group.Contains)

        if best.IsNone then
            attempt own

        // A repetition that took too many runs: the finding is right as it is.
        match best with
        | ValueSome found when found.Layers.Length > depth -> found
        | _ -> finding

    /// The earliest state like this among the crash points that were not done.
    let earliest (undone: HashSet<int>) (finding: Finding) =
        let mutable found = finding
        let mutable ordinal = -1
        let durable = Array.copy subject.Image
        let promises = Situation.promises events
        let point = finding.Situation.Crashes.Head.Point

        if undone.Count > 0 then
            CrashPoints.walk rules durable events (fun crash ->
                ordinal <- ordinal + 1

                let situation =
                    {
                        Image = durable
                        Crashes = [ crash ]
                        Narrowings = [||]
                        Acknowledged = Promises.first crash.Promised promises
                    }

                if crash.Point < point && undone.Contains ordinal then
                    match reject finding.Failure situation with
                    | ValueSome earlier -> found <- earlier
                    | ValueNone -> ()

                obj.ReferenceEquals(found, finding) && crash.Point < point && goesOn ())

        found

    member _.Run(finding: Finding, undone: HashSet<int>) =
        let mutable found = earliest undone finding
        let mutable depth = 0

        while depth < found.Layers.Length do
            found <- minimize found depth
            depth <- depth + 1

        found
