/// Short calls as a mapping makes them: which code runs for which member, and beside collections.
module Pmem.Tests.ShortCallTests

open System
open System.Threading
open Expecto
open Pmem
open Pmem.Testing
open Pmem.Tests.ShortStubTests

/// Each member of a mapping runs the code that is meant for it.
let private members (copy: byte, fill: byte) environment () =
    use memory = new GuardedMemory(4096)

    use map =
        ShortCallTesting.Marking(memory, CopyPlanTests.platformWith 256 environment)

    let members: (string * byte * (unit -> unit)) list =
        [
            "write", copy, (fun () -> map.Write(0L, ReadOnlySpan(Array.zeroCreate<byte> 30)))
            "write a line", copy, (fun () -> map.Write(0L, ReadOnlySpan(Array.zeroCreate<byte> 64)))
            "write a word", fill, (fun () -> map.Write(0L, 1L))
            "write a byte", fill, (fun () -> map.Write(0L, 1uy))
            "write three words", copy, (fun () -> map.Write(0L, struct (1L, 2L, 3L)))
            "move", copy, (fun () -> map.Move(0L, 100L, 30L))
            "move up, over itself", 1uy, (fun () -> map.Move(0L, 29L, 30L))
            "move beside itself", copy, (fun () -> map.Move(0L, 30L, 30L))
            "fill", fill, (fun () -> map.Fill(0L, 30L, 1uy))
            "persist", 5uy, (fun () -> map.Persist(0L, 30L))
            "store", 6uy, (fun () -> map.Store(0L, 1s))
        ]

    for name, code, call in members do
        memory.Span.Clear()
        call ()
        Expect.equal (memory.Span[0]) code name

    memory.Span.Clear()
    map.Move(29L, 0L, 30L)
    Expect.equal (memory.Span[29]) 1uy "move down, over itself"

/// What is copied is an array that collections move meanwhile: nothing pins the source of a short write.
let private movedSources () =
    use memory = new GuardedMemory(3 * Environment.SystemPageSize)
    use map = ShortCallTesting.InTheMiddle memory
    use isOver = new ManualResetEventSlim()

    let collector =
        Thread(fun () ->
            while not (isOver.Wait 0) do
                GC.Collect(0, GCCollectionMode.Forced, true, true))

    collector.Start()

    try
        for turn in 0 .. Harness.cases 1000 3000 do
            let source = Array.create (1 + turn % 256) (byte turn)
            let at = int64 (turn * 7 % 1000)
            map.Write(at, ReadOnlySpan source)
            let found = Array.zeroCreate<byte> source.Length
            map.Read(at, Span found)
            Expect.equal found source $"turn {turn}, to {at}"
    finally
        isOver.Set()
        collector.Join()

let tests =
    testSequenced
    <| testList
        "short calls"
        [
            Harness.needing
                "x86-64 with System V"
                isSystemV
                "each member of a mapping calls its own"
                (members (2uy, 4uy) [])

            Harness.needing
                "x86-64 with System V"
                isSystemV
                "each member of a mapping calls its own, where nothing goes past the cache"
                (members (1uy, 3uy) [ "PMEM_NO_MOVNT", "1" ])

            testCase "collections move what is copied" movedSources
        ]
