module Pmem.Tests.CrashCheckTests

open System
open System.Collections.Generic
open System.Threading
open Expecto
open Pmem
open Pmem.Tests.CrashBugs

let private growth name workload recovery =
    testCase name (fun () ->
        let measure (count: int64) =
            let report =
                CrashCheck.run
                    CrashCheckOptions.Default
                    (Array.zeroCreate (64 * (int count + 1)))
                    (workload count)
                    (recovery count)

            Expect.equal report.Verdict CrashVerdict.Consistent (string report)
            printfn "%s: %d records: %d recovery runs" name count report.RecoveryRuns
            float report.RecoveryRuns

        let ten, thirty, hundred = measure 10L, measure 30L, measure 100L
        Expect.isLessThanOrEqual (thirty / ten) 9.0 "10 to 30"
        Expect.isLessThanOrEqual (hundred / thirty) (100.0 / 30.0 * 100.0 / 30.0) "30 to 100")

let private explodes (memory: RecordedMemory) =
    for i in 0L .. 19L do
        memory.StoreInt64(64L * i, 1L)

    memory.Flush(0L, 1280L)
    memory.Drain()

let private readsAll (memory: CrashedMemory) =
    Seq.fold (fun sum i -> sum + memory.ReadInt64(64L * i)) 0L (seq { 0L .. 19L })
    <= 20L

let private options =
    testList
        "options"
        [
            testCase "a budget that does not suffice leaves the answer open" (fun () ->
                let report =
                    CrashCheck.run
                        (CrashCheckOptions.Default.WithBudget 500L)
                        (Array.zeroCreate 1280)
                        explodes
                        readsAll

                Expect.equal report.Verdict CrashVerdict.ConsistentSoFar "open"
                Expect.isLessThanOrEqual report.RecoveryRuns 500L "within the budget")

            testCase "a budget that just suffices gives the answer" (fun () ->
                let full =
                    CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) (log 5L) logRecovered

                let report budget =
                    CrashCheck.run
                        (CrashCheckOptions.Default.WithBudget budget)
                        (Array.zeroCreate 1024)
                        (log 5L)
                        logRecovered

                Expect.equal (report full.RecoveryRuns).Verdict CrashVerdict.Consistent "enough"
                Expect.equal (report (full.RecoveryRuns - 1L)).Verdict CrashVerdict.ConsistentSoFar "one too few")

            testCase "sampling finds a mistake, and the same one for the same seed" (fun () ->
                let sampled seed =
                    CrashCheck.run
                        (CrashCheckOptions.Default.WithStrategy(CrashStrategy.Sampled seed).WithBudget 200L)
                        (Array.zeroCreate 1024)
                        unordered
                        logRecovered

                Expect.equal (sampled 1L).Verdict CrashVerdict.Inconsistent "found"
                Expect.equal (string (sampled 1L)) (string (sampled 1L)) "the same")

            testCase "sampling says that it has not seen everything" (fun () ->
                let report =
                    CrashCheck.run
                        (CrashCheckOptions.Default.WithStrategy(CrashStrategy.Sampled 1L).WithBudget 100L)
                        (Array.zeroCreate 1280)
                        explodes
                        readsAll

                Expect.equal report.Verdict CrashVerdict.ConsistentSoFar "open"
                Expect.isLessThanOrEqual report.RecoveryRuns 100L "within the budget")

            testCase "sampling goes on where only the next recovery has a choice" (fun () ->
                let workload (memory: RecordedMemory) =
                    memory.StoreInt64(0L, 1L)
                    memory.StoreInt64(64L, 1L)

                // The first recovery decides nothing; the next one rejects one state in four.
                let recovery (memory: CrashedMemory) =
                    if memory.ReadInt64 128L = 0L then
                        memory.StoreInt64(128L, 1L)
                        memory.Persist(128L, 8L)
                        true
                    else
                        memory.ReadInt64 0L = 1L || memory.ReadInt64 64L = 0L

                for crashes in 1..2 do
                    for seed in 1L .. 50L do
                        let options =
                            CrashCheckOptions.Default
                                .WithStrategy(CrashStrategy.Sampled seed)
                                .WithBudget(1000L)
                                .WithRecoveryCrashes(crashes)

                        let report = CrashCheck.run options (Array.zeroCreate 192) workload recovery
                        Expect.equal report.Verdict CrashVerdict.Inconsistent (string report))

            testCase "sampling spends its budget, and finds a mistake that takes three crashes" (fun () ->
                let workload (memory: RecordedMemory) =
                    memory.StoreInt64(0L, 1L)
                    memory.StoreInt64(64L, 1L)

                let recovery mostSteps (memory: CrashedMemory) =
                    let step = memory.ReadInt64 128L
                    memory.StoreInt64(128L, step + 1L)
                    memory.Persist(128L, 8L)
                    memory.StoreInt64(192L, step + 1L)
                    memory.Persist(192L, 8L)
                    step < mostSteps || memory.ReadInt64 0L = 0L || memory.ReadInt64 64L = 1L

                for seed in 1L .. 10L do
                    let options =
                        CrashCheckOptions.Default
                            .WithStrategy(CrashStrategy.Sampled seed)
                            .WithBudget(1000L)
                            .WithRecoveryCrashes(2)

                    let check most =
                        CrashCheck.run options (Array.zeroCreate 256) workload (recovery most)

                    Expect.equal (check 2L).Verdict CrashVerdict.Inconsistent "found"
                    Expect.equal (check 3L).Verdict CrashVerdict.ConsistentSoFar "open"
                    Expect.equal (check 3L).RecoveryRuns 1000L "all of the budget")

            testCase "progress is told after each crash point" (fun () ->
                let told = List<CrashProgress>()

                let report =
                    CrashCheck.run
                        (CrashCheckOptions.Default.WithProgress(fun progress -> told.Add progress))
                        (Array.zeroCreate 1024)
                        (log 3L)
                        logRecovered

                Expect.equal told.Count report.CrashPoints "points"
                Expect.equal told[told.Count - 1].RecoveryRuns report.RecoveryRuns "runs")

            testCase "a check can be cancelled" (fun () ->
                use source = new CancellationTokenSource()
                let stop (_: CrashProgress) = source.Cancel()

                let options =
                    CrashCheckOptions.Default.WithCancellation(source.Token).WithProgress stop

                Expect.throwsT<CrashCheckCanceledException>
                    (fun () -> CrashCheck.run options (Array.zeroCreate 1024) (log 3L) logRecovered |> ignore)
                    "cancelled")
        ]

