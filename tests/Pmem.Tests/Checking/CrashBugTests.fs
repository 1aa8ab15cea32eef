module Pmem.Tests.CrashBugTests

open Expecto
open Pmem
open Pmem.Tests.CrashBugs

let tests =
    testList
        "crash check of bugs"
        [
            for pair in pairs do
                for model in models do
                    testCase $"{model}: {pair.Name}" (fun () ->
                        let expected =
                            if List.contains model pair.WrongUnder then
                                CrashVerdict.Inconsistent
                            else
                                CrashVerdict.Consistent

                        let broken = check (under model) pair.Broken
                        Expect.equal broken.Verdict expected $"broken:\n{broken}"
                        let repaired = check (under model) pair.Repaired
                        Expect.equal repaired.Verdict CrashVerdict.Consistent $"repaired:\n{repaired}")

            testCase "a mistake in recovery alone takes a crash during recovery" (fun () ->
                let once = (under PersistencyModel.X86).WithRecoveryCrashes 0
                Expect.equal (check once recoveryWithoutFlush.Broken).Verdict CrashVerdict.Consistent "no second crash"
                let report = check (under PersistencyModel.X86) recoveryWithoutFlush.Broken
                Expect.equal report.Counterexample.Crashes.Count 2 "two crashes"

                Expect.exists
                    report.Counterexample.Lost
                    (fun store -> store.Range.Offset = 4096L)
                    "the store of recovery")

            testCase "a store that shows before its promise" (fun () ->
                let workload (memory: RecordedMemory) =
                    memory.StoreInt64(0L, 1L)
                    memory.Acknowledge 1L

                // Right only if nothing could be durable before the promise.
                let recovery (memory: CrashedMemory) =
                    memory.Acknowledged.Count = 1 || memory.ReadInt64 0L = 0L

                for model in models do
                    let report = CrashCheck.run (under model) (Array.zeroCreate 64) workload recovery
                    Expect.equal report.Verdict CrashVerdict.Inconsistent (string model))

            testCase "the second recovery finds what the first one read" (fun () ->
                let workload (memory: RecordedMemory) =
                    memory.StoreInt64(0L, 1L)
                    memory.StoreInt64(0L, 2L)

                // The first recovery derives a word from one that the crash decided; both must go together ever after.
                let recovery (memory: CrashedMemory) =
                    if memory.Acknowledged.Count = 0 then
                        memory.StoreInt64(64L, memory.ReadInt64 0L + 5L)
                        memory.Persist(64L, 8L)
                        memory.Acknowledge 1L
                        true
                    else
                        memory.ReadInt64 64L = memory.ReadInt64 0L + 5L

                for model in models do
                    let report = CrashCheck.run (under model) (Array.zeroCreate 8192) workload recovery
                    Expect.equal report.Verdict CrashVerdict.Consistent (string report))

            testCase "a mistake that takes three crashes" (fun () ->
                // Each recovery moves one step on; the last step is wrong.
                let workload (memory: RecordedMemory) =
                    memory.StoreInt64(0L, 1L)
                    memory.Persist(0L, 8L)
                    memory.Acknowledge 1L

                let recovery (memory: CrashedMemory) =
                    let step = memory.ReadInt64 0L

                    if step >= 1L && step < 4L then
                        memory.StoreInt64(0L, step + 1L)
                        memory.Persist(0L, 8L)

                    step < 4L

                let crashed count =
                    (CrashCheck.run
                        ((under PersistencyModel.X86).WithRecoveryCrashes count)
                        (Array.zeroCreate 64)
                        workload
                        recovery)
                        .Verdict

                Expect.equal (crashed 2) CrashVerdict.Consistent "one too few"
                Expect.equal (crashed 3) CrashVerdict.Inconsistent "three")
        ]
