/// The litmus tests of the other models, and the runner of all.
module Pmem.Tests.Litmus

open System
open System.Buffers.Binary
open Expecto
open Pmem
open Pmem.Tests.LitmusX86

let private ofEadr =
    let test = test PersistencyModel.Eadr

    [
        test "eADR: visible is durable" eadr "program order across lines" [ x; z ] [ store x 1L; store z 1L ] inOrder
        test
            "eADR: nothing needs a flush"
            eadr
            ""
            [ x; z ]
            [ store x 1L; store z 1L; store x 2L ]
            [ [ 0L; 0L ]; [ 1L; 0L ]; [ 1L; 1L ]; [ 2L; 1L ] ]
        test
            "eADR: a long store is torn, what is before it is whole"
            sdmAtomic
            ""
            [ z; x; y ]
            [ store z 1L; bulk x [| 1L; 1L |] ]
            [
                [ 0L; 0L; 0L ]
                [ 1L; 0L; 0L ]
                [ 1L; 1L; 0L ]
                [ 1L; 0L; 1L ]
                [ 1L; 1L; 1L ]
            ]
        test
            "eADR: a long store is whole before what follows"
            eadr
            ""
            [ x; y; z ]
            [ bulk x [| 1L; 1L |]; store z 1L ]
            [
                [ 0L; 0L; 0L ]
                [ 1L; 0L; 0L ]
                [ 0L; 1L; 0L ]
                [ 1L; 1L; 0L ]
                [ 1L; 1L; 1L ]
            ]
        test
            "eADR: a non-temporal store needs the fence"
            sdmNt
            "not in the cache"
            [ x; z ]
            [ nonTemporal x 1L; store z 1L ]
            every
        test
            "eADR: a non-temporal store and its fence"
            sdmNt
            ""
            [ x; z ]
            [ nonTemporal x 1L; fence; store z 1L ]
            inOrder
        test
            "eADR: a non-temporal store may be durable before an older store is"
            sdmNt
            "it passes by the store buffer"
            [ x; z ]
            [ store x 1L; nonTemporal z 1L ]
            every
        test "eADR: a fence keeps it from that" sdmNt "" [ x; z ] [ store x 1L; fence; nonTemporal z 1L ] inOrder
        test
            "eADR: CLFLUSH keeps it from that too"
            sdmClflush
            "it is ordered with the stores before it"
            [ x; z ]
            [ store x 1L; clflush x; nonTemporal z 1L ]
            inOrder
        test "eADR: a write-back is no fence" sdmNt "" [ x; z ] [ nonTemporal x 1L; clwb x; store z 1L ] every
        test "eADR: CLFLUSH is no fence" sdmNt "" [ x; z ] [ nonTemporal x 1L; clflush x; store z 1L ] every
        test "eADR: msync fences" "Linux, fs/dax.c" "" [ x; z ] [ nonTemporal x 1L; sync p; store z 1L ] inOrder
        test
            "eADR: a store makes non-temporal ones to its word durable"
            sdmNt
            "coherence"
            [ x; z ]
            [ nonTemporal x 1L; store x 2L; store z 1L ]
            [ [ 0L; 0L ]; [ 1L; 0L ]; [ 2L; 0L ]; [ 2L; 1L ] ]
    ]

let private ofPageCache =
    let test = test PersistencyModel.PageCache

    [
        test
            "page cache: a page keeps no order"
            msync
            "it is written while it is stored to, its sectors in any order"
            [ x; z ]
            [ store x 1L; store z 1L ]
            every
        test
            "page cache: a word keeps its order"
            msync
            "one copy of the word"
            [ x ]
            [ store x 1L; store x 2L ]
            [ [ 0L ]; [ 1L ]; [ 2L ] ]
        test "page cache: pages are independent" msync "written in any order" [ x; p ] [ store x 1L; store p 1L ] every
        test
            "page cache: write-back and fence mean nothing"
            msync
            "memory is not the file"
            [ x; p ]
            [ store x 1L; clwb x; fence; store p 1L ]
            every
        test "page cache: CLFLUSH means nothing" msync "" [ x; p ] [ store x 1L; clflush x; store p 1L ] every
        test
            "page cache: msync is flush and drain"
            msync
            "MS_SYNC waits"
            [ x; p ]
            [ store x 1L; sync x; store p 1L ]
            inOrder
        test "page cache: msync of another page" msync "" [ x; p ] [ store x 1L; sync p; store p 1L ] every
        test
            "page cache: msync covers its whole page"
            msync
            ""
            [ x; z; p ]
            [
                store x 1L
                store z 1L
                Execute(SyncPages(ByteRange.create 0L 64L))
                store p 1L
            ]
            [
                [ 0L; 0L; 0L ]
                [ 1L; 0L; 0L ]
                [ 0L; 1L; 0L ]
                [ 1L; 1L; 0L ]
                [ 1L; 1L; 1L ]
            ]
        test "page cache: a store after msync is not covered" msync "" [ x; p ] [ sync x; store x 1L; store p 1L ] every
        test
            "page cache: a fence does not make a non-temporal store durable"
            msync
            ""
            [ x; p ]
            [ nonTemporal x 1L; fence; store p 1L ]
            every
        test
            "page cache: msync makes a non-temporal store durable"
            msync
            ""
            [ x; p ]
            [ nonTemporal x 1L; sync x; store p 1L ]
            inOrder
        test "page cache: a long store is torn" sdmAtomic "" [ x; y ] [ bulk x [| 1L; 1L |] ] every
    ]

