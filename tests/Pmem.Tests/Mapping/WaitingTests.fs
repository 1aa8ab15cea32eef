/// Whoever left a mapping by an error has left it, and a Dispose sees everybody who is in it.
module Pmem.Tests.WaitingTests

open System
open System.IO
open System.Threading
open Expecto
open Pmem
open Pmem.FSharp
open Pmem.Testing

[<Literal>]
let private Page = 4096L

/// Disposes on another thread: on this one a Dispose inside of a call would not wait.
let private disposes (map: PmemMapping) why =
    let disposer = Thread((fun () -> map.Dispose()), IsBackground = true)
    disposer.Start()
    Expect.isTrue (disposer.Join 20_000) $"Dispose waits for nobody: {why}"

/// A mapping whose storage waits to be released, a thread that is in it, and what releases it.
let private withSomebodyInside (test: PmemMapping -> Thread -> (unit -> unit) -> unit) =
    use isSyncing = new ManualResetEventSlim()
    use release = new ManualResetEventSlim()

    use mapped =
        new SyncedMapping(
            Page,
            fun _ ->
                isSyncing.Set()
                release.Wait()
                0
        )

    let map = mapped.Mapping
    let user = Thread((fun () -> map.Persist(0L, 1L)), IsBackground = true)
    user.Start()
    isSyncing.Wait()

    try
        test map user release.Set
    finally
        release.Set()

/// More threads than any list of slots that was not pruned yet has room for.
let private manyThreadsMore () =
    use other = new SyncedMapping(Page, (fun _ -> 0))

    for _ in 1..40 do
        let threads =
            [
                for _ in 1..16 -> Thread((fun () -> other.Mapping.Persist(0L, 1L)), IsBackground = true)
            ]

        threads |> List.iter _.Start()
        threads |> List.iter _.Join()

let private seesWhoCameLongAgo () =
    withSomebodyInside (fun map user release ->
        manyThreadsMore ()
        let disposer = Thread((fun () -> map.Dispose()), IsBackground = true)
        disposer.Start()
        Expect.isTrue (Harness.comesToWait disposer) "somebody is in the mapping"
        release ()
        Expect.isTrue (disposer.Join 20_000 && user.Join 20_000) "both end")

let private whoComesTooLateIsNotInside () =
    use other = new SyncedMapping(Page, (fun _ -> 0))

    withSomebodyInside (fun map user release ->
        use isKnown = new ManualResetEventSlim()
        use isClosed = new ManualResetEventSlim()
        use wasRefused = new ManualResetEventSlim()
        use isOver = new ManualResetEventSlim()

        let late =
            Thread(
                (fun () ->
                    // Who has been in any mapping is among those that the Dispose looks at.
                    other.Mapping.Persist(0L, 1L)
                    isKnown.Set()
                    isClosed.Wait()

                    try
                        map.Persist(0L, 1L)
                    with :? ObjectDisposedException ->
                        wasRefused.Set()
                        isOver.Wait()),
                IsBackground = true
            )

        late.Start()
        isKnown.Wait()
        let disposer = Thread((fun () -> map.Dispose()), IsBackground = true)
        disposer.Start()

        try
            Expect.isTrue (Harness.comesToWait disposer) "somebody is in the mapping"
            isClosed.Set()
            Expect.isTrue (wasRefused.Wait 20_000) "the mapping is closed"
            release ()
            Expect.isTrue (disposer.Join 20_000 && user.Join 20_000) "both end though the late one lives"
        finally
            isClosed.Set()
            isOver.Set())

/// Every call that can fail, with storage that does, or a device without a way to flush.
let private leavesByAnError () =
    let ofPage: (string * (PmemMapping -> unit)) list =
        [
            "persist", _.Persist(0L, 1L)
            "drain",
            fun map ->
                map.Flush(0L, 1L)
                map.Drain()
            "msync", _.Msync(0L, 1L)
            "deep persist", _.DeepPersist(0L, 1L)
            "write", (fun map -> map.Write(0L, 1L))
            "fill", _.Fill(0L, 10L, 1uy)
            "move", _.Move(0L, 20L, 10L)
            "execute", (fun map -> map.Execute(FlushPlan.Of(ByteRange(0L, 1L))))
            "run", (fun map -> map.Run(PersistProgram.empty.Write(0L, 1L)))
        ]

    for name, call in ofPage do
        let mapped = new SyncedMapping(Page, (fun _ -> 5))
        Expect.throwsT<PmemException> (fun () -> call mapped.Mapping) name
        disposes mapped.Mapping name

    let ofDevice: (string * (PmemMapping -> unit)) list =
        [
            "deep drain", _.DeepDrain(0L, 1L)
            "deep persist", _.DeepPersist(0L, 1L)
            "msync", _.Msync(0L, 1L)
        ]

    for name, call in ofDevice do
        let struct (map, _) = Doubles.Anonymous(Page, Platform.x64 Clwb, DeviceDax)
        Expect.throwsT<PmemException> (fun () -> call map) $"{name} of a device"
        disposes map $"{name} of a device"

