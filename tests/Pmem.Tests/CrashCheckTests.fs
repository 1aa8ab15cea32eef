module Pmem.Tests.CrashCheckTests

open System
open System.Collections.Generic
open System.Diagnostics
open System.Threading
open Expecto
open Pmem.Core
open Pmem.Tests.CrashBugs
open Pmem.Tests.CrashGenerators

let private models =
    [
        PersistencyModel.X86
        PersistencyModel.Eadr
        PersistencyModel.PageCache
        PersistencyModel.Relaxed
    ]

let private under (model: PersistencyModel) =
    CrashCheckOptions.Default.WithModel model

let private check options (subject: CrashBugs.Subject) =
    CrashCheck.run options CrashBugs.image subject.Workload subject.Recovery

let private bugs =
    testList
        "bugs"
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

let private append (memory: RecordedMemory) i =
    memory.StoreInt64(64L * i, i)
    memory.Persist(64L * i, 8L)
    memory.StoreInt64(0L, i)
    memory.Persist(0L, 8L)
    memory.Acknowledge i

let private log count (memory: RecordedMemory) =
    for i in 1L .. count do
        append memory i

let private logRecovered (memory: CrashedMemory) =
    let count = memory.ReadInt64 0L

    Seq.forall (fun i -> memory.ReadInt64(64L * i) = i) (seq { 1L .. count })
    && Seq.forall (fun i -> i <= count) memory.Acknowledged

/// Nothing is made durable before the end: each record has a mark of its own, and the first bad one ends the log.
let private lateLog count (memory: RecordedMemory) =
    for i in 1L .. count do
        memory.StoreInt64(64L * i, i)

    memory.Flush(64L, 64L * count)
    memory.Drain()
    memory.Acknowledge count

let private lateRecovered count (memory: CrashedMemory) =
    let valid =
        Seq.takeWhile (fun i -> memory.ReadInt64(64L * i) = i) (seq { 1L .. count })
        |> Seq.length

    Seq.forall (fun i -> i <= int64 valid) memory.Acknowledged

let private growth name workload recovery =
    testCase name (fun () ->
        let measure (count: int64) =
            let clock = Stopwatch.StartNew()

            let report =
                CrashCheck.run
                    CrashCheckOptions.Default
                    (Array.zeroCreate (64 * (int count + 1)))
                    (workload count)
                    (recovery count)

            Expect.equal report.Verdict CrashVerdict.Consistent (string report)
            printfn "%s: %d records: %d recovery runs, %d ms" name count report.RecoveryRuns clock.ElapsedMilliseconds
            float report.RecoveryRuns, clock.Elapsed

        let ten, _ = measure 10L
        let thirty, _ = measure 30L
        let hundred, took = measure 100L
        Expect.isLessThanOrEqual (thirty / ten) 9.0 "10 to 30"
        Expect.isLessThanOrEqual (hundred / thirty) (100.0 / 30.0 * 100.0 / 30.0) "30 to 100"
        Expect.isLessThan took (TimeSpan.FromSeconds 5.0) "100 records")

let private unordered (memory: RecordedMemory) =
    for i in 1L .. 5L do
        append memory i

    // The mistake: record 6 is never flushed.
    memory.StoreInt64(64L * 6L, 6L)
    memory.StoreInt64(0L, 6L)
    memory.Persist(0L, 8L)

    for i in 7L .. 9L do
        append memory i

let private reports =
    testList
        "reports"
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
                Expect.isEmpty found.Acknowledged "no promise matters")

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

            testCase "the lost store is named where many before it matter" (fun () ->
                let found =
                    (CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) unordered logRecovered)
                        .Counterexample

                Expect.equal [ for store in found.Lost -> store.Range.Offset ] [ 384L ] "lost"
                Expect.isLessThan found.Events.Count 8 "flushes, drains and promises are left out")

            testCase "the text tells everything" (fun () ->
                let report =
                    CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) unordered logRecovered

                let text = string report

                for part in
                    [
                        "Inconsistent"
                        "X86"
                        "LOST     CrashCheckTests.fs:"
                        "store 384+8 = 6"
                        "durable  CrashCheckTests.fs:"
                        "store 0+8 = 6"
                        "power failure before CrashCheckTests.fs:"
                        "read   384+8 → 0"
                        "Recovery returned false."
                        "is never flushed: flush its range and drain"
                    ] do
                    Expect.stringContains text part text

                Expect.isLessThan (text.Split('\n').Length) 40 "short"
                Expect.isFalse (text.Contains "FSharp") "no type names")

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

            testCase "a consistent report has no counterexample, and says so" (fun () ->
                let report =
                    CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) (log 2L) logRecovered

                Expect.isFalse report.HasCounterexample "none"
                Expect.throwsT<InvalidOperationException> (fun () -> report.Counterexample |> ignore) "refused"
                Expect.stringContains (string report) "Consistent, exhaustively" "words")
        ]

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

                Expect.throwsT<OperationCanceledException>
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

