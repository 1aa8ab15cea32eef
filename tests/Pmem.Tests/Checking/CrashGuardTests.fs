/// What a check must refuse, and what it must not call consistent.
module Pmem.Tests.CrashGuardTests

open System
open System.Threading
open System.Threading.Tasks
open Expecto
open Pmem
open Pmem.Tests.CrashBugs

let private message run =
    Expect.throwsC run (fun error ->
        Expect.equal (error.GetType()) typeof<InvalidOperationException> error.Message
        error.Message)

let private run workload recovery () =
    CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) workload recovery
    |> ignore

/// An async void method, as C# makes one: it tells the context that it began, and posts what comes after an await.
let private asyncVoid (later: unit -> unit) =
    let context =
        match SynchronizationContext.Current with
        | null -> failtest "there is a context"
        | context -> context

    context.OperationStarted()
    context.Post((fun _ -> later ()), null)

let private refusals =
    [
        testCase "an async void workload" (fun () ->
            let workload (memory: RecordedMemory) =
                memory.StoreInt64(0L, 1L)
                asyncVoid (fun () -> memory.StoreInt64(8L, 1L))

            Expect.stringContains (message (run workload logRecovered)) "The workload is asynchronous" "said")

        testCase "an async void recovery" (fun () ->
            let recovery (_: CrashedMemory) =
                asyncVoid ignore
                true

            Expect.stringContains (message (run (log 2L) recovery)) "The recovery is asynchronous" "said")

        testCase "a workload on another thread" (fun () ->
            let workload (memory: RecordedMemory) =
                memory.StoreInt64(0L, 1L)

                let thread =
                    Thread(fun () ->
                        try
                            memory.StoreInt64(8L, 1L)
                        with _ ->
                            ())

                thread.Start()
                thread.Join()

            Expect.stringContains (message (run workload logRecovered)) "from another thread" "said")

        testCase "a recovery on another thread" (fun () ->
            let recovery (memory: CrashedMemory) =
                let task =
                    Task.Factory.StartNew((fun () -> memory.ReadInt64 0L), TaskCreationOptions.LongRunning)

                try
                    task.Wait()
                with _ ->
                    ()

                true

            Expect.stringContains (message (run (log 2L) recovery)) "from another thread" "said")

        testCase "memory that outlives its call" (fun () ->
            let mutable kept: RecordedMemory list = []

            let workload (memory: RecordedMemory) =
                kept <- memory :: kept
                memory.StoreInt64(0L, 1L)

            run workload (fun _ -> true) ()

            Expect.stringContains (message (fun () -> kept.Head.StoreInt64(8L, 1L))) "after it had returned" "said")

        testCase "a task that goes on when its workload has returned" (fun () ->
            use goOn = new ManualResetEventSlim()
            use isOver = new ManualResetEventSlim()

            let workload (memory: RecordedMemory) =
                memory.StoreInt64(0L, 1L)

                Task.Run(fun () ->
                    goOn.Wait()

                    try
                        memory.StoreInt64(8L, 1L)
                    finally
                        isOver.Set())
                |> ignore

            let recovery (_: CrashedMemory) =
                goOn.Set()
                isOver.Wait()
                true

            Expect.stringContains (message (run workload recovery)) "after it had returned" "said")

        testCase "the context before is there again" (fun () ->
            let context = SynchronizationContext()
            let before = SynchronizationContext.Current
            SynchronizationContext.SetSynchronizationContext context

            try
                run (log 2L) logRecovered ()
                Expect.isTrue (obj.ReferenceEquals(SynchronizationContext.Current, context)) "the same"
            finally
                SynchronizationContext.SetSynchronizationContext before)
    ]

let private wide (memory: RecordedMemory) =
    for i in 0L .. 63L do
        memory.StoreInt64(64L * i, 1L)

    memory.Persist(0L, 4096L)

let private readsWide (memory: CrashedMemory) =
    Seq.fold (fun sum i -> sum + memory.ReadInt64(64L * i)) 0L (seq { 0L .. 63L })
    <= 64L

let private answers =
    [
        testCase "only what is consistent passes ThrowUnlessConsistent" (fun () ->
            let check budget workload recovery =
                CrashCheck.run (CrashCheckOptions.Default.WithBudget budget) (Array.zeroCreate 4096) workload recovery

            (check 1000L (log 2L) logRecovered).ThrowUnlessConsistent()

            for report in [ check 1000L unordered logRecovered; check 1000L wide readsWide ] do
                Expect.throwsC (fun () -> report.ThrowUnlessConsistent()) (fun error ->
                    match error with
                    | :? CrashCheckException as error ->
                        Expect.equal error.Message (string report) "the message is the report"
                        Expect.isTrue (obj.ReferenceEquals(error.Report, report)) "the report"
                    | other -> failtestf "%s" (string other)))

        testCase "a budget that ran out says what was tried, and where the states explode" (fun () ->
            let report =
                CrashCheck.run (CrashCheckOptions.Default.WithBudget 3000L) (Array.zeroCreate 4096) wide readsWide

            Expect.equal report.Verdict CrashVerdict.ConsistentSoFar "open"
            Expect.equal report.MostParts 1 "one part"
            Expect.isGreaterThanOrEqual report.Strength 2 "pairs"
            let text = string report
            Expect.stringContains text "every state with at most 1 part lost or at most 1 durable" text
            Expect.stringContains text "every combination of any " text
            Expect.stringContains text "recovery chooses among the states of 64 words" text
            Expect.stringContains text "CrashGuardTests.fs" "the read and the store"
            Expect.stringContains text "stored by" text
            Expect.stringContains text "ReadValidated" text)

        testCase "a check that is cancelled tells what it had found" (fun () ->
            use source = new CancellationTokenSource()

            let stop (progress: CrashProgress) =
                if progress.RecoveryRuns > 500L then
                    source.Cancel()

            let options =
                CrashCheckOptions.Default.WithCancellation(source.Token).WithProgress stop

            Expect.throwsC
                (fun () -> CrashCheck.run options (Array.zeroCreate 4096) wide readsWide |> ignore)
                (fun error ->
                    match error with
                    | :? CrashCheckCanceledException as error ->
                        Expect.equal error.CancellationToken source.Token "the token"
                        Expect.equal error.Report.Verdict CrashVerdict.ConsistentSoFar "open"
                        Expect.stringContains (string error.Report) "Cancelled" "said"
                        Expect.stringContains (string error.Report) "The states explode" "where"
                    | other -> failtestf "%s" (string other)))

        testCase "a recovery that merely reads a lot is unfinished, not in a loop" (fun () ->
            let recovery (memory: CrashedMemory) =
                for i in 0L .. 5000L do
                    memory.ReadByte(i % 1024L) |> ignore

                true

            let report bound =
                CrashCheck.run
                    (CrashCheckOptions.Default.WithAccessBound bound)
                    (Array.zeroCreate 1024)
                    (log 2L)
                    recovery

            Expect.equal (report 5001L).Verdict CrashVerdict.Consistent "enough"
            Expect.stringContains (string (report 5000L)) "unfinished after 5000 accesses" "one too few")
    ]

let tests =
    testList "crash guards" [ testList "refused" refusals; testList "answers" answers ]
