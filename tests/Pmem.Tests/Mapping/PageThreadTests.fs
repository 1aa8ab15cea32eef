/// Page granularity and several threads: who syncs for whom, and who hears of an error. The storage is a double.
module Pmem.Tests.PageThreadTests

open System
open System.Collections.Generic
open System.Threading
open Expecto
open Pmem
open Pmem.Testing

[<Literal>]
let Page = 4096L

/// A mapping whose storage does what the function says: 0 or an error number for the bytes of a range.
let withStorage lengthBytes (sync: ByteRange -> int) test =
    use mapped = new SyncedMapping(lengthBytes, Func<ByteRange, int> sync)
    test mapped.Mapping

let fails (action: unit -> unit) =
    try
        action ()
        failtest "it returned as if durable"
    with :? PmemException as e ->
        e

let pages (first: int64) count = ByteRange(first * Page, count * Page)

/// Threads persist while the storage fails once, at whatever call: nobody who began afterwards is told that all is well.
let private threads () =
    for failing in 1 .. Harness.cases 30 300 do
        let mutable calls = 0
        let mutable failedAt = Int64.MaxValue

        withStorage
            (16L * Page)
            (fun _ ->
                if Interlocked.Increment &calls = failing then
                    Volatile.Write(&failedAt, Diagnostics.Stopwatch.GetTimestamp())
                    5
                else
                    0)
            (fun map ->
                let mutable wrong = 0

                let work (thread: int) () =
                    let mutable failed = 0

                    while failed < 3 do
                        let before = Diagnostics.Stopwatch.GetTimestamp()

                        try
                            map.Persist(int64 thread * Page, 1L)

                            if before > Volatile.Read &failedAt then
                                Interlocked.Increment &wrong |> ignore
                        with :? PmemException ->
                            failed <- failed + 1

                let all = [ for i in 0..7 -> Thread(work i) ]
                all |> List.iter (fun thread -> thread.Start())
                all |> List.iter (fun thread -> thread.Join())
                Expect.equal wrong 0 "persists that returned after the error")

/// While one sync runs all others wait, and then one serves them all.
let private groupCommit () =
    use first = new ManualResetEventSlim()
    use release = new ManualResetEventSlim()
    let asked = List<ByteRange>()
    let mutable running = 0
    let mutable overlaps = 0

    withStorage
        (64L * Page)
        (fun range ->
            if Interlocked.Increment &running > 1 then
                overlaps <- overlaps + 1

            lock asked (fun () -> asked.Add range)
            first.Set()
            release.Wait()
            Interlocked.Decrement &running |> ignore
            0)
        (fun map ->
            let leader = Thread(fun () -> map.Persist(0L, 1L))
            leader.Start()
            first.Wait()
            let mutable waiting = 0

            let others =
                [
                    for i in 1L .. 8L ->
                        Thread(fun () ->
                            Interlocked.Increment &waiting |> ignore
                            map.Persist(i * Page, 1L))
                ]

            others |> List.iter (fun thread -> thread.Start())

            let isWaiting (thread: Thread) =
                thread.ThreadState.HasFlag ThreadState.WaitSleepJoin

            SpinWait.SpinUntil(fun () -> Volatile.Read &waiting = 8 && List.forall isWaiting others)
            release.Set()
            leader.Join()
            others |> List.iter (fun thread -> thread.Join())
            Expect.equal (List.ofSeq asked) [ pages 0L 1L; pages 1L 8L ] "the first alone, the others at once"
            Expect.equal overlaps 0 "one after another")

/// What one thread flushed is with the persist of another: a drain waits for that, and hears its error.
let private drainOfWhatRuns () =
    use isSyncing = new ManualResetEventSlim()
    use release = new ManualResetEventSlim()

    withStorage
        (4L * Page)
        (fun _ ->
            isSyncing.Set()
            release.Wait()
            5)
        (fun map ->
            map.Flush(0L, 1L)
            let outcomes = Collections.Concurrent.ConcurrentBag<string>()

            let begun (call: unit -> unit) =
                let told () =
                    try
                        call ()
                        "durable"
                    with :? PmemException as e ->
                        e.ErrorName

                let thread = Thread((fun () -> outcomes.Add(told ())), IsBackground = true)
                thread.Start()
                thread

            let leader = begun (fun () -> map.Persist(Page, 1L))
            isSyncing.Wait()
            let drainer = begun map.Drain

            try
                Expect.isTrue (Harness.comesToWait drainer) "nothing is noted, and yet it waits"
            finally
                release.Set()
                leader.Join()
                drainer.Join()

            Expect.equal (List.ofSeq outcomes) [ "EIO"; "EIO" ] "both are told")

/// A thread that waits is interrupted, and one that leads: neither leaves the others, or Dispose, waiting.
let private interrupted () =
    use entered = new SemaphoreSlim(0)
    use release = new SemaphoreSlim(0)

    withStorage
        (64L * Page)
        (fun _ ->
            entered.Release() |> ignore
            // An interrupt must reach the gate, not this wait.
            let mutable isReleased = false

            while not isReleased do
                isReleased <- release.Wait 0
                Thread.SpinWait 100

            0)
        (fun map ->
            let outcomes = Collections.Concurrent.ConcurrentBag<string>()

            let persist page () =
                try
                    map.Persist(page * Page, 1L)
                    outcomes.Add "durable"
                    Thread.Sleep 0 // The interrupt that was kept for later, if any.
                with :? ThreadInterruptedException ->
                    outcomes.Add "interrupted"

            let leader = Thread(persist 0L)
            leader.Start()
            entered.Wait()
            let waiter = Thread(persist 1L)
            waiter.Start()
            SpinWait.SpinUntil(fun () -> waiter.ThreadState.HasFlag ThreadState.WaitSleepJoin)
            waiter.Interrupt()
            Expect.isTrue (waiter.Join 10_000) "who waits gives up"
            leader.Interrupt()
            release.Release 10 |> ignore
            Expect.isTrue (leader.Join 10_000) "who leads finishes"
            map.Persist(2L * Page, 1L)
            map.Dispose()
            Expect.contains outcomes "interrupted" "outcome")

/// They are in the list "page persister".
let tests =
    [
        testCase "eight threads, one error: none returns as if durable" threads
        testCase "one sync serves all who wait" groupCommit
        testCase "a drain waits for the sync that has its pages" drainOfWhatRuns
        testCase "interrupted threads" interrupted
    ]
