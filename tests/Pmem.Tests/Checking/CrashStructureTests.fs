/// Every mistake of every structure is found, at every length, and what is shown can come about; the right versions pass.
module Pmem.Tests.CrashStructureTests

open Expecto
open Pmem
open Pmem.Tests.CrashBugs
open Pmem.Tests.CrashStructures
open Pmem.Tests.CrashPages

/// 500 operations in CI.
let private lengths = if Harness.isCi then [ 20; 100; 500 ] else [ 20; 100 ]

let private check model (structure: Structure) mistake count =
    CrashCheck.run
        (under model)
        (Array.zeroCreate (structure.SizeBytes count))
        (structure.Workload mistake count)
        (structure.Recovery mistake count)

/// The image after the first crash is one that the workload can leave; after a crash of recovery the oracle of small traces
/// vouches for it.
let private canBe model (structure: Structure) mistake count (report: CrashReport) =
    let image = Array.zeroCreate (structure.SizeBytes count)
    let memory = RecordedMemory(image, model)
    structure.Workload mistake count memory
    let events = [| for recorded in memory.Trace -> recorded.Event |]
    let found = report.Counterexample

    found.Crashes.Count > 1
    || CrashOracle.canLeave model image events found.CrashPoint (found.ToImage())

/// Mistakes that the model makes good: under Eadr nothing need be flushed, a page is synced for all that lies in it, and a line
/// for both words of a slot.
let private isHarmless (model: PersistencyModel) (structure: Structure) (mistake: string) =
    let isOrder =
        mistake.Contains "before"
        || mistake.Contains "too early"
        || mistake.Contains "after"

    match model with
    | PersistencyModel.Relaxed -> false
    | PersistencyModel.Eadr -> not isOrder || mistake.StartsWith "promised"
    | PersistencyModel.PageCache -> not isOrder
    | PersistencyModel.X86 -> structure.Name = "hash table" && mistake = "value not flushed"

let tests =
    testList
        "crash structures"
        [
            for structure in all do
                for model in models do
                    for count in lengths do
                        testCase $"{structure.Name}, {model}, {count} operations: the right version" (fun () ->
                            let report = check model structure "" count
                            // A block that is read whole, word by word, has more states than any budget.
                            if structure.Name = "superblock" then
                                Expect.notEqual report.Verdict CrashVerdict.Inconsistent (string report)
                            else
                                Expect.equal report.Verdict CrashVerdict.Consistent (string report))

                        for mistake in structure.Mistakes do
                            testCase $"{structure.Name}, {model}, {count} operations: {mistake}" (fun () ->
                                let report = check model structure mistake count

                                if not (isHarmless model structure mistake) then
                                    Expect.equal report.Verdict CrashVerdict.Inconsistent (string report)

                                if report.HasCounterexample then
                                    Expect.isTrue (canBe model structure mistake count report) (string report))
        ]
