/// Seeded mistakes are found with default options at every length, where the model does not make them good; what is shown can come
/// about, and names the store that is guilty; the right versions pass.
module Pmem.Tests.CrashSeedTests

open System
open System.Text.RegularExpressions
open Expecto
open Pmem
open Pmem.Tests.CrashBugs
open Pmem.Tests.CrashSeeds

let private all = CrashSeeds.all @ CrashTrees.all @ CrashTransactions.all
let private lengths = if Harness.isCi then [ 20; 100 ] else [ 20 ]

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

/// What the report says first: the store that was lost or came too early, and the order that mends it.
let private headline (report: CrashReport) =
    (string report).Split '\n'
    |> Array.skip 1
    |> Array.takeWhile (fun line -> not (line.Contains "What happened"))

/// The first store that was lost is one that was not flushed. Of an order the head of the story says what came too early.
let private namesGuilty (mistake: Mistake) (report: CrashReport) =
    if mistake.IsOrder then
        headline report
        |> Seq.collect (fun line -> Regex.Matches(line, @"store (\d+)\+"))
        |> Seq.exists (fun found -> mistake.IsGuilty(Int64.Parse found.Groups[1].Value))
    else
        mistake.IsGuilty report.Counterexample.Lost[0].Range.Offset

/// An order that mends it is said, but where one store by itself is torn.
let private saysOrder (report: CrashReport) =
    report.Counterexample.Repair <> ""
    || report.Counterexample.Lost[0].EventIndex = report.Counterexample.Durable[0].EventIndex

/// Under these what was not flushed is lost; under the others it may be durable for another reason.
let private losesUnflushed model =
    List.contains model [ PersistencyModel.X86; PersistencyModel.Relaxed ]

let private finds model seeded (mistake: Mistake) count =
    let report = check model seeded mistake.Name count

    if mistake.IsOrder || losesUnflushed model then
        Expect.equal report.Verdict CrashVerdict.Inconsistent (string report)

    if report.HasCounterexample then
        Expect.isTrue (canBe model seeded mistake.Name count report) $"it can come about:\n{report}"
        Expect.isTrue (namesGuilty mistake report) $"it names the guilty store first:\n{report}"
        Expect.isTrue (saysOrder report) $"it says what mends it:\n{report}"

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
