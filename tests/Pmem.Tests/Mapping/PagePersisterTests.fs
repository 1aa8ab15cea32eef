/// Page granularity: what is gathered, and what becomes of an error. The storage is a double.
module Pmem.Tests.PagePersisterTests

open System
open System.Collections.Generic
open Expecto
open FsCheck.FSharp
open Pmem
open Pmem.Testing
open Pmem.Tests.PageThreadTests

/// Storage that keeps what it was asked for.
let private recorded (test: PmemMapping -> (unit -> ByteRange list) -> unit) =
    let asked = List<ByteRange>()

    let take () =
        let taken = List.ofSeq asked
        asked.Clear()
        taken

    withStorage
        (64L <<< 20)
        (fun range ->
            asked.Add range
            0)
        (fun map -> test map take)

let private gathered () =
    recorded (fun map taken ->
        map.Flush(10L, 1L)
        map.Flush(3L * Page, 2L)
        map.Write(Page, 1L, PmemCopyOptions.NoDrain)
        Expect.isEmpty (taken ()) "a flush makes no call"
        map.Drain()
        Expect.equal (taken ()) [ pages 0L 4L ] "one call, with what lies between"
        map.Drain()
        Expect.isEmpty (taken ()) "nothing is left"
        map.Flush(0L, 1L)
        map.Persist(8L * Page, 1L)
        Expect.equal (taken ()) [ pages 0L 9L ] "a persist drains what was flushed"
        map.Flush(0L, 0L)
        map.Drain()
        Expect.isEmpty (taken ()) "no bytes have no page")

let private farApart () =
    recorded (fun map taken ->
        map.Execute(FlushPlan.Of(ByteRange(0L, 1L), ByteRange(60L <<< 20, 1L)))
        Expect.equal (taken ()) [ pages 0L 1L; pages (15L * 1024L) 1L ] "60 MiB cost more than a call"

        for i in 0L .. 999L do
            map.Flush(i * 17L * Page % map.Length, 8L)

        map.Drain()
        Expect.hasLength (taken ()) 1 "a thousand ranges in 64 MiB")

type Flushes = Flushes of ByteRange list

/// Anywhere in the mapping, or one after another; more than the list of what is noted has room for at first.
type private Arbitraries =
    static member Flushes() =
        let anywhere =
            gen {
                let! offset = Gen.choose (0, (64 <<< 20) - 30_000)
                let! length = Gen.choose (0, 25_000)
                return ByteRange(int64 offset, int64 length)
            }

        let near =
            Gen.map2
                (fun at length -> ByteRange(int64 at, int64 length))
                (Gen.choose (0, 100_000))
                (Gen.choose (0, 100))

        Gen.oneof
            [
                Gen.listOf anywhere
                Gen.listOf near
                Gen.listOf (Gen.oneof [ anywhere; near ])
            ]
        |> Gen.map Flushes
        |> Arb.fromGen

/// Whatever is flushed in whatever order, the drain covers it, in disjoint ranges of whole pages.
let private covers (Flushes flushes) =
    let mutable isRight = true

    recorded (fun map taken ->
        for range in flushes do
            map.Flush(range.Offset, range.Length)

        map.Drain()
        let synced = taken ()

        let isCovered (range: ByteRange) =
            range.IsEmpty || synced |> List.exists (fun one -> one.Contains range)

        isRight <-
            List.forall isCovered flushes
            && synced
               |> List.forall (fun range -> range.Offset % Page = 0L && range.Length % Page = 0L)
            && List.pairwise synced |> List.forall (fun (a, b) -> a.End < b.Offset))

    isRight

let private everyCall (map: PmemMapping) : (string * (unit -> unit)) list =
    let bytes = [| 1uy; 2uy |]
    let program = PersistProgram.empty.Write(0L, bytes)

    [
        "persist", (fun () -> map.Persist(0L, 1L))
        "persist nothing", (fun () -> map.Persist(0L, 0L))
        "flush", (fun () -> map.Flush(0L, 1L))
        "drain", (fun () -> map.Drain())
        "execute", (fun () -> map.Execute(FlushPlan.Of(ByteRange(0L, 1L))))
        "execute nothing", (fun () -> map.Execute FlushPlan.Empty)
        "msync", (fun () -> map.Msync(0L, 1L))
        "deep flush", (fun () -> map.DeepFlush(0L, 1L))
        "deep drain", (fun () -> map.DeepDrain(0L, 1L))
        "deep persist", (fun () -> map.DeepPersist(0L, 1L))
        "write", (fun () -> map.Write(0L, ReadOnlySpan bytes))
        "write a value", (fun () -> map.Write(0L, 1L))
        "write without drain", (fun () -> map.Write(0L, ReadOnlySpan bytes, PmemCopyOptions.NoDrain))
        "fill", (fun () -> map.Fill(0L, 8L, 1uy))
        "move", (fun () -> map.Move(0L, 64L, 8L))
        "store past the cache", (fun () -> map.StoreNonTemporal(0L, ReadOnlySpan bytes))
        "run", (fun () -> map.Run program)
        "persist later", (fun () -> map.PersistAsync(0L, 1L).GetAwaiter().GetResult())
        "drain later", (fun () -> map.DrainAsync().GetAwaiter().GetResult())
    ]