/// What the exploration must come to: recovery sees every image that the enumerator lists, and no other.
let private seesEveryState model (SmallTrace events) =
    let image = Array.zeroCreate sizeBytes
    let seen = HashSet<string>()

    let recovery (memory: CrashedMemory) =
        seen.Add(Convert.ToHexString(memory.ReadBytes(0L, sizeBytes))) |> ignore
        true

    let expected =
        CrashStates.enumerate model image events
        |> List.map (fun state -> Convert.ToHexString state)

    let trace = events |> List.map (fun event -> RecordedEvent(event, "", 0))

    events.IsEmpty
    || ((CrashCheck.runTrace (under model) image trace recovery).Verdict = CrashVerdict.Consistent
        && seen.SetEquals expected)

/// A recovery that reads byte by byte, from the end, sees the same.
let private readsInAnyOrder model (SmallTrace events) =
    let image = Array.zeroCreate sizeBytes
    let seen = HashSet<string>()

    let recovery (memory: CrashedMemory) =
        let state = Array.zeroCreate sizeBytes

        for i in [ sizeBytes - 1 .. -1 .. 4090 ] @ [ 90..-3..0 ] @ [ 89..-3..0 ] @ [ 88..-3..0 ] do
            state[i] <- memory.ReadByte(int64 i)

        seen.Add(Convert.ToHexString state) |> ignore
        true

    let expected =
        CrashStates.enumerate model image events
        |> List.map (fun state -> Convert.ToHexString state)

    let trace = events |> List.map (fun event -> RecordedEvent(event, "", 0))

    CrashCheck.runTrace (under model) image (RecordedEvent(Acknowledge 1L, "", 0) :: trace) recovery
    |> ignore

    seen.SetEquals expected

/// Two crashes: the second recovery sees what a crash of the first one's stores leaves on top of each state.
let private seesEverySecondState model (SmallTrace events) =
    let image = Array.zeroCreate sizeBytes
    let seen = HashSet<string>()
    let second = [ Store(0L, Array.create 8 201uy); Store(4104L, Array.create 8 202uy) ]

    let recovery (memory: CrashedMemory) =
        memory.Store(0L, ReadOnlySpan(Array.create 8 201uy))
        memory.Store(4104L, ReadOnlySpan(Array.create 8 202uy))

        // The second recovery is told from the first by the promise that the first one gives.
        if memory.Acknowledged.Count = 0 then
            memory.Acknowledge 1L

        true

    let spy (memory: CrashedMemory) =
        let before =
            if memory.Acknowledged.Count > 0 then memory.ReadBytes(0L, sizeBytes) else [||]

        let result = recovery memory

        if before.Length > 0 then
            seen.Add(Convert.ToHexString before) |> ignore

        result

    let expected =
        CrashStates.enumerate model image events
        |> List.collect (fun state ->
            // With the promise given, both stores have begun.
            CrashStates.enumerate model state second)
        |> List.map (fun state -> Convert.ToHexString state)
        |> set

    let trace = events |> List.map (fun event -> RecordedEvent(event, "", 0))

    if events.IsEmpty then
        true
    else
        let report = CrashCheck.runTrace (under model) image trace spy

        report.Verdict = CrashVerdict.Consistent
        && (if model = PersistencyModel.Eadr then
                Set.isSubset (set seen) expected
            else
                set seen = expected)

let private property count name body =
    Harness.propertyOf count name [ typeof<CrashArbitraries> ] body

let private exploration =
    testList
        "exploration"
        [
            for model in models do
                property
                    (Harness.cases 200 2000)
                    $"{model}: recovery sees every state, and no other"
                    (seesEveryState model)

                property
                    (Harness.cases 50 500)
                    $"{model}: recovery sees every state in whatever order it reads"
                    (readsInAnyOrder model)

                property
                    (Harness.cases 50 500)
                    $"{model}: the next recovery sees every state of a crash of recovery"
                    (seesEverySecondState model)
        ]

let tests =
    testList
        "crash check"
        [
            bugs
            reports
            options
            badInput
            exploration
            growth "append log" log (fun _ -> logRecovered)
            growth "append log made durable at the end" lateLog lateRecovered
        ]
