/// Who is in a mapping, and what a Dispose waits for.
module Pmem.Tests.LifetimeTests

open System
open System.Runtime.ExceptionServices
open System.Threading
open Expecto
open Pmem
open Pmem.Testing

[<Literal>]
let private Page = 4096L

/// Begins the call on another thread, and waits until the storage is being waited for; then disposes the mapping on a third.
let private disposeDuring (call: PmemMapping -> unit) =
    use isSyncing = new ManualResetEventSlim()
    use release = new ManualResetEventSlim()

    use mapped =
        new SyncedMapping(
            16L * Page,
            fun _ ->
                isSyncing.Set()
                release.Wait()
                0
        )

    let map = mapped.Mapping
    let mutable outcome = "nothing"

    let user =
        Thread(fun () ->
            try
                call map
                outcome <- "durable"
            with e ->
                outcome <- e.Message)

    user.Start()
    isSyncing.Wait()
    let disposer = Thread(fun () -> map.Dispose())
    disposer.Start()
    Expect.isTrue (Harness.comesToWait disposer) "Dispose waits"
    release.Set()
    Expect.isTrue (user.Join 10_000 && disposer.Join 10_000) "both end"
    outcome

let private wholeOperations () =
    let bytes = Array.create 5000 1uy
    let mutable program = PersistProgram.empty

    for i in 0L .. 9L do
        program <- (program.Write(i * 8L, [| 1uy |])).Barrier()

    for name, call in
        [
            "write", (fun (map: PmemMapping) -> map.Write(0L, ReadOnlySpan bytes))
            "write a value", (fun map -> map.Write(0L, 1L))
            "fill", (fun map -> map.Fill(0L, 5000L, 1uy))
            "move", (fun map -> map.Move(0L, 8192L, 5000L))
            "persist", (fun map -> map.Persist(0L, 1L))
            "run", (fun map -> map.Run program)
        ] do
        Expect.equal (disposeDuring call) "durable" name

/// A handler that is run inside of a call, by an exception that the call itself handles, does this.
let private insideOfACall (call: unit -> unit) (action: unit -> unit) =
    let mutable isRunning = false
    let mutable count = 0

    let handler =
        EventHandler<FirstChanceExceptionEventArgs>(fun _ e ->
            if e.Exception.Message = SyncedMapping.Inside && not isRunning then
                isRunning <- true
                count <- count + 1
                action ()
                isRunning <- false)

    AppDomain.CurrentDomain.FirstChanceException.AddHandler handler

    try
        call ()
    finally
        AppDomain.CurrentDomain.FirstChanceException.RemoveHandler handler

    Expect.equal count 1 "the handler ran"

let private nested () =
    use other = new SyncedMapping(Page, (fun _ -> 0))
    use isInside = new ManualResetEventSlim()
    use goOn = new ManualResetEventSlim()

    use mapped =
        new SyncedMapping(Page, (fun range -> SyncedMapping.ThrowsInside range))

    let map = mapped.Mapping

    let user =
        Thread(fun () ->
            insideOfACall (fun () -> map.Persist(0L, 1L)) (fun () ->
                // Uses another mapping, and leaves it: this thread is still in the first.
                other.Mapping.Persist(0L, 1L)
                isInside.Set()
                goOn.Wait()))

    user.Start()
    isInside.Wait()
    let disposer = Thread(fun () -> map.Dispose())
    disposer.Start()
    Expect.isTrue (Harness.comesToWait disposer) "the mapping is in use"
    let otherDisposer = Thread(fun () -> other.Mapping.Dispose())
    otherDisposer.Start()
    Expect.isTrue (otherDisposer.Join 10_000) "the other one is not"
    goOn.Set()
    Expect.isTrue (user.Join 10_000 && disposer.Join 10_000) "both end"

let private disposedInside () =
    use mapped =
        new SyncedMapping(Page, (fun range -> SyncedMapping.ThrowsInside range))

    let map = mapped.Mapping

    let user =
        Thread(fun () -> insideOfACall (fun () -> map.Persist(0L, 1L)) (fun () -> map.Dispose()))

    user.Start()
    Expect.isTrue (user.Join 10_000) "a Dispose inside of a call does not wait for itself"
    Expect.throwsT<ObjectDisposedException> (fun () -> map.Persist(0L, 1L)) "closed"

let private interruptedDispose () =
    use isSyncing = new ManualResetEventSlim()
    use release = new ManualResetEventSlim()

    Harness.inDirectory (fun directory ->
        use mapped =
            new SyncedMapping(
                Page,
                fun _ ->
                    isSyncing.Set()
                    release.Wait()
                    0
            )

        let map = mapped.Mapping
        let user = Thread(fun () -> map.Persist(0L, 1L))
        user.Start()
        isSyncing.Wait()
        let mutable wasInterrupted = false

        let disposer =
            Thread(fun () ->
                map.Dispose()

                try
                    Thread.Sleep 0
                    Thread.Sleep 10
                with :? ThreadInterruptedException ->
                    wasInterrupted <- true)

        disposer.Start()
        Expect.isTrue (Harness.comesToWait disposer) "the mapping is in use"
        disposer.Interrupt()
        Expect.isFalse (disposer.Join 20) "it waits all the same"
        Expect.isTrue mapped.IsMapped "still there"
        release.Set()
        Expect.isTrue (disposer.Join 10_000 && user.Join 10_000) "both end"
        Expect.isTrue wasInterrupted "the interrupt came after it"
        Expect.isFalse mapped.IsMapped "unmapped")

let private failedUnmap () =
    use mapped = new SyncedMapping(Page, (fun _ -> 0))
    // Unmapping at an address that is no page fails, as that of a part of a huge page does.
    let map = mapped.Misaligned()
    Expect.throwsT<PmemException> (fun () -> map.Dispose()) "EINVAL"
    Expect.throwsT<ObjectDisposedException> (fun () -> map.Persist(0L, 1L)) "closed all the same"
    Expect.throwsT<PmemException> (fun () -> map.Dispose()) "and it tries again"

let tests =
    testSequenced
    <| testList
        "lifetime"
        [
            testCase "Dispose waits for the whole of a write, a fill, a move and a program" wholeOperations
            testCase "a call inside of a call, of another mapping" nested
            testCase "a Dispose inside of a call" disposedInside
            testCase "a Dispose that is interrupted" interruptedDispose
            testCase "a Dispose that fails is tried again" failedUnmap
        ]
