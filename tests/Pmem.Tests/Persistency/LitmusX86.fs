/// Litmus tests: small traces, and every state that a power failure may leave behind. The names are the rules of
/// PersistencyModel.fs, where their sources are written out.
module Pmem.Tests.LitmusX86

open System
open Pmem

/// x and y share a line, z has another line of the same page, p another page; v follows y in the line of x.
let x, y, v, z, p = 0L, 8L, 16L, 64L, 4096L

let word (value: int64) = BitConverter.GetBytes value
let store at value = Store(at, word value)
let nonTemporal at value = StoreNonTemporal(at, word value)
let words values = Array.collect word values
let bulk at values = Store(at, words values)
let line at = ByteRange.create (at / 64L * 64L) 64L
let back kind at = Execute(WriteBack(kind, line at))
let clwb = back Clwb
let clflushopt = back ClflushOpt
let clflush = back Clflush
let fence = Execute Fence

let sync at =
    Execute(SyncPages(ByteRange.create (at / 4096L * 4096L) 4096L))

type Litmus =
    {
        Name: string
        Model: PersistencyModel
        Events: PersistEvent list
        /// The words that the states show.
        Shown: int64 list
        States: int64 list list
        Reason: string
        Source: string
    }

let sdm = "Intel SDM vol. 2, CLWB, CLFLUSHOPT"
let sdmClflush = "Intel SDM vol. 2, CLFLUSH"
let sdmNt = "Intel SDM vol. 1, 10.4.6.2"
let sdmAtomic = "Intel SDM vol. 3A, 9.1.1"
let px86 = "Raad et al., POPL 2020 (Px86)"
let ptso = "Khyzha, Lahav, POPL 2021 (PTSOsyn)"
let cho = "Cho et al., PLDI 2021"
let jaaru = "Gorjiara, Xu, Demsky, ASPLOS 2021 (Jaaru)"
let eadr = "pmem_has_auto_flush(3)"
let msync = "msync(2)"

let test model name source reason shown events states =
    {
        Name = name
        Model = model
        Events = events
        Shown = shown
        States = states
        Reason = reason
        Source = source
    }

let every = [ [ 0L; 0L ]; [ 1L; 0L ]; [ 0L; 1L ]; [ 1L; 1L ] ]
let inOrder = [ [ 0L; 0L ]; [ 1L; 0L ]; [ 1L; 1L ] ]