let private message run =
    Expect.throwsC run (fun error -> error.Message)

let private run workload recovery =
    CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) workload recovery
    |> ignore

let private badInput =
    testList
        "bad input"
        [
            testCase "options that mean nothing" (fun () ->
                let options = CrashCheckOptions.Default
                Expect.throwsT<ArgumentOutOfRangeException> (fun () -> options.WithBudget 0L |> ignore) "budget"
                Expect.throwsT<ArgumentOutOfRangeException> (fun () -> options.WithBudget -1L |> ignore) "budget"
                Expect.throwsT<ArgumentOutOfRangeException> (fun () -> options.WithAccessBound 0L |> ignore) "accesses"

                Expect.throwsT<ArgumentOutOfRangeException>
                    (fun () -> options.WithRecoveryCrashes -1 |> ignore)
                    "crashes")

            testCase "an empty workload" (fun () ->
                Expect.stringContains (message (fun () -> run ignore logRecovered)) "nothing to crash" "said")

            testCase "a workload that leaves the memory" (fun () ->
                let said =
                    message (fun () -> run (fun memory -> memory.StoreInt64(1020L, 1L)) logRecovered)

                Expect.stringContains said "1020+8" "the range"
                Expect.stringContains said "1024 bytes" "the memory"

                for access in
                    [
                        fun (memory: RecordedMemory) -> memory.Persist(1024L, 1L)
                        fun memory -> memory.ReadInt64 -8L |> ignore
                        fun memory -> memory.Store(Int64.MaxValue, ReadOnlySpan [| 1uy; 2uy |])
                        fun memory -> memory.ReadBytes(0L, -1) |> ignore
                    ] do
                    Expect.throwsT<ArgumentOutOfRangeException> (fun () -> run access logRecovered) "refused")

            testCase "a recovery that stores outside is a counterexample that says so" (fun () ->
                let report =
                    CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) (log 2L) (fun memory ->
                        memory.StoreInt64(4096L, 1L)
                        true)

                Expect.equal report.Verdict CrashVerdict.Inconsistent "rejected"
                Expect.stringContains (string report) "The store of 4096+8 does not lie in the memory" "said")

            testCase "a workload that is not deterministic" (fun () ->
                let mutable next = 0L

                let workload (memory: RecordedMemory) =
                    next <- next + 1L
                    memory.StoreInt64(0L, next)

                let said = message (fun () -> run workload logRecovered)
                Expect.stringContains said "The workload is not deterministic" "said"
                Expect.stringContains said "store 0+8 = 1" "first"
                Expect.stringContains said "store 0+8 = 2" "second")

            testCase "a recovery whose answer is not deterministic" (fun () ->
                let mutable calls = 0

                let recovery (_: CrashedMemory) =
                    calls <- calls + 1
                    calls % 2 = 0

                Expect.stringContains
                    (message (fun () -> run (log 2L) recovery))
                    "The recovery is not deterministic"
                    "said")

            testCase "a recovery whose reads are not deterministic" (fun () ->
                let mutable calls = 0L

                let recovery (memory: CrashedMemory) =
                    calls <- calls + 1L
                    memory.ReadInt64(64L * (calls % 3L)) |> ignore
                    true

                Expect.stringContains
                    (message (fun () -> run (log 2L) recovery))
                    "The recovery is not deterministic"
                    "said")

            testCase "a recovery whose flushes, drains or promises are not deterministic" (fun () ->
                for call in
                    [
                        fun (memory: CrashedMemory) -> memory.Persist(0L, 8L)
                        fun memory -> memory.Flush(0L, 8L)
                        fun memory -> memory.Drain()
                        fun memory -> memory.Acknowledge 1L
                    ] do
                    let mutable calls = 0

                    let recovery (memory: CrashedMemory) =
                        calls <- calls + 1
                        memory.StoreInt64(0L, 7L)

                        if calls % 3 = 0 then
                            call memory

                        true

                    Expect.stringContains
                        (message (fun () -> run (log 2L) recovery))
                        "The recovery is not deterministic"
                        "said")

            testCase "a trace that is empty or leaves the memory" (fun () ->
                let runTrace events =
                    CrashCheck.runTrace CrashCheckOptions.Default (Array.zeroCreate 64) events logRecovered
                    |> ignore

                Expect.stringContains (message (fun () -> runTrace [])) "nothing to crash" "empty"
                let outside = RecordedEvent(Store(64L, [| 1uy |]), "Some.cs", 7)
                Expect.stringContains (message (fun () -> runTrace [ outside ])) "Some.cs:7 store 64+1" "outside")

            testCase "null arguments" (fun () ->
                Expect.throwsT<ArgumentNullException>
                    (fun () ->
                        CrashCheck.Run(
                            CrashCheckOptions.Default,
                            Unchecked.defaultof<byte[]>,
                            Action<RecordedMemory> ignore,
                            Func<CrashedMemory, bool> logRecovered
                        )
                        |> ignore)
                    "image"

                Expect.throwsT<ArgumentNullException>
                    (fun () ->
                        CrashCheck.Run(
                            CrashCheckOptions.Default,
                            [||],
                            Unchecked.defaultof<Action<RecordedMemory>>,
                            Func<CrashedMemory, bool> logRecovered
                        )
                        |> ignore)
                    "workload")
        ]

let tests =
    testList
        "crash check"
        [
            options
            badInput
            growth "append log" log (fun _ -> logRecovered)
            growth "append log made durable at the end" lateLog lateRecovered
        ]
