module Pmem.Tests.PersistLintTests

open System
open Expecto
open Pmem

/// The diagnostics of a workload, each as its case and the range that it is about.
let private found model (workload: RecordedMemory -> unit) =
    let memory = RecordedMemory(Array.zeroCreate 8192, model)
    workload memory

    PersistLint.check model memory.Trace
    |> List.map (fun diagnostic ->
        match diagnostic with
        | NotFlushed store -> "not flushed", string store.Range
        | NotDrained store -> "not drained", string store.Range
        | FlushedTwice flush -> "flushed twice", string flush.Range
        | FlushedClean flush -> "flushed clean", string flush.Range
        | OverwrittenBeforeDurable(store, _) -> "overwritten", string store.Range)

let private case name model workload expected =
    testCase $"{model}: {name}" (fun () -> Expect.equal (found model workload) expected name)

let private x86 = PersistencyModel.X86
let private bytes count = Array.create count 1uy

let tests =
    testList
        "lint"
        [
            case
                "a right program has none"
                x86
                (fun m ->
                    m.StoreInt64(0L, 1L)
                    m.Persist(0L, 8L)
                    m.StoreInt64(0L, 2L)
                    m.Persist(0L, 8L))
                []

            case
                "never flushed"
                x86
                (fun m ->
                    m.StoreInt64(0L, 1L)
                    m.StoreInt64(64L, 1L)
                    m.Persist(0L, 8L))
                [ "not flushed", "64+8" ]

            case
                "stored again after the flush"
                x86
                (fun m ->
                    m.StoreInt64(0L, 1L)
                    m.Flush(0L, 8L)
                    m.StoreInt64(8L, 1L)
                    m.Drain())
                [ "not flushed", "8+8" ]

            case
                "the part of a store that no flush covers"
                x86
                (fun m ->
                    m.Store(32L, ReadOnlySpan(bytes 256))
                    m.Persist(64L, 64L))
                [ "not flushed", "32+32"; "not flushed", "128+160" ]

            case
                "flushed, never drained"
                x86
                (fun m ->
                    m.StoreInt64(0L, 1L)
                    m.Flush(0L, 8L))
                [ "not drained", "0+8" ]

            case
                "past the cache, never drained"
                x86
                (fun m -> m.StoreNonTemporal(0L, ReadOnlySpan(bytes 16)))
                [ "not drained", "0+16" ]

            case
                "past the cache, drained"
                x86
                (fun m ->
                    m.StoreNonTemporal(0L, ReadOnlySpan(bytes 16))
                    m.Drain())
                []

            case
                "flushed twice"
                x86
                (fun m ->
                    m.StoreInt64(0L, 1L)
                    m.StoreInt64(8L, 1L)
                    m.Flush(0L, 8L)
                    m.Flush(8L, 8L)
                    m.Drain())
                [ "flushed twice", "0+64" ]

            case
                "flushed, stored to, flushed"
                x86
                (fun m ->
                    m.StoreInt64(0L, 1L)
                    m.Flush(0L, 8L)
                    m.StoreInt64(8L, 1L)
                    m.Flush(8L, 8L)
                    m.Drain())
                []

            case
                "flushed clean"
                x86
                (fun m ->
                    m.StoreInt64(0L, 1L)
                    m.Persist(0L, 8L)
                    m.Persist(0L, 8L)
                    m.Persist(4096L, 8L))
                [ "flushed clean", "0+64"; "flushed clean", "4096+64" ]

            case
                "a flush of which one line is dirty is not clean"
                x86
                (fun m ->
                    m.StoreInt64(64L, 1L)
                    m.Persist(0L, 256L))
                []

            case
                "overwritten before durable"
                x86
                (fun m ->
                    m.StoreInt64(0L, 1L)
                    m.StoreInt64(0L, 2L)
                    m.Persist(0L, 8L))
                [ "overwritten", "0+8" ]

            case
                "overwritten after the flush, before the drain"
                x86
                (fun m ->
                    m.StoreInt64(0L, 1L)
                    m.Flush(0L, 8L)
                    m.StoreInt64(0L, 2L)
                    m.Persist(0L, 8L))
                [ "overwritten", "0+8" ]

            case
                "overwritten when durable"
                x86
                (fun m ->
                    m.StoreInt64(0L, 1L)
                    m.Persist(0L, 8L)
                    m.StoreInt64(0L, 2L)
                    m.Persist(0L, 8L))
                []

            case
                "nothing needs a flush"
                PersistencyModel.Eadr
                (fun m ->
                    m.StoreInt64(0L, 1L)
                    m.StoreInt64(0L, 2L)
                    m.Persist(64L, 8L))
                []

            case
                "past the cache, never drained"
                PersistencyModel.Eadr
                (fun m -> m.StoreNonTemporal(0L, ReadOnlySpan(bytes 8)))
                [ "not drained", "0+8" ]

            case
                "a page that is never synced"
                PersistencyModel.PageCache
                (fun m ->
                    m.StoreInt64(0L, 1L)
                    m.StoreInt64(4096L, 1L)
                    m.StoreInt64(64L, 1L)
                    m.Persist(0L, 8L))
                [ "not flushed", "4096+8" ]

            case
                "past the cache, drained"
                PersistencyModel.PageCache
                (fun m ->
                    m.StoreNonTemporal(0L, ReadOnlySpan(bytes 8))
                    m.Drain())
                []

            case
                "two lines of a page, each flushed"
                PersistencyModel.PageCache
                (fun m ->
                    m.StoreInt64(0L, 1L)
                    m.StoreInt64(64L, 1L)
                    m.Flush(0L, 8L)
                    m.Flush(64L, 8L)
                    m.Drain())
                []

            case
                "a line flushed clean in a page that is clean"
                PersistencyModel.PageCache
                (fun m ->
                    m.StoreInt64(0L, 1L)
                    m.Persist(0L, 8L)
                    m.Persist(64L, 8L)
                    m.Persist(0L, 8L))
                [ "flushed clean", "0+4096"; "flushed clean", "0+4096" ]

            case
                "a program with two lines in a page"
                PersistencyModel.PageCache
                (fun m ->
                    let program =
                        persist {
                            writeInt64 0L 1L
                            writeInt64 128L 2L
                            barrier
                            writeInt64 64L 1L
                        }

                    program.RunOn m)
                []

            case
                "past the cache twice in a page, drained"
                PersistencyModel.PageCache
                (fun m ->
                    m.StoreNonTemporal(0L, ReadOnlySpan(bytes 8))
                    m.StoreNonTemporal(64L, ReadOnlySpan(bytes 8))
                    m.Drain())
                []

            case
                "past the cache, persisted"
                PersistencyModel.PageCache
                (fun m ->
                    m.StoreNonTemporal(0L, ReadOnlySpan(bytes 8))
                    m.Persist(0L, 8L))
                []

            let trace name model events expected =
                testCase $"{model}: {name}" (fun () ->
                    let recorded = events |> List.map (fun event -> RecordedEvent(event, "A.cs", 1))

                    Expect.equal (PersistLint.check model recorded |> List.map string) expected name)

            let line = ByteRange.create 0L 64L
            let eadr = PersistencyModel.Eadr

            trace
                "msync is no flush of something"
                eadr
                [ Store(0L, bytes 8); Execute(SyncPages(ByteRange.create 0L 4096L)) ]
                []

            trace
                "a store makes durable what went past the cache to its word"
                eadr
                [ StoreNonTemporal(0L, bytes 24); Store(12L, bytes 1) ]
                [
                    "A.cs:1 non-temporal store 0+8 = 72340172838076673 (a part of 0+24) is never drained: drain before anything relies on it."
                    "A.cs:1 non-temporal store 16+8 = 72340172838076673 (a part of 0+24) is never drained: drain before anything relies on it."
                ]

            trace "and nothing is left of that word" eadr [ StoreNonTemporal(0L, bytes 8); Store(0L, bytes 8) ] []

            trace
                "a CLFLUSH after a CLWB of the same line"
                x86
                [
                    Store(0L, bytes 8)
                    Execute(WriteBack(Clwb, line))
                    Execute(WriteBack(Clflush, line))
                ]
                [
                    "A.cs:1 flush 0+64 flushes again what was flushed already and not stored to since: leave one of the two out."
                ]

            trace
                "a CLWB after a CLFLUSH, which waited for no drain"
                x86
                [
                    Store(0L, bytes 8)
                    Execute(WriteBack(Clflush, line))
                    Execute(WriteBack(Clwb, line))
                ]
                [
                    "A.cs:1 flush 0+64 flushes nothing: no line of it has a store that still needs a flush. Check the range, or leave it out."
                ]

            trace
                "CLFLUSH is no fence"
                eadr
                [ StoreNonTemporal(0L, bytes 2); Execute(WriteBack(Clflush, line)) ]
                [
                    "A.cs:1 non-temporal store 0+2 = 257 is never drained: drain before anything relies on it."
                ]

            trace
                "CLFLUSH makes nothing durable that went past the cache"
                x86
                [ StoreNonTemporal(0L, bytes 2); Execute(WriteBack(Clflush, line)) ]
                [
                    "A.cs:1 flush 0+64 flushes nothing: no line of it has a store that still needs a flush. Check the range, or leave it out."
                    "A.cs:1 non-temporal store 0+2 = 257 is never drained: drain before anything relies on it."
                ]

            trace
                "zeros that are filled in later are no mistake"
                x86
                [ Store(0L, Array.zeroCreate 64); Store(8L, bytes 8) ]
                [
                    "A.cs:1 store 0+8 = 0 (a part of 0+64) is never flushed: flush its range and drain before anything relies on it."
                    "A.cs:1 store 16+48 = 0x000000000000000000000000000000000000000000000000… (a part of 0+64) is never flushed: flush its range and drain before anything relies on it."
                    "A.cs:1 store 8+8 = 72340172838076673 is never flushed: flush its range and drain before anything relies on it."
                ]

            trace
                "a write-back of what went past the cache"
                x86
                [ StoreNonTemporal(0L, bytes 2); Execute(WriteBack(Clwb, line)); Execute Fence ]
                [
                    "A.cs:1 flush 0+64 flushes nothing: no line of it has a store that still needs a flush. Check the range, or leave it out."
                ]

            let everything = ByteRange.create 0L Int64.MaxValue

            trace
                "a flush of everything"
                x86
                [
                    Store(0L, bytes 2)
                    Store(Int64.MaxValue - 2L, bytes 2)
                    Execute(WriteBack(Clwb, everything))
                    Store(128L, bytes 2)
                    Execute(WriteBack(Clwb, ByteRange.create 64L 128L))
                    Execute Fence
                ]
                [
                    "A.cs:1 flush 64+64 flushes again what was flushed already and not stored to since: leave one of the two out."
                ]

            trace
                "an msync of everything"
                PersistencyModel.PageCache
                [
                    Store(0L, bytes 2)
                    Store(Int64.MaxValue - 2L, bytes 2)
                    Execute(SyncPages everything)
                    Store(0L, bytes 2)
                    Execute(SyncPages everything)
                ]
                []

            testCase "a store without bytes" (fun () ->
                let events = [ Store(0L, bytes 1); Store(0L, Unchecked.defaultof<byte[]>) ]
                let recorded = [ for event in events -> RecordedEvent(event, "", 0) ]

                for check in
                    [
                        fun () -> PersistLint.check x86 recorded |> ignore
                        fun () -> CrashStates.enumerate x86 (bytes 8) events |> ignore
                        fun () ->
                            CrashCheck.runTrace CrashCheckOptions.Default (bytes 8) recorded (fun _ -> true)
                            |> ignore
                    ] do
                    Expect.throwsC check (fun error ->
                        Expect.equal (error.GetType()) typeof<ArgumentNullException> "kind"
                        Expect.stringContains error.Message "Event 1 is a store whose bytes are null" "said"))

            testCase "CLFLUSH needs no drain" (fun () ->
                let events =
                    [ Store(0L, bytes 8); Execute(WriteBack(Clflush, ByteRange.create 0L 64L)) ]
                    |> List.map (fun event -> RecordedEvent(event, "", 0))

                Expect.isEmpty (PersistLint.check x86 events) "none")

            testCase "each says where, what and what to do" (fun () ->
                let memory = RecordedMemory(Array.zeroCreate 128, x86)
                memory.StoreInt64(0L, 1L)

                match PersistLint.check x86 memory.Trace with
                | [ NotFlushed store as diagnostic ] ->
                    Expect.stringEnds store.Source.File "PersistLintTests.fs" "file"
                    Expect.isGreaterThan store.Source.Line 100 "line"

                    Expect.stringContains
                        (string diagnostic)
                        $"PersistLintTests.fs:{store.Source.Line} store 0+8 = 1"
                        "where"

                    Expect.stringContains (string diagnostic) "flush its range and drain" "what to do"
                | other -> failtestf "%A" other)
        ]