let table =
    let test = test PersistencyModel.X86

    [
        test "a store is durable or not" px86 "persists lag behind stores" [ x ] [ store x 1L ] [ [ 0L ]; [ 1L ] ]
        test "atom: a word is never torn" sdmAtomic "aligned 8 bytes" [ x ] [ store x -2L ] [ [ 0L ]; [ -2L ] ]
        test "atom: a long store is torn" sdmAtomic "its words have no order" [ x; y ] [ bulk x [| 1L; 1L |] ] every
        test
            "atom: a store across words is torn"
            sdmAtomic
            "4 bytes in each"
            [ x; y ]
            [ Store(4L, word -1L) ]
            [
                [ 0L; 0L ]
                [ 0xFFFFFFFF00000000L; 0L ]
                [ 0L; 0xFFFFFFFFL ]
                [ 0xFFFFFFFF00000000L; 0xFFFFFFFFL ]
            ]
        test
            "atom: an unaligned store inside a word is whole"
            sdmAtomic
            ""
            [ x ]
            [ Store(2L, [| 1uy; 1uy; 1uy |]) ]
            [ [ 0L ]; [ 0x101010000L ] ]
        test
            "atom: two halves of a word keep their order"
            px86
            "the same word"
            [ x ]
            [ Store(4L, [| 1uy; 0uy; 0uy; 0uy |]); Store(0L, [| 1uy; 0uy; 0uy; 0uy |]) ]
            [ [ 0L ]; [ 0x100000000L ]; [ 0x100000001L ] ]
        test "line order: a prefix is durable" jaaru "one copy of the line" [ x; y ] [ store x 1L; store y 1L ] inOrder
        test "line order: program order, not address order" jaaru "" [ y; x ] [ store y 1L; store x 1L ] inOrder
        test "line order: the same word" px86 "coherence" [ x ] [ store x 1L; store x 2L ] [ [ 0L ]; [ 1L ]; [ 2L ] ]
        test
            "line order: a store implies all words of a long one before it"
            jaaru
            ""
            [ x; y; v ]
            [ bulk x [| 1L; 1L |]; store v 1L ]
            [
                [ 0L; 0L; 0L ]
                [ 1L; 0L; 0L ]
                [ 0L; 1L; 0L ]
                [ 1L; 1L; 0L ]
                [ 1L; 1L; 1L ]
            ]
        test
            "line order: any word of a long store implies the store before it"
            jaaru
            ""
            [ x; y; v ]
            [ store x 1L; bulk y [| 1L; 1L |] ]
            [
                [ 0L; 0L; 0L ]
                [ 1L; 0L; 0L ]
                [ 1L; 1L; 0L ]
                [ 1L; 0L; 1L ]
                [ 1L; 1L; 1L ]
            ]
        test "lines are independent" px86 "no order across lines" [ x; z ] [ store x 1L; store z 1L ] every
        test "lines are independent: a long store across two" px86 "" [ 56L; z ] [ bulk 56L [| 1L; 1L |] ] every
        test
            "write-back and fence: CLWB"
            sdm
            "durable before what follows"
            [ x; z ]
            [ store x 1L; clwb x; fence; store z 1L ]
            inOrder
        test
            "write-back and fence: CLFLUSHOPT"
            sdm
            "as CLWB"
            [ x; z ]
            [ store x 1L; clflushopt x; fence; store z 1L ]
            inOrder
        test
            "write-back and fence: DC CVAP and DSB"
            cho
            "Arm's CLWB"
            [ x; z ]
            [ store x 1L; back DcCvap x; fence; store z 1L ]
            inOrder
        test
            "write-back and fence: DC CVADP and DSB"
            cho
            "Arm's deep one"
            [ x; z ]
            [ store x 1L; back DcCvadp x; fence; store z 1L ]
            inOrder
        test "write-back without a fence: CLWB" sdm "asynchronous" [ x; z ] [ store x 1L; clwb x; store z 1L ] every
        test
            "write-back without a fence: CLFLUSHOPT"
            sdm
            "the same"
            [ x; z ]
            [ store x 1L; clflushopt x; store z 1L ]
            every
        test
            "a fence alone orders nothing"
            px86
            "it waits for write-backs only"
            [ x; z ]
            [ store x 1L; fence; store z 1L ]
            every
        test
            "a fence before the write-back does not complete it"
            px86
            ""
            [ x; z ]
            [ store x 1L; fence; clwb x; store z 1L ]
            every
        test
            "a write-back before the store does not cover it"
            sdm
            "it had not happened"
            [ x; z ]
            [ clwb x; store x 1L; fence; store z 1L ]
            every
        test
            "a store between write-back and fence is not covered"
            px86
            "it may miss the line"
            [ x; z ]
            [ store x 1L; clwb x; store x 2L; fence; store z 1L ]
            [ [ 0L; 0L ]; [ 1L; 0L ]; [ 2L; 0L ]; [ 1L; 1L ]; [ 2L; 1L ] ]
        test
            "a store to the line between write-back and fence is not covered"
            px86
            ""
            [ x; y; z ]
            [ store x 1L; clwb x; store y 1L; fence; store z 1L ]
            [
                [ 0L; 0L; 0L ]
                [ 1L; 0L; 0L ]
                [ 1L; 1L; 0L ]
                [ 1L; 0L; 1L ]
                [ 1L; 1L; 1L ]
            ]
        test
            "a write-back covers every store to its line"
            sdm
            ""
            [ x; y; z ]
            [ store x 1L; store y 1L; clwb y; fence; store z 1L ]
            [ [ 0L; 0L; 0L ]; [ 1L; 0L; 0L ]; [ 1L; 1L; 0L ]; [ 1L; 1L; 1L ] ]
        test
            "a write-back of another line covers nothing"
            sdm
            ""
            [ x; p ]
            [ store x 1L; clwb z; fence; store p 1L ]
            every
        test
            "one fence completes two write-backs"
            sdm
            ""
            [ x; z; p ]
            [ store x 1L; store z 1L; clwb x; clwb z; fence; store p 1L ]
            [
                [ 0L; 0L; 0L ]
                [ 1L; 0L; 0L ]
                [ 0L; 1L; 0L ]
                [ 1L; 1L; 0L ]
                [ 1L; 1L; 1L ]
            ]
        test
            "a write-back of a range covers all its lines"
            sdm
            ""
            [ x; z; p ]
            [
                bulk 56L [| 0L; 1L |]
                store x 1L
                Execute(WriteBack(Clwb, ByteRange.create 0L 128L))
                fence
                store p 1L
            ]
            [
                [ 0L; 0L; 0L ]
                [ 1L; 0L; 0L ]
                [ 0L; 1L; 0L ]
                [ 1L; 1L; 0L ]
                [ 1L; 1L; 1L ]
            ]
        test
            "what was durable stays until it is overwritten"
            px86
            ""
            [ x ]
            [ store x 1L; clwb x; fence; store x 2L ]
            [ [ 0L ]; [ 1L ]; [ 2L ] ]
        test
            "CLFLUSH is ordered like a store"
            sdmClflush
            "nothing later is visible before it"
            [ x; z ]
            [ store x 1L; clflush x; store z 1L ]
            inOrder
        test
            "CLFLUSH covers the stores to its line before it"
            sdmClflush
            ""
            [ x; y; z ]
            [ store x 1L; store y 1L; clflush x; store z 1L ]
            [ [ 0L; 0L; 0L ]; [ 1L; 0L; 0L ]; [ 1L; 1L; 0L ]; [ 1L; 1L; 1L ] ]
        test
            "CLFLUSH does not cover a store after it"
            sdmClflush
            ""
            [ x; z ]
            [ clflush x; store x 1L; store z 1L ]
            every
        test "CLFLUSH of another line covers nothing" sdmClflush "" [ x; p ] [ store x 1L; clflush z; store p 1L ] every
        test
            "CLFLUSH completes no other write-back"
            px86
            "it is no fence"
            [ x; z; p ]
            [ store x 1L; clwb x; store z 1L; clflush z; store p 1L ]
            [
                [ 0L; 0L; 0L ]
                [ 1L; 0L; 0L ]
                [ 0L; 1L; 0L ]
                [ 1L; 1L; 0L ]
                [ 0L; 1L; 1L ]
                [ 1L; 1L; 1L ]
            ]
        test
            "CLFLUSH does not cover a non-temporal store: a fence alone does"
            sdmNt
            "write-combining buffers are no cache"
            [ x; z ]
            [ nonTemporal x 1L; clflush x; store z 1L ]
            every
        test
            "a write-back that does not exist does nothing"
            px86
            ""
            [ x; z ]
            [ store x 1L; back NoWriteBack x; fence; store z 1L ]
            every
        test
            "non-temporal: not durable without a fence"
            sdmNt
            "write-combining buffers"
            [ x; z ]
            [ nonTemporal x 1L; store z 1L ]
            every
        test "non-temporal: durable after a fence" sdmNt "" [ x; z ] [ nonTemporal x 1L; fence; store z 1L ] inOrder
        test
            "non-temporal: no order to a store of the line before it"
            sdmNt
            "weakly ordered"
            [ x; y ]
            [ store x 1L; nonTemporal y 1L ]
            every
        test
            "non-temporal: no order to a store of the line after it"
            sdmNt
            "weakly ordered"
            [ x; y ]
            [ nonTemporal x 1L; store y 1L ]
            every
        test "non-temporal: no order among themselves" sdmNt "" [ x; y ] [ nonTemporal x 1L; nonTemporal y 1L ] every
        test
            "non-temporal: after a store to the same word"
            sdmNt
            "coherence"
            [ x ]
            [ store x 1L; nonTemporal x 2L ]
            [ [ 0L ]; [ 1L ]; [ 2L ] ]
        test
            "non-temporal: before a store to the same word"
            sdmNt
            "coherence"
            [ x ]
            [ nonTemporal x 1L; store x 2L ]
            [ [ 0L ]; [ 1L ]; [ 2L ] ]
        test
            "non-temporal: carries no order of the line along"
            sdmNt
            "the new y with the old x: order to the same word alone"
            [ x; y ]
            [ store x 1L; store y 1L; nonTemporal y 2L ]
            [ [ 0L; 0L ]; [ 1L; 0L ]; [ 1L; 1L ]; [ 0L; 2L ]; [ 1L; 2L ] ]
        test
            "non-temporal: fenced, it leaves the order of the line as it was"
            sdmNt
            ""
            [ x; y; v ]
            [ store x 1L; store y 1L; nonTemporal y 2L; fence; store v 1L ]
            [
                [ 0L; 0L; 0L ]
                [ 1L; 0L; 0L ]
                [ 1L; 1L; 0L ]
                [ 0L; 2L; 0L ]
                [ 1L; 2L; 0L ]
                [ 1L; 2L; 1L ]
            ]
        test "non-temporal: a long one is torn" sdmAtomic "" [ x; y ] [ StoreNonTemporal(x, words [| 1L; 1L |]) ] every
        test
            "non-temporal: its fence does not cover temporal stores"
            sdmNt
            ""
            [ x; z ]
            [ store x 1L; nonTemporal z 1L; fence ]
            every
        test
            "msync on DAX writes back and fences"
            "Linux, fs/dax.c"
            "its pages' lines"
            [ x; p ]
            [ store x 1L; sync x; store p 1L ]
            inOrder
        test
            "msync on DAX completes other write-backs"
            "Linux, fs/dax.c"
            "it takes locks"
            [ p; x ]
            [ store p 1L; clwb p; sync x; store x 1L ]
            inOrder
        test
            "msync on DAX of another page covers no store"
            "Linux, fs/dax.c"
            ""
            [ p; x ]
            [ store p 1L; sync x; store x 1L ]
            every
    ]