let private poisoned () =
    for _, first in
        everyCall Unchecked.defaultof<PmemMapping>
        |> List.indexed
        |> List.map (fun (i, _) -> i, i) do
        let mutable error = 5

        withStorage
            (4L * Page)
            (fun _ ->
                let now = error
                error <- 0 // The kernel tells once: from here on it says that all is well.
                now)
            (fun map ->
                map.Flush(3L * Page + 5L, 1L)
                let name, call = (everyCall map)[first]

                // What only flushes cannot meet the error; the drain after it does.
                let met =
                    match name with
                    | "flush"
                    | "deep flush"
                    | "write without drain"
                    | "store past the cache" ->
                        call ()
                        fails map.Drain
                    | _ -> fails call

                Expect.equal (met.ErrorName, met.ErrorNumber) ("EIO", 5) name

                Expect.isTrue
                    (met.NotDurable
                     |> Seq.exists (fun range -> range.Contains(ByteRange(3L * Page + 5L, 1L))))
                    $"{name}: what was flushed before is named"

                for later, call in everyCall map do
                    let e = fails call

                    Expect.equal
                        (e.ErrorName, List.ofSeq e.NotDurable)
                        ("EIO", List.ofSeq met.NotDurable)
                        $"{name}, then {later}"

                    Expect.stringContains e.Message "12288 to 16384" later
                    Expect.stringContains e.Message "open the file again" later

                // What promises nothing goes on.
                map.Store(0L, 5L)
                Expect.equal (map.Read<int64> 0L) 5L "stores and reads")

/// Who syncs a mapping's pages by their address takes the error that the kernel tells once: the mapping must hear it.
let private byAddress () =
    let mutable error = 5

    use mapped =
        new SyncedMapping(
            4L * Page,
            fun _ ->
                let now = error
                error <- 0
                now
        )

    mapped.Track()
    let map = mapped.Mapping
    let address = NativeInterop.NativePtr.toVoidPtr map.Pointer
    Expect.equal (LibPmem.Msync(address, 8un)) -1 "told"
    Expect.equal (Runtime.InteropServices.Marshal.GetLastPInvokeError()) 5 "EIO"
    Expect.equal (fails (fun () -> map.Persist(2L * Page, 1L))).ErrorName "EIO" "the mapping heard it"
    Expect.equal (LibPmem.Msync(address, 8un)) -1 "told again"
    Expect.equal (LibPmem.DeepDrain(address, 8un)) -1 "of a deep drain too"
    Expect.stringContains (LibPmem.ErrorMessage()) "EIO" "by its name"

/// Two of three ranges are synced before the third fails: they are durable.
let private inPart () =
    let mutable calls = 0

    withStorage
        (200L <<< 20)
        (fun _ ->
            calls <- calls + 1
            if calls = 3 then 28 else 0)
        (fun map ->
            let ranges = [| for i in 0L .. 2L -> ByteRange(i <<< 26, 1L) |]
            let e = fails (fun () -> map.Execute(FlushPlan.Of ranges))
            Expect.equal e.ErrorName "ENOSPC" "name"
            Expect.equal (List.ofSeq e.NotDurable) [ ByteRange(2L <<< 26, Page) ] "the last one")

/// The first of several ranges fails, and the kernel tells an error once: that all is well with the others changes nothing.
let private firstOfSeveral () =
    let mutable calls = 0

    withStorage
        (200L <<< 20)
        (fun _ ->
            calls <- calls + 1
            if calls = 1 then 5 else 0)
        (fun map ->
            let ranges = [| for i in 0L .. 2L -> ByteRange(i <<< 26, 1L) |]
            let e = fails (fun () -> map.Execute(FlushPlan.Of ranges))
            Expect.equal e.ErrorName "EIO" "name"

            Expect.equal
                (List.ofSeq e.NotDurable)
                [ for range in ranges -> ByteRange(range.Offset, Page) ]
                "nothing of it counts as durable")

let private allocatesNothing () =
    withStorage (64L <<< 20) (fun _ -> 0) (fun map ->
        let all () =
            for i in 0L .. 99L do
                map.Flush(i * 90001L, 8L)

            map.Drain()
            map.Persist(5L, 5L)

        for _ in 1..50 do
            all ()

        let before = GC.GetAllocatedBytesForCurrentThread()
        all ()
        Expect.equal (GC.GetAllocatedBytesForCurrentThread() - before) 0L "bytes")

let tests =
    testSequenced
    <| testList
        "page persister"
        [
            testCase "flushes are gathered until the drain" gathered
            testCase "as few calls as pay" farApart
            Harness.propertyOf
                (Harness.cases 200 2000)
                "a drain covers all that was flushed"
                [ typeof<Arbitraries> ]
                covers
            testCase "the first error is the last word of every call" poisoned
            testCase "an error that is told to libpmem's msync is the mapping's too" byAddress
            testCase "what was synced before the error is not named" inPart
            testCase "of several ranges the first one's error counts" firstOfSeveral
            yield! PageThreadTests.tests
            testCase "nothing is allocated" allocatesNothing
        ]
