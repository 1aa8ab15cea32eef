/// A large range is walked in chunks: one after another, all of it, and only the last one waits.
module Pmem.Tests.ChunkTests

open Expecto
open Pmem
open Pmem.Testing

let private start = 1n <<< 30

let private chunk = nativeint StubLines.ChunkBytes

/// The calls of the stubs: where they begin and end, and whether they wait.
let private callsOf (call: StubLines -> unit) =
    use recorder = new StubRecorder()
    call recorder.Lines

    [
        for struct (first, last, isFenced) in recorder.Calls() -> first, last, isFenced
    ]

let private covers (finish: nativeint) isFenced calls =
    let firsts = calls |> List.map (fun (first, _, _) -> first)
    let lasts = calls |> List.map (fun (_, last, _) -> last)
    let waits = calls |> List.map (fun (_, _, isFenced) -> isFenced)
    Expect.equal (firsts @ [ finish ]) (start :: lasts) "each begins where the one before ends"
    Expect.equal waits (List.replicate (calls.Length - 1) false @ [ isFenced ]) "only the last one waits, if any"

let private walked () =
    for length in [ 64n; chunk; chunk + 64n; 2n * chunk; 10n * chunk + 128n ] do
        let finish = start + length
        callsOf _.WriteBack(start, finish) |> covers finish false
        callsOf _.WriteBackAndFence(start, finish) |> covers finish true
        callsOf _.DeepWriteBack(start, finish) |> covers finish false

let tests =
    testList "chunks" [ testCase "of a write-back, a persist and a deep write-back" walked ]
