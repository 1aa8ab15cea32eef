module Pmem.Tests.PictureTests

open System
open System.Xml.Linq
open Expecto
open Pmem
open Pmem.Tests.CrashGenerators

let private parsed (svg: string) =
    let root =
        match XDocument.Parse(svg).Root with
        | null -> failwith "no root"
        | root -> root

    Expect.equal root.Name.LocalName "svg" "root"
    root

let private named name (svg: string) =
    [
        for element in (parsed svg).Descendants() do
            if element.Name.LocalName = name then
                element
    ]

let private attribute name (element: XElement) =
    match element.Attribute(XName.Get name) with
    | null -> ""
    | found -> found.Value

let private texts svg =
    [ for element in named "text" svg -> element.Value ]

/// Shapes of a class that are no part of the legend, which stands on the last line.
let private shapes (style: string) svg =
    let isOf element =
        (attribute "class" element).Split(' ') |> Array.contains style

    (parsed svg).Elements() |> Seq.filter isOf |> Seq.length

let private traced (workload: RecordedMemory -> unit) =
    let memory = RecordedMemory(Array.zeroCreate 16384, PersistencyModel.X86)
    workload memory
    memory.Trace

let private drawn workload =
    (traced workload).ToSvg PersistencyModel.X86

let private words prefix svg =
    texts svg
    |> List.filter (fun (text: string) -> text.StartsWith(prefix, StringComparison.Ordinal))

/// Fences that cover nothing are drawn idle.
let private idle svg = shapes "p-idle" svg

let private report =
    lazy
        CrashCheck.run
            CrashCheckOptions.Default
            (Array.zeroCreate 4096)
            (fun (memory: RecordedMemory) ->
                memory.Store(64L, ReadOnlySpan(Array.create 16 7uy))
                memory.StoreInt64(128L, 5L)
                memory.StoreInt64(0L, 1L)
                memory.Persist(0L, 8L)
                memory.Acknowledge 1L)
            (fun (memory: CrashedMemory) ->
                memory.ReadInt64 0L = 0L
                || memory.ReadInt64 64L = 0L
                || memory.ReadInt64 72L <> 0L
                || memory.ReadInt64 128L = 5L)

let private ofTraces =
    testList
        "traces"
        [
            testCase "a fence is joined to what it covers, and to nothing else" (fun () ->
                let svg =
                    drawn (fun memory ->
                        memory.StoreInt64(0L, 1L)
                        memory.Flush(0L, 8L)
                        memory.StoreInt64(8L, 2L)
                        memory.Drain())

                // A dot on the fence and one in the legend; the bar, one arm, and the legend's.
                Expect.hasLength (named "circle" svg) 2 "one column is covered"
                Expect.equal (shapes "p-cover" svg) 3 "of two stores one"
                Expect.equal (words "durable" svg).Length 2 "one store is durable, and the legend"
                Expect.equal (idle svg) 0 "the fence does something")

            testCase "a fence that covers nothing is seen to" (fun () ->
                let svg =
                    drawn (fun memory ->
                        memory.StoreInt64(0L, 1L)
                        memory.Drain())

                Expect.equal (idle svg) 1 "dotted"
                Expect.equal (words "durable" svg).Length 1 "the legend alone")

            testCase "each row has its source line, its event and its columns" (fun () ->
                let svg =
                    drawn (fun memory ->
                        memory.StoreInt64(64L, 42L)
                        memory.StoreInt64(8192L, 43L))

                Expect.hasLength (words "PictureTests.fs:" svg) 2 "source lines"
                Expect.contains (texts svg) "store 64+8 = 42" "event"
                Expect.equal (words "line " svg) [ "line 64"; "line 8192" ] "columns"

                let pages =
                    (traced (fun memory -> memory.StoreInt64(8200L, 43L))).ToSvg PersistencyModel.PageCache

                Expect.equal (words "page " pages) [ "page 8192" ] "columns of pages")

            testCase "a store over the end of a line stands in both" (fun () ->
                let svg = drawn (fun memory -> memory.Store(60L, ReadOnlySpan [| 1uy .. 8uy |]))
                Expect.equal (words "line " svg) [ "line 0"; "line 64" ] "columns"
                Expect.hasLength (words "+60: " svg) 1 "its beginning"
                Expect.hasLength (words "+0: " svg) 1 "its end")

            testCase "a long trace is folded" (fun () ->
                let svg =
                    drawn (fun memory ->
                        for i in 0L .. 199L do
                            memory.StoreInt64(64L * i, i))

                Expect.contains (texts svg) "… 140 events left out" "folded"
                Expect.hasLength (words "store " svg) 60 "rows"
                Expect.hasLength (words "line " svg) 8 "columns"
                Expect.hasLength (words "Not shown: " svg) 1 "and says so")

            testCase "nothing is nothing" (fun () ->
                Expect.contains (texts (drawn ignore)) "0 events under X86" "title")

            Harness.propertyOf
                (Harness.cases 100 1000)
                "any trace is well-formed, bounded, and the same again"
                [ typeof<CrashArbitraries> ]
                (fun (SmallTrace trace) model ->
                    let events = [| for event in trace -> RecordedEvent(event, "<&\">\u0001.fs", 3) |]

                    let svg = events.ToSvg(model = model)
                    Expect.equal svg (events.ToSvg(model = model)) "deterministic"
                    Expect.isLessThanOrEqual (words "<&\">?.fs:3" svg).Length 60 "rows"
                    Expect.hasLength (named "title" svg) 1 "title"
                    Expect.hasLength (named "desc" svg) 1 "description"

                    for name in [ "script"; "image"; "foreignObject"; "a" ] do
                        Expect.isEmpty (named name svg) name)
        ]