let private afterAnError () =
    let mapped =
        new SyncedMapping(2L * Page, (fun range -> if range.Offset = 0L then 5 else 0))

    let map = mapped.Mapping
    let program = (PersistProgram.empty.Write(0L, 1L)).Barrier().Write(Page, 7L)
    Expect.throwsT<PmemException> (fun () -> map.Run program) "the first epoch fails"
    Expect.equal (map.Read<int64> Page) 0L "so the second is not begun"

/// Dispose makes every processor pass a barrier: by membarrier(2), where the kernel has it.
let private hasBarrier directory =
    let log = Path.Combine(directory, "log")

    let outcome =
        Strace.straceOf "membarrier,write" "dispose" log [] (Path.Combine(directory, "f"))

    Expect.equal outcome.ExitCode 0 outcome.Error
    let calls = Strace.window log

    if not (File.ReadAllText(log).Contains "membarrier(") then
        skiptest "membarrier(2) is missing"

    Expect.isNonEmpty calls "a process-wide barrier before the slots are read"

/// A short call marks no slot: what Dispose waits for is that a collection can begin.
let private shortCalls: (string * (PmemMapping -> unit)) list =
    [
        "write", (fun map -> map.Write(0L, ReadOnlySpan(Array.zeroCreate<byte> 30)))
        "write a word", (fun map -> map.Write(0L, 1L))
        "fill", _.Fill(0L, 30L, 1uy)
        "move", _.Move(0L, 100L, 30L)
        "persist", _.Persist(0L, 30L)
        "store", (fun map -> map.Store(0L, 1L))
    ]

let private waitsForShort platform (call: PmemMapping -> unit) () =
    use memory = new GuardedMemory(int Page)

    let at index =
        Volatile.Read(&Runtime.InteropServices.MemoryMarshal.GetReference(memory.Span.Slice index))
        <> 0uy

    // The first thread to come is seen while it lingers, unless a collection of others stops this one meanwhile.
    let rec disposed attempts =
        memory.Span.Clear()
        let map = ShortCallTesting.Lingering(memory, platform)
        let user = Thread((fun () -> call map), IsBackground = true)
        user.Start()

        while not (at 0) do
            ()

        let isStillInside = not (at 4)
        map.Dispose()
        let isOver = at 4
        Expect.isTrue (user.Join 20_000) "the call ends well"

        if isStillInside then
            Expect.isTrue isOver "Dispose waited for its end"
            map
        elif attempts > 1 then
            disposed (attempts - 1)
        else
            failtest "nobody was seen inside"

    let map = disposed 20
    memory.Span.Clear()
    Expect.throwsT<ObjectDisposedException> (fun () -> call map) "the next one is refused"
    Expect.isFalse (at 0) "before it touched anything"

let private isForgotten directory =
    let path = Path.Combine(directory, "f")
    let map = PmemMapping.Create(path, 8192L)
    let address = NativeInterop.NativePtr.toNativeInt map.Pointer

    let isTracked () =
        match RangeTracker.FileOf(address, 8192n) with
        | null -> false
        | file -> file.Info.Path = path

    Expect.isTrue (isTracked ()) "while it is mapped, to its last byte"
    map.Dispose()
    Expect.isFalse (isTracked ()) "and no longer"

let tests =
    testSequenced
    <| testList
        "waiting"
        [
            testCase "a Dispose sees who came before many others" seesWhoCameLongAgo
            testCase "who comes while a Dispose waits is not waited for" whoComesTooLateIsNotInside
            testCase "a call that fails has left the mapping" leavesByAnError
            testCase "an epoch after one that failed is not begun" afterAnError
            Harness.needing "strace" Strace.isThere "a Dispose makes all processors pass a barrier" (fun () ->
                Harness.inDirectory hasBarrier)

            for name, call in shortCalls do
                Harness.needing
                    "x86-64 with System V"
                    ShortStubTests.isSystemV
                    $"a Dispose waits for a short call: {name}"
                    (waitsForShort (Platform.x64 Clwb) call)

            Harness.needing
                "x86-64 with System V"
                ShortStubTests.isSystemV
                "a Dispose waits for a short persist where no copy is short"
                (waitsForShort (CopyPlanTests.platformWith 256 [ "PMEM_MOVNT_THRESHOLD", "0" ]) (_.Persist(0L, 30L)))

            testCase "a disposed mapping is tracked no longer" (fun () -> Harness.inDirectory isForgotten)
        ]
