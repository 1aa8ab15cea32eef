/// The crash check against the oracle: random workloads, random recoveries, crashes of both.
module Pmem.Tests.CrashOracleTests

open System
open System.Collections.Generic
open Expecto
open Pmem
open Pmem.Tests.CrashBugs
open Pmem.Tests.CrashGenerators

let private image: byte[] = Array.zeroCreate sizeBytes

let private check (options: CrashCheckOptions) case =
    let trace = case.Events |> List.map (fun event -> RecordedEvent(event, "", 0))

    CrashCheck.runTrace (options.WithRecoveryCrashes case.Crashes) image trace (fun memory ->
        case.Recovery.Run(memory, List.ofSeq memory.Acknowledged))

let private oracle model case =
    CrashOracle.rejected
        model
        case.Crashes
        (fun memory promised -> case.Recovery.Run(memory, promised))
        image
        (List.toArray case.Events)

/// What is shown is one of the states that the oracle says can be and are rejected.
let private isShownRight (report: CrashReport) (rejected: CrashOracle.Crashed list) =
    let found = report.Counterexample
    let shown = Convert.ToHexString(found.ToImage())
    let promised = List.ofSeq found.Acknowledged

    rejected
    |> List.exists (fun crashed -> crashed.Promised = promised && Convert.ToHexString crashed.Image = shown)

let private agrees model case =
    let rejected = oracle model case

    if not case.Events.IsEmpty then
        let report = check (under model) case

        let expected =
            if rejected.IsEmpty then CrashVerdict.Consistent else CrashVerdict.Inconsistent

        Expect.equal report.Verdict expected $"the verdict:\n{report}"

        if not rejected.IsEmpty then
            Expect.isTrue (isShownRight report rejected) $"the state shown can be:\n{report}"

/// What the oracle says of a state by itself is what its list of all states says.
let private listsAgree model case =
    let events = List.toArray case.Events

    let states =
        [
            for count in 0 .. events.Length -> CrashOracle.statesAfter model image events count
        ]

    let everything = states |> List.concat |> List.distinctBy Convert.ToHexString

    for count in 0 .. events.Length do
        let listed = states[count] |> List.map Convert.ToHexString |> HashSet

        for state in everything do
            let shown = Convert.ToHexString state

            Expect.equal
                (CrashOracle.canLeave model image events count state)
                (listed.Contains shown)
                $"after {count} events: {shown}"

/// What is right under Relaxed is right under X86 and Eadr: for traces, with a recovery that stores nothing.
let private isRightEverywhere case =
    let case = { case with CrashCase.Crashes = 0 }

    case.Events.IsEmpty
    || (check (under PersistencyModel.Relaxed) case).Verdict <> CrashVerdict.Consistent
    || [ PersistencyModel.X86; PersistencyModel.Eadr ]
       |> List.forall (fun model -> (check (under model) case).Verdict = CrashVerdict.Consistent)

/// Sampling shows what can be, too.
let private samplesRight model case =
    if not case.Events.IsEmpty then
        let options = (under model).WithStrategy(CrashStrategy.Sampled 7L).WithBudget(50L)

        let report = check options case

        if report.HasCounterexample then
            Expect.isTrue (isShownRight report (oracle model case)) $"the state shown can be:\n{report}"

let private property count name body =
    Harness.propertyOf count name [ typeof<CrashArbitraries> ] body

let tests =
    testList
        "crash oracle"
        [
            for model in models do
                property
                    (Harness.cases 150 8000)
                    $"{model}: the check finds what the oracle rejects, and shows it"
                    (agrees model)

                property (Harness.cases 50 500) $"{model}: a state is possible where it is listed" (listsAgree model)
                property (Harness.cases 50 1000) $"{model}: sampling shows what can be" (samplesRight model)

            property (Harness.cases 200 4000) "right under Relaxed is right under X86 and Eadr" isRightEverywhere
        ]