let private ofReports =
    testList
        "crash reports"
        [
            testCase "what was lost is struck out, the crash is a line, recovery stands below" (fun () ->
                let svg = report.Value.ToSvg()
                Expect.equal (shapes "p-crash" svg) 1 "the crash"
                Expect.hasLength (words "✗ power failure" svg) 1 "in words"
                Expect.contains (texts svg) "torn" "the first store"
                Expect.isNonEmpty (words "read" svg) "recovery"
                Expect.contains (texts svg) "Recovery returned false." "what it said"
                let order = texts svg

                let place words =
                    order |> List.findIndex (fun (text: string) -> text.StartsWith(words: string))

                Expect.isLessThan (place "store 64+16") (place "✗ power") "before"
                Expect.isLessThan (place "✗ power") (place "Then recovery ran") "after"
                let description = (named "desc" svg).Head.Value
                Expect.stringContains description "torn" "the report in words")

            testCase "a store that was lost is called so" (fun () ->
                let svg = Readme.Snippets.Crash().ToSvg()

                let height words =
                    named "text" svg |> List.find (fun text -> text.Value = words) |> attribute "y"

                Expect.equal (height "LOST") (height "store 64+8 = 42") "the record"
                Expect.equal (height "durable") (height "store 0+8 = 1") "the count"
                Expect.equal (shapes "p-gone" svg) 2 "struck out, and the legend")

            testCase "a report without a counterexample has its verdict" (fun () ->
                let report =
                    CrashCheck.run
                        CrashCheckOptions.Default
                        (Array.zeroCreate 64)
                        (fun (memory: RecordedMemory) -> memory.StoreInt64(0L, 1L))
                        (fun (_: CrashedMemory) -> true)

                Expect.hasLength (words "Consistent, exhaustively" (report.ToSvg())) 1 "title")

            testCase "a crash of recovery is a second crash" (fun () ->
                let options = CrashCheckOptions.Default.WithRecoveryCrashes 1

                let report =
                    CrashCheck.run
                        options
                        (Array.zeroCreate 256)
                        (fun (memory: RecordedMemory) ->
                            memory.StoreInt64(0L, 1L)
                            memory.Persist(0L, 8L))
                        (fun (memory: CrashedMemory) ->
                            let isFirst = memory.ReadInt64 64L = 0L
                            memory.StoreInt64(64L, 1L)
                            memory.Persist(64L, 8L)
                            isFirst)

                Expect.equal report.Verdict CrashVerdict.Inconsistent "verdict"
                Expect.equal (shapes "p-crash" (report.ToSvg())) 2 "crashes")

            testCase "a page holds the picture and needs nothing else" (fun () ->
                let page = report.Value.ToHtml()
                Expect.stringContains page (report.Value.ToSvg()) "the picture"
                Expect.stringContains page "<meta name=\"viewport\"" "on a phone"
                Expect.isFalse (page.Contains "src=" || page.Contains "href=") "self-contained")
        ]

let private ofStates =
    testList
        "crash states"
        [
            testCase "a row a state, a column a word that differs" (fun () ->
                let states =
                    CrashStates.Enumerate(
                        PersistencyModel.X86,
                        Array.zeroCreate 200,
                        [ Store(0L, BitConverter.GetBytes 1L); Store(64L, BitConverter.GetBytes 2L) ]
                    )

                let svg = states.ToSvg()
                Expect.equal (words "word " svg) [ "word 0"; "word 64" ] "columns"
                Expect.equal (shapes "p-open" svg + shapes "p-durable" svg) 8 "cells")

            testCase "many are cut, and it says so" (fun () ->
                let states = [ for i in 0..99 -> Array.create 80 (byte i) ]
                let svg = states.ToSvg()
                Expect.hasLength (words "word " svg) 8 "columns"

                Expect.hasLength
                    (texts svg
                     |> List.filter (fun text -> text.Contains "Left out: 36 states. Left out: 2 words."))
                    1
                    "left out")

            testCase "none, and states of two memories" (fun () ->
                Expect.contains (texts (List.empty<byte[]>.ToSvg())) "0 crash states" "none"
                Expect.throwsT<ArgumentException> (fun () -> [ [| 1uy |]; [||] ].ToSvg() |> ignore) "lengths")
        ]

let tests = testList "pictures" [ ofTraces; ofReports; ofStates ]
