module Pmem.Tests.CrashReportTests

open System
open Expecto
open Pmem
open Pmem.Tests.CrashBugs

let tests =
    testList
        "crash reports"
        [
            testCase "a counterexample has what matters, and no event more" (fun () ->
                let workload (memory: RecordedMemory) =
                    for i in 1L .. 20L do
                        memory.StoreInt64(1024L + 64L * i, i)
                        memory.Persist(1024L + 64L * i, 8L)
                        memory.Acknowledge i

                    memory.StoreInt64(64L, 1L)
                    memory.StoreInt64(0L, 1L)
                    memory.Persist(0L, 8L)

                let recovery (memory: CrashedMemory) =
                    memory.ReadInt64 0L = 0L || memory.ReadInt64 64L = 1L

                let found =
                    (CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 4096) workload recovery).Counterexample

                Expect.equal [ for store in found.Lost -> store.Range.Offset ] [ 64L ] "lost"
                Expect.equal [ for store in found.Durable -> store.Range.Offset ] [ 0L ] "durable"
                Expect.equal found.Events.Count 2 "events"
                Expect.equal found.Acknowledged.Count 20 "the promises that had been given"

                Expect.isFalse
                    ((string found).Contains "Promised")
                    "they are not shown where recovery did not look at them")

            testCase "a store whose loss does not matter is not shown as lost" (fun () ->
                let workload (memory: RecordedMemory) =
                    memory.StoreInt64(512L, 9L)
                    memory.StoreInt64(64L, 1L)
                    memory.StoreInt64(0L, 1L)

                let recovery (memory: CrashedMemory) =
                    memory.ReadInt64 512L |> ignore
                    memory.ReadInt64 0L = 0L || memory.ReadInt64 64L = 1L

                let found =
                    (CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 4096) workload recovery).Counterexample

                Expect.equal [ for store in found.Lost -> store.Range.Offset ] [ 64L ] "lost")

            testCase "a store is lost also where the event after the crash would have made it durable" (fun () ->
                let workload (memory: RecordedMemory) =
                    memory.StoreInt64(64L, 42L)
                    memory.StoreInt64(0L, 1L)
                    memory.Persist(0L, 128L)

                let recovery (memory: CrashedMemory) =
                    memory.ReadInt64 0L = 0L || memory.ReadInt64 64L = 42L

                let found =
                    (CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 128) workload recovery).Counterexample

                Expect.equal [ for store in found.Lost -> store.Range.Offset ] [ 64L ] "lost"
                Expect.equal [ for store in found.Durable -> store.Range.Offset ] [ 0L ] "durable")

            testCase "the lost store is named where many before it matter" (fun () ->
                let found =
                    (CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) unordered logRecovered)
                        .Counterexample

                Expect.equal [ for store in found.Lost -> store.Range.Offset ] [ 384L ] "lost"
                Expect.isLessThan found.Events.Count 8 "flushes, drains and promises are left out")

            testCase "the value that memory held is there" (fun () ->
                let found =
                    (CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) unordered logRecovered)
                        .Counterexample

                let image = found.ToImage()
                Expect.equal (BitConverter.ToInt64(image, 0)) 6L "the count"
                Expect.equal (BitConverter.ToInt64(image, 384)) 0L "the lost record")

            testCase "a torn store shows which part was lost" (fun () ->
                let workload (memory: RecordedMemory) =
                    memory.Store(64L, ReadOnlySpan(Array.create 24 1uy))
                    memory.Persist(64L, 24L)

                let recovery (memory: CrashedMemory) =
                    memory.ReadInt64 64L = 0L || memory.ReadInt64 72L <> 0L

                let report =
                    CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) workload recovery

                Expect.equal [ for store in report.Counterexample.Lost -> string store.Range ] [ "72+8" ] "lost"
                Expect.stringContains (string report) "torn" "said"
                Expect.stringContains (string report) "lost of it: 72+8" "said")

            testCase "what recovery throws is in the report" (fun () ->
                let report =
                    CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) (log 2L) (fun memory ->
                        if memory.ReadInt64 0L = 1L then
                            invalidOp "the journal is damaged"

                        true)

                Expect.stringContains (string report) "InvalidOperationException: the journal is damaged" "words")

            testCase "a recovery that loops is told so" (fun () ->
                let options = CrashCheckOptions.Default.WithAccessBound 1000L

                let report =
                    CrashCheck.run options (Array.zeroCreate 1024) (log 2L) (fun memory ->
                        while memory.ReadInt64 0L = 1L do
                            ()

                        true)

                Expect.stringContains (string report) "Recovery loops: it had not ended after 1000" "words")

            testCase "a recovery that only flushes, drains or promises loops too" (fun () ->
                let options = CrashCheckOptions.Default.WithAccessBound 1000L

                for model in CrashBugs.models do
                    for call in
                        [
                            fun (memory: CrashedMemory) -> memory.Drain()
                            fun memory -> memory.Flush(0L, 8L)
                            fun memory -> memory.Flush(0L, 0L)
                            fun memory -> memory.Acknowledge 1L
                        ] do
                        let recovery memory =
                            while true do
                                call memory

                            true

                        let report =
                            CrashCheck.run (options.WithModel model) (Array.zeroCreate 1024) (log 2L) recovery

                        Expect.stringContains
                            (string report)
                            "Recovery loops: it had not ended after 1000 accesses."
                            "words")

            testCase "the least order that mends it is said" (fun () ->
                let report =
                    CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) unordered logRecovered

                let repair = report.Counterexample.Repair
                Expect.stringContains repair "(store 384+8 = 6) before CrashBugs.fs:" repair
                Expect.stringEnds repair "(store 0+8 = 6)" repair
                Expect.stringContains (string report) ("To rule it out: " + repair) "in the text"

                let lines = (string report).Split '\n'
                Expect.stringContains lines[1] "Lost: CrashBugs.fs:" "the guilty store first")

            testCase "a promise before the store is durable: the order is before the promise" (fun () ->
                let workload (memory: RecordedMemory) =
                    memory.StoreInt64(64L, 1L)
                    memory.Acknowledge 1L
                    memory.Persist(64L, 8L)

                let recovery (memory: CrashedMemory) =
                    memory.Acknowledged.Count = 0 || memory.ReadInt64 64L = 1L

                let found =
                    (CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 128) workload recovery).Counterexample

                Expect.stringContains found.Repair "before CrashReportTests.fs:" found.Repair
                Expect.stringEnds found.Repair "(acknowledge 1)" found.Repair)

            testCase "a store that came too early is named, with what it must come after" (fun () ->
                let workload (memory: RecordedMemory) =
                    for at in [ 0L; 64L; 128L; 192L ] do
                        memory.StoreInt64(at, 1L)
                        memory.Persist(at, 8L)

                    memory.Acknowledge 1L

                let recovery (memory: CrashedMemory) =
                    memory.ReadInt64 64L = 0L || memory.ReadInt64 192L = 1L

                let report =
                    CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 4096) workload recovery

                let lines = (string report).Split '\n'
                Expect.stringContains lines[1] "Too early: CrashReportTests.fs:" "the guilty store first"
                Expect.stringEnds lines[1] "store 64+8 = 1" "which it is"
                let repair = report.Counterexample.Repair
                Expect.stringContains repair "(store 128+8 = 1) to " "from the one after it"
                Expect.stringContains repair "(store 192+8 = 1) before " "to the one that recovery misses"
                Expect.stringEnds repair "(store 64+8 = 1)" "before it")

            testCase "an order is looked for in the operation that the crash fell into" (fun () ->
                // Each operation has the same mistake: what mends one of them is enough.
                let workload (memory: RecordedMemory) =
                    for i in 1L .. 100L do
                        memory.StoreInt64(64L * i, i)
                        memory.StoreInt64(8192L + 64L * i, i)
                        memory.Persist(8192L + 64L * i, 8L)
                        memory.StoreInt64(0L, i)
                        memory.Persist(0L, 8L)
                        memory.Acknowledge i

                let calls = ref 0

                let recovery (memory: CrashedMemory) =
                    calls.Value <- calls.Value + 1
                    let last = memory.ReadInt64 0L
                    last = 0L || memory.ReadInt64(64L * last) = last

                let found =
                    (CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 16384) workload recovery)
                        .Counterexample

                Expect.stringContains found.Repair "(store 64+8 = 1) before" "the store that is not flushed"
                Expect.stringEnds found.Repair "(store 0+8 = 1)" "the last that it must come before"
                Expect.isLessThan calls.Value 300 "with few runs")

            testCase "a missing flush in recovery is found there" (fun () ->
                let report =
                    CrashCheck.run
                        CrashCheckOptions.Default
                        CrashBugs.image
                        recoveryWithoutFlush.Broken.Workload
                        recoveryWithoutFlush.Broken.Recovery

                let found = report.Counterexample
                Expect.equal found.Crashes.Count 2 "two crashes"
                Expect.isEmpty found.Crashes[0].Lost "nothing of the workload is to blame"

                Expect.equal
                    [ for store in found.Crashes[1].Lost -> store.Range.Offset ]
                    [ 4096L ]
                    "the store of recovery"

                Expect.stringContains found.Repair "(store 4096+8 = 7) before" found.Repair)

            testCase "a plain missing flush of the first line of a block" (fun () ->
                let workload (memory: RecordedMemory) =
                    memory.Store(0L, ReadOnlySpan(Array.create 1024 1uy))
                    memory.Persist(64L, 960L)
                    memory.Acknowledge 1L
                    memory.Store(2048L, ReadOnlySpan(Array.create 1024 2uy))
                    memory.Persist(2048L, 1024L)
                    memory.Acknowledge 2L

                let recovery (memory: CrashedMemory) =
                    memory.Acknowledged.Count = 0
                    || Array.forall ((=) 1uy) (memory.ReadBytes(0L, 1024))

                let found =
                    (CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 4096) workload recovery).Counterexample

                Expect.equal (List.ofSeq found.Acknowledged) [ 1L ] "just after the promise"
                Expect.hasLength found.Lost 1 "one word is enough"
                Expect.isLessThan found.Lost[0].Range.Offset 64L "in the first line")

            testCase "reads are shown with the line of their caller" (fun () ->
                let report =
                    CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) unordered logRecovered

                Expect.stringContains (string report) "CrashBugs.fs:" "a name"

                let reads =
                    (string report).Split '\n' |> Array.filter (fun line -> line.Contains " read ")

                Expect.isNonEmpty reads "reads"
                Expect.all reads (fun line -> line.Contains "CrashBugs.fs:") "each")

            testCase "diagnostics of one line are one" (fun () ->
                let workload (memory: RecordedMemory) =
                    for i in 0L .. 15L do
                        memory.StoreInt64(64L * i, 1L)

                let report =
                    CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) workload (fun _ -> true)

                Expect.equal report.Diagnostics.Count 16 "all of them"

                let said =
                    (string report).Split '\n'
                    |> Array.filter (fun line -> line.Contains "never flushed")

                Expect.hasLength said 1 "in the text"
                Expect.stringContains said[0] "15 more of this line" said[0])

            testCase "a consistent report has no counterexample, and says so" (fun () ->
                let report =
                    CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) (log 2L) logRecovered

                Expect.isFalse report.HasCounterexample "none"
                Expect.throwsT<InvalidOperationException> (fun () -> report.Counterexample |> ignore) "refused"
                Expect.stringContains (string report) "Consistent, exhaustively" "words")
        ]
