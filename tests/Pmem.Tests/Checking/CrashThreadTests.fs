/// Recovery on several threads, and many checks at once: what comes out is what one thread finds alone.
module Pmem.Tests.CrashThreadTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open FsCheck
open FsCheck.FSharp
open Pmem
open Pmem.Tests.CrashBugs
open Pmem.Tests.CrashGenerators

let private check (options: CrashCheckOptions) case =
    let trace = case.Events |> List.map (fun event -> RecordedEvent(event, "", 0))

    CrashCheck.runTrace options (Array.zeroCreate sizeBytes) trace (fun memory ->
        case.Recovery.Run(memory, List.ofSeq memory.Acknowledged))

/// All that a report says.
let private said (report: CrashReport) =
    let image =
        if report.HasCounterexample then
            Convert.ToHexString(report.Counterexample.ToImage())
        else
            ""

    $"{report.RecoveryRuns} {report.MostParts} {report.Strength}\n{report}\n{image}"

let private strategies =
    [
        CrashStrategy.Exhaustive, 100_000L
        CrashStrategy.Exhaustive, 60L
        CrashStrategy.Sampled 3L, 40L
    ]

let private isTheSame model case =
    case.Events.IsEmpty
    || strategies
       |> List.forall (fun (strategy, budget) ->
           let options = (under model).WithStrategy(strategy).WithBudget budget
           let alone = said (check options case)

           for threads in [ 2; 5 ] do
               Expect.equal (said (check (options.WithThreads threads) case)) alone $"on {threads} threads"

           true)

/// On several threads the points behind the mistake were searched a little further, or not.
let private foundBeforeOthersWereDone () =
    let case =
        {
            Events =
                [
                    Acknowledge 9L
                    StoreNonTemporal(0L, [| 240uy |])
                    Acknowledge 3L
                    Store(0L, Array.create 8 1uy)
                    Acknowledge 5L
                ]
            Recovery = { Steps = [ Unless(8L, 1L <<< 56); Read 0L; Promise 4L ]; Modulus = 17 }
            Crashes = 0
        }

    for _ in 1 .. Harness.cases 20 100 do
        isTheSame PersistencyModel.Eadr case |> ignore

let private onThreads =
    [
        for model in models do
            Harness.propertyOf
                (Harness.cases 60 250)
                $"{model}: the report is the same on any number of threads"
                [ typeof<CrashArbitraries> ]
                (isTheSame model)

        testCase
            "what was found before others were done says the same on any number of threads"
            foundBeforeOthersWereDone

        testCase "longer traces, right and wrong, say the same on any number of threads" (fun () ->
            for workload in [ log 40L; unordered; lateLog 12L ] do
                let run threads =
                    said (
                        CrashCheck.run
                            ((under PersistencyModel.X86).WithBudget(3000L).WithThreads threads)
                            (Array.zeroCreate 4096)
                            workload
                            logRecovered
                    )

                Expect.equal (run 3) (run 1) "the same")

        testCase "recovery is on two threads at once" (fun () ->
            let inside, most = ref 0, ref 0

            let recovery (memory: CrashedMemory) =
                let now = Interlocked.Increment inside

                if now > 1 then
                    most.Value <- now

                SpinWait.SpinUntil((fun () -> Volatile.Read &most.contents > 1), TimeSpan.FromSeconds 5.0)
                |> ignore

                Interlocked.Decrement inside |> ignore
                logRecovered memory

            let options = CrashCheckOptions.Default.WithThreads 2
            (CrashCheck.run options (Array.zeroCreate 1024) (log 9L) recovery).ThrowUnlessConsistent()
            Expect.equal most.Value 2 "two")

        testCase "what goes wrong in recovery is thrown as on one thread" (fun () ->
            let runs = ref 0

            let dice (memory: CrashedMemory) =
                memory.ReadInt64(8L * (int64 (Interlocked.Increment runs) % 2L)) = -1L

            let run recovery () =
                CrashCheck.run (CrashCheckOptions.Default.WithThreads 3) (Array.zeroCreate 1024) (log 9L) recovery
                |> ignore

            let message = Expect.throwsC (run dice) (fun error -> error.Message)
            Expect.stringContains message "not deterministic" message)

        testCase "a check on several threads can be cancelled, and its progress is told on this one" (fun () ->
            use source = new CancellationTokenSource()
            let here = Environment.CurrentManagedThreadId

            let stop (progress: CrashProgress) =
                Expect.equal Environment.CurrentManagedThreadId here "here"

                if progress.CrashPointsDone = 5 then
                    source.Cancel()

            let options =
                CrashCheckOptions.Default.WithThreads(3).WithCancellation(source.Token).WithProgress stop

            Expect.throwsC
                (fun () -> CrashCheck.run options (Array.zeroCreate 4096) (log 40L) logRecovered |> ignore)
                (fun error ->
                    match error with
                    | :? CrashCheckCanceledException as error ->
                        Expect.equal error.Report.Verdict CrashVerdict.ConsistentSoFar "open"
                    | other -> failtestf "%s" (string other)))
    ]

/// Many checks at once share nothing: each says what it said alone. None calls a deterministic recovery anything else, which
/// would be an exception.
let private manyAtOnce =
    testCase "many checks at once say what each says alone" (fun () ->
        let cases =
            (CrashArbitraries.CrashCase()).Generator
            |> Gen.sampleWithSeed (Harness.replayOf Harness.fixedSeed).Rnd 30 (Harness.cases 500 2500)
            |> Array.filter (fun case -> not case.Events.IsEmpty)

        let models = List.toArray models

        let run i =
            said (check (under models[i % models.Length]) cases[i / models.Length])

        let count = cases.Length * models.Length
        let alone = Array.init count run
        let options = ParallelOptions(MaxDegreeOfParallelism = 8)
        let wrong = ref 0

        Parallel.For(
            0,
            2 * count,
            options,
            fun i ->
                if run (i % count) <> alone[i % count] then
                    Interlocked.Increment wrong |> ignore
        )
        |> ignore

        Expect.equal wrong.Value 0 $"{2 * count} checks at once")

let tests = testList "crash threads" [ testList "threads" onThreads; manyAtOnce ]
