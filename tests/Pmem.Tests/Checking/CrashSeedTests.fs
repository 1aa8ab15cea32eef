/// Seeded mistakes are found with default options at every length, where the model does not make them good; what is shown can come
/// about, and names the store that is guilty; the right versions pass.
module Pmem.Tests.CrashSeedTests

open Expecto
open Pmem
open Pmem.Tests.CrashBugs
open Pmem.Tests.CrashSeeds

let private all = CrashSeeds.all @ CrashTrees.all @ CrashTransactions.all
let private lengths = if Harness.isCi then [ 20; 100; 500 ] else [ 20; 100 ]

let private check model seeded mistake count =
    let structure = seeded.Structure

    CrashCheck.run
        (under model)
        (Array.zeroCreate (structure.SizeBytes count))
        (structure.Workload mistake count)
        (structure.Recovery mistake count)

/// What the workload leaves at the first crash. What a crash of recovery adds is held against the oracle on random cases.
let private canBe model seeded mistake count (report: CrashReport) =
    let image = Array.zeroCreate (seeded.Structure.SizeBytes count)
    let memory = RecordedMemory(image, model)
    seeded.Structure.Workload mistake count memory
    let events = [| for recorded in memory.Trace -> recorded.Event |]
    let found = report.Counterexample

    found.Crashes.Count > 1
    || CrashOracle.canLeave model image events found.CrashPoint (found.ToImage())

/// A store that came too early is among the events that are told; one that was not flushed is among those that were lost.
let private namesGuilty (mistake: Mistake) (report: CrashReport) =
    let crashes = report.Counterexample.Crashes

    if mistake.IsOrder then
        crashes
        |> Seq.collect (fun crash -> crash.Events)
        |> Seq.exists (fun recorded ->
            match recorded.Event with
            | Store(at, _)
            | StoreNonTemporal(at, _) -> mistake.IsGuilty at
            | _ -> false)
    else
        crashes
        |> Seq.collect (fun crash -> crash.Lost)
        |> Seq.exists (fun store -> mistake.IsGuilty store.Range.Offset)

/// Under these what was not flushed is lost; under the others it may be durable for another reason.
let private losesUnflushed model =
    List.contains model [ PersistencyModel.X86; PersistencyModel.Relaxed ]

let private finds model seeded (mistake: Mistake) count =
    let report = check model seeded mistake.Name count

    if mistake.IsOrder || losesUnflushed model then
        Expect.equal report.Verdict CrashVerdict.Inconsistent (string report)

    if report.HasCounterexample then
        Expect.isTrue (canBe model seeded mistake.Name count report) $"it can come about:\n{report}"
        Expect.isTrue (namesGuilty mistake report) $"it names the guilty store:\n{report}"

let tests =
    testList
        "crash seeds"
        [
            for seeded in all do
                for model in models do
                    for count in lengths do
                        testCase $"{seeded.Structure.Name}, {model}, {count} operations: the right version" (fun () ->
                            let report = check model seeded "" count
                            Expect.equal report.Verdict CrashVerdict.Consistent (string report))

                        for mistake in seeded.Mistakes do
                            testCase $"{seeded.Structure.Name}, {model}, {count} operations: {mistake.Name}" (fun () ->
                                finds model seeded mistake count)
        ]
