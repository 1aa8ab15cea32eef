/// Traces as text, and pmemcheck's log of stores.
module Pmem.Tests.TraceTextTests

open System
open Expecto
open Pmem
open Pmem.Tests.CrashGenerators

let private unknown event =
    RecordedEvent(event, SourceLine.Unknown)

let private refuses (words: string list) read =
    let error = Expect.throwsC read id

    match error with
    | :? FormatException as error ->
        for word in words do
            Expect.stringContains error.Message word "the message"
    | error -> failtest $"not a FormatException: {error}"

/// A list of three nodes: the head at 0, nodes of 16 bytes from 64 on. The node is linked before its value is there.
let private storeLog =
    String.concat
        "|"
        [
            "==812== pmemcheck-0.1, a simple persistent store checker\nSTART"
            "REGISTER_FILE;/mnt/pmem/list;0x5a00000;0x1000;0x0"
            "list_insert.BEGIN"
            "STORE;0x5a00040;0x0;0x8;push (list.c:31);main (list.c:60)"
            "FLUSH;0x5a00040;0x40"
            "FENCE"
            "STORE;0x5a00000;0x40;0x8;push (list.c:34);main (list.c:60)"
            "STORE;0x7f00000;0x1;0x1;main (list.c:61)"
            "FLUSH;0x5a00000;0x40"
            "FENCE"
            "STORE;0x5a00048;0x1234;0x4;0x10a2b: push (in /home/you/list)"
            "FLUSH;0x5a00040;0x40"
            "FENCE"
            "list_insert.END"
            "STOP\n==812== Number of stores not made persistent: 0"
        ]

let private lines (text: string) = text.Split '\n'