let private ofRelaxed =
    let test = test PersistencyModel.Relaxed

    [
        test
            "word order only: no order in a line"
            ptso
            "one location at a time"
            [ x; y ]
            [ store x 1L; store y 1L ]
            every
        test
            "word order only: the same word keeps it"
            ptso
            ""
            [ x ]
            [ store x 1L; store x 2L ]
            [ [ 0L ]; [ 1L ]; [ 2L ] ]
        test "word order only: lines are independent" ptso "" [ x; z ] [ store x 1L; store z 1L ] every
        test "word order only: write-back and fence" cho "" [ x; y ] [ store x 1L; clwb x; fence; store y 1L ] inOrder
        test "word order only: CLFLUSH" ptso "" [ x; y ] [ store x 1L; clflush x; store y 1L ] inOrder
        test
            "word order only: a store between write-back and fence"
            cho
            ""
            [ x; y; z ]
            [ store x 1L; clwb x; store y 1L; fence; store z 1L ]
            [
                [ 0L; 0L; 0L ]
                [ 1L; 0L; 0L ]
                [ 0L; 1L; 0L ]
                [ 1L; 1L; 0L ]
                [ 1L; 0L; 1L ]
                [ 1L; 1L; 1L ]
            ]
        test
            "word order only: a later word does not imply a long store"
            ptso
            ""
            [ x; y ]
            [ bulk x [| 1L; 0L |]; store y 1L ]
            every
        test "word order only: a fence alone" ptso "" [ x; y ] [ store x 1L; fence; store y 1L ] every
        test "word order only: non-temporal and fence" sdmNt "" [ x; y ] [ nonTemporal x 1L; fence; store y 1L ] inOrder
    ]

let table = LitmusX86.table @ ofEadr @ ofPageCache @ ofRelaxed

let private sizeBytes = 4160

let private show shown (image: byte[]) =
    shown
    |> List.map (fun (at: int64) -> BinaryPrimitives.ReadInt64LittleEndian(ReadOnlySpan(image, int at, 8)))

/// What most people would write first: a write-back makes its lines durable, and the rest is durable in program order.
let private naive (events: PersistEvent list) =
    let apply (image: byte[]) event =
        let image = Array.copy image

        match event with
        | Store(offset, bytes)
        | StoreNonTemporal(offset, bytes) -> bytes.CopyTo(image, int offset)
        | _ -> ()

        image

    List.scan apply (Array.zeroCreate sizeBytes) events

let private holds (litmus: Litmus) =
    let states =
        CrashStates.enumerate litmus.Model (Array.zeroCreate sizeBytes) litmus.Events
        |> List.map (show litmus.Shown)

    let what = String.Concat(litmus.Reason, " (", litmus.Source, ")")
    Expect.equal (set states) (set litmus.States) what

let tests =
    testList
        "litmus"
        [
            for litmus in table do
                testCase $"{litmus.Model}: {litmus.Name}" (fun () -> holds litmus)

            testCase "there are at least 40, all with a name of their own" (fun () ->
                Expect.isGreaterThanOrEqual table.Length 40 "the table"

                Expect.equal
                    (table
                     |> List.distinctBy (fun litmus -> litmus.Model, litmus.Name)
                     |> List.length)
                    table.Length
                    "names")

            testCase "a naive simulator fails many of them" (fun () ->
                let isWrong litmus =
                    set (List.map (show litmus.Shown) (naive litmus.Events)) <> set litmus.States

                Expect.isGreaterThan (table |> List.filter isWrong |> List.length) 25 "wrong for the naive simulator")

            testCase "the initial contents show through" (fun () ->
                let image = Array.init 16 byte

                let states =
                    CrashStates.enumerate PersistencyModel.X86 image [ Store(3L, [| 99uy |]) ]

                let stored = Array.copy image
                stored[3] <- 99uy
                Expect.equal (set states) (set [ image; stored ]) "one byte changes")

            testCase "a memory that ends inside a word" (fun () ->
                let states =
                    CrashStates.enumerate PersistencyModel.X86 (Array.zeroCreate 11) [ Store(8L, [| 1uy; 2uy; 3uy |]) ]

                Expect.equal
                    (states |> List.map (fun image -> List.ofArray image[8..]) |> set)
                    (set [ [ 0uy; 0uy; 0uy ]; [ 1uy; 2uy; 3uy ] ])
                    "the three bytes are one word")

            testCase "no event leaves the memory as it is" (fun () ->
                Expect.equal (CrashStates.enumerate PersistencyModel.X86 [| 7uy |] []) [ [| 7uy |] ] "one state")

            testCase "an event outside the memory is refused" (fun () ->
                for event in
                    [
                        Store(8L, [| 1uy |])
                        Store(-1L, [| 1uy |])
                        StoreNonTemporal(1L, Array.zeroCreate 8)
                        clwb 8192L
                        sync 8192L
                    ] do
                    Expect.throwsT<ArgumentException>
                        (fun () ->
                            CrashStates.enumerate PersistencyModel.X86 (Array.zeroCreate 8) [ event ]
                            |> ignore)
                        (string event))

            testCase "too many states are refused with advice" (fun () ->
                let events = [ for i in 0L .. 19L -> store (64L * i) 1L ]

                let refused =
                    Expect.throwsC
                        (fun () ->
                            CrashStates.enumerate PersistencyModel.X86 (Array.zeroCreate 2048) events
                            |> ignore)
                        (fun error -> error.Message)

                Expect.stringContains refused "CrashCheck" "what to use instead")

            testCase "the C# form lists the same" (fun () ->
                let events = [ store x 1L; clwb x; store z 1L ]

                Expect.equal
                    (List.ofSeq (CrashStates.Enumerate(PersistencyModel.X86, Array.zeroCreate 128, events)))
                    (CrashStates.enumerate PersistencyModel.X86 (Array.zeroCreate 128) events)
                    "the same states")
        ]
