module Pmem.Tests.SimulatedMemoryTests

open System
open Expecto
open Pmem

let private record model (act: RecordedMemory -> unit) =
    let memory = RecordedMemory(Array.zeroCreate 8192, model)
    act memory
    [ for recorded in memory.Trace -> string recorded.Event ]

let private everything (memory: RecordedMemory) =
    memory.StoreByte(0L, 1uy)
    memory.StoreInt32(4L, 2)
    memory.StoreInt64(8L, 3L)
    memory.Store(16L, ReadOnlySpan [| 4uy; 5uy |])
    memory.StoreNonTemporal(4096L, ReadOnlySpan [| 6uy |])
    memory.Flush(0L, 18L)
    memory.Drain()
    memory.Persist(60L, 8L)
    memory.Acknowledge 7L

let private stores =
    [
        "store 0+1 = 1"
        "store 4+4 = 2"
        "store 8+8 = 3"
        "store 16+2 = 1284"
        "non-temporal store 4096+1 = 6"
    ]

let tests =
    testList
        "simulated memory"
        [
            testCase "the trace has what is executed on lines" (fun () ->
                for model in [ PersistencyModel.X86; PersistencyModel.Eadr; PersistencyModel.Relaxed ] do
                    Expect.equal
                        (record model everything)
                        (stores @ [ "CLWB 0+64"; "fence"; "CLWB 0+128"; "fence"; "acknowledge 7" ])
                        (string model))

            testCase "the trace has what is executed on pages" (fun () ->
                Expect.equal
                    (record PersistencyModel.PageCache everything)
                    (stores @ [ "msync 0+8192"; "msync 0+4096"; "acknowledge 7" ])
                    "a drain syncs what was flushed and what was stored past the cache")

            testCase "a flush of pages syncs nothing before the drain" (fun () ->
                let flushed (memory: RecordedMemory) =
                    memory.StoreInt64(0L, 1L)
                    memory.Flush(0L, 8L)
                    memory.Acknowledge 1L

                Expect.equal
                    (record PersistencyModel.PageCache flushed)
                    [ "store 0+8 = 1"; "acknowledge 1" ]
                    "as PmemMapping.Flush")

            testCase
                "a compare-exchange fences, except under the model of weaker machines and where nothing does"
                (fun () ->
                    let exchange (memory: RecordedMemory) =
                        memory.StoreInt64(0L, 1L)
                        Expect.equal (memory.CompareExchange(64L, 2L, 0L)) 0L "what was there"

                    for model, fences in
                        [
                            PersistencyModel.X86, [ "fence" ]
                            PersistencyModel.Eadr, [ "fence" ]
                            PersistencyModel.Relaxed, []
                            PersistencyModel.PageCache, []
                        ] do
                        Expect.equal
                            (record model exchange)
                            ([ "store 0+8 = 1" ] @ fences @ [ "store 64+8 = 2" ])
                            (string model))

            testCase "reads see what was stored" (fun () ->
                let memory = RecordedMemory(Array.zeroCreate 64, PersistencyModel.X86)
                memory.StoreInt64(8L, 0x0102030405060708L)
                Expect.equal (memory.ReadByte 8L) 8uy "byte"
                Expect.equal (memory.ReadInt32 12L) 0x01020304 "4 bytes"
                Expect.equal (memory.ReadInt64 8L) 0x0102030405060708L "8 bytes"
                Expect.equal (memory.ReadBytes(14L, 3)) [| 2uy; 1uy; 0uy |] "bytes"
                Expect.equal memory.Trace.Count 1 "reads are no events")

            testCase "an interface call carries the line of its caller" (fun () ->
                let recorded = RecordedMemory(Array.zeroCreate 64, PersistencyModel.X86)
                let memory = recorded :> IPersistentMemory
                memory.StoreInt64(0L, 1L)
                memory.Persist(0L, 8L)
                let lines = [ for event in recorded.Trace -> event.Source.Line ]
                Expect.equal lines [ lines[0]; lines[0] + 1; lines[0] + 1 ] "lines"
                Expect.stringEnds recorded.Trace[0].Source.File "SimulatedMemoryTests.fs" "file")

            testCase "the contents given are left as they are" (fun () ->
                let contents = Array.zeroCreate 8
                let memory = RecordedMemory(contents, PersistencyModel.X86)
                memory.StoreByte(0L, 1uy)
                Expect.equal contents[0] 0uy "contents"
                Expect.equal (memory.ToArray()[0]) 1uy "memory")

            testCase "recovery reads what it stored over what the crash left" (fun () ->
                let workload (memory: RecordedMemory) = memory.StoreInt64(0L, -1L)

                let recovery (memory: CrashedMemory) =
                    memory.StoreInt32(2L, 0x55555555)
                    let whole = memory.ReadInt64 0L

                    (whole = 0x0000555555550000L || whole = 0xFFFF55555555FFFFL)
                    && memory.ReadInt32 2L = 0x55555555

                let options = CrashCheckOptions.Default.WithRecoveryCrashes 0

                let report = CrashCheck.run options (Array.zeroCreate 8) workload recovery

                Expect.equal report.Verdict CrashVerdict.Consistent (string report)
                Expect.equal report.RecoveryRuns 2L "two values")
        ]