let tests =
    testList
        "trace text"
        [
            Harness.propertyOf 300 "a trace survives being written and read" [ typeof<CrashArbitraries> ]
            <| fun (SmallTrace events) (line: int) ->
                let events =
                    events
                    |> List.mapi (fun i event ->
                        if i % 2 = 0 then
                            unknown event
                        else
                            RecordedEvent(event, "/a b/c:d @ e.fs", abs (line % 1000000)))

                let trace = PersistTrace(int64 sizeBytes, events)
                let read = PersistTrace.Parse(trace.ToLines())
                Expect.equal read.LengthBytes trace.LengthBytes "length"
                Expect.equal (List.ofSeq read.Events) (List.ofSeq trace.Events) "events"

            testCase "a recorded memory is written as it says"
            <| fun () ->
                let memory = RecordedMemory(Array.zeroCreate 4096, PersistencyModel.X86)
                (memory :> IPersistentMemory).Store(64L, ReadOnlySpan [| 1uy; 0xabuy |], SourceLine("/src/Log.fs", 7))
                (memory :> IPersistentMemory).Persist(64L, 2L, SourceLine("/src/Log.fs", 8))
                memory.Acknowledge 3L |> ignore

                Expect.equal
                    (PersistTrace.Of(memory).ToLines() |> Seq.take 5 |> List.ofSeq)
                    [
                        "pmem-trace 1"
                        "length 4096"
                        "store 64 01ab @ /src/Log.fs:7"
                        "clwb 64 64 @ /src/Log.fs:8"
                        "fence @ /src/Log.fs:8"
                    ]
                    "lines"

            testCase "comments and empty lines mean nothing"
            <| fun () ->
                let trace =
                    PersistTrace.Parse(lines "# made by hand\n\npmem-trace 1\n length 128 \n# one\n\nfence\n")

                Expect.equal (List.ofSeq trace.Events) [ unknown (Execute Fence) ] "events"

            testCase "a line that is wrong is named"
            <| fun () ->
                for text, words in
                    [
                        "", [ "empty" ]
                        "length 64", [ "pmem-trace 1" ]
                        "pmem-trace 2\nlength 64", [ "pmem-trace 1" ]
                        "pmem-trace 1", [ "length" ]
                        "pmem-trace 1\nfence", [ "Line 2"; "length BYTES" ]
                        "pmem-trace 1\nlength 0", [ "Line 2" ]
                        "pmem-trace 1\nlength 64\n\nstor 0 00", [ "Line 4"; "stor" ]
                        "pmem-trace 1\nlength 64\nstore 0 0", [ "Line 3"; "hexadecimal" ]
                        "pmem-trace 1\nlength 64\nstore 0 zz", [ "Line 3"; "hexadecimal" ]
                        "pmem-trace 1\nlength 64\nstore 60 0011223344", [ "Line 3"; "64 bytes" ]
                        "pmem-trace 1\nlength 64\nstore -1 00", [ "Line 3"; "64 bytes" ]
                        "pmem-trace 1\nlength 64\nclwb 64 64", [ "Line 3"; "64 bytes" ]
                        "pmem-trace 1\nlength 64\nclwb x 64", [ "Line 3"; "\"x\"" ]
                        "pmem-trace 1\nlength 64\nfence @ Log.fs", [ "Line 3"; "FILE:LINE" ]
                        "pmem-trace 1\nlength 64\nfence @ Log.fs:99999999999", [ "Line 3"; "99999999999" ]
                    ] do
                    refuses words (fun () -> PersistTrace.Parse(lines text) |> ignore)

            testCase "pmemcheck's log of stores is read: the file's stores, and where they stand in the source"
            <| fun () ->
                let trace = PersistTrace.ParsePmemcheck(lines storeLog, "")
                Expect.equal trace.LengthBytes 4096L "the mapping"

                Expect.equal
                    (trace.Events |> Seq.map string |> List.ofSeq)
                    [
                        "list.c:31 store 64+8 = 0"
                        "(unknown) CLWB 64+64"
                        "(unknown) fence"
                        "list.c:34 store 0+8 = 64"
                        "(unknown) CLWB 0+64"
                        "(unknown) fence"
                        "(unknown) store 72+4 = 4660"
                        "(unknown) CLWB 64+64"
                        "(unknown) fence"
                    ]
                    "events"

            testCase "and is checked: the node is in the list before its value is"
            <| fun () ->
                let trace = PersistTrace.ParsePmemcheck(lines storeLog, "list")

                let report =
                    CrashCheck.RunTrace(
                        CrashCheckOptions.Default,
                        Array.zeroCreate (int trace.LengthBytes),
                        trace.Events,
                        fun memory ->
                            match memory.ReadInt64 0L with
                            | 0L -> true
                            | node -> memory.ReadInt32(node + 8L) = 0x1234
                    )

                Expect.equal report.Verdict CrashVerdict.Inconsistent "verdict"
                Expect.stringContains (string report) "list.c:34" "where"

            testCase "an excerpt of a log is read from the page of its lowest store, comments left out"
            <| fun () ->
                let excerpt =
                    "STORE;0x5600060;0x0;0x8|\t# the node\nFLUSH;0x5600040;0x40|\nFENCE|\nSTOP\n==3== done"

                let trace = PersistTrace.ParsePmemcheck(lines excerpt, "")
                Expect.equal trace.LengthBytes 4096L "length"

                Expect.equal
                    (trace.Events |> Seq.map string |> List.ofSeq)
                    [ "(unknown) store 96+8 = 0"; "(unknown) CLWB 64+64"; "(unknown) fence" ]
                    "events"

            testCase "a log that is none says so"
            <| fun () ->
                let a = "REGISTER_FILE;/a;0x1000;0x1000;0x0"
                let b = "REGISTER_FILE;/b;0x2000;0x1000;0x0"

                for text, file, words in
                    [
                        "", "", [ "neither" ]
                        "START|STORE;0x10;0x1;0x9|STOP", "", [ "9 bytes" ]
                        "START|STORE;zz;0x1;0x8|STOP", "", [ "zz" ]
                        $"START|{a}|{b}|STOP", "", [ "/a, /b" ]
                        $"START|{a}|STOP", "c", [ "\"c\"" ]
                        $"START|{a}|FLUSH;0x1000|STOP", "", [ "FLUSH;0x1000" ]
                    ] do
                    refuses words (fun () -> PersistTrace.ParsePmemcheck(lines text, file) |> ignore)
        ]
