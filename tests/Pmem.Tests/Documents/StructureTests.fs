/// The worked structures of the samples: each is right, and its twin is not.
module Pmem.Tests.StructureTests

open System.IO
open Expecto
open Pmem
open Structures

let private models =
    [
        PersistencyModel.X86
        PersistencyModel.Eadr
        PersistencyModel.PageCache
        PersistencyModel.Relaxed
    ]

let tests =
    testList
        "structures"
        [
            for lesson in Program.lessons do
                testCase lesson.Name (fun () ->
                    for model in models do
                        let report = Lesson.check Right model lesson
                        Expect.equal report.Verdict CrashVerdict.Consistent (report.ToString())

                    for model in lesson.WrongUnder do
                        let report = Lesson.check Broken model lesson
                        Expect.equal report.Verdict CrashVerdict.Inconsistent $"the twin, under {model}"
                        Expect.stringContains (report.ToSvg()) "power failure" "its picture")

            Sources.needing "each has its section on the page" (fun () ->
                let page = Sources.linesOf "docs/structures.md"

                for lesson in Program.lessons do
                    Expect.exists
                        page
                        (fun line -> line.ToLowerInvariant() = "## " + lesson.Name.ToLowerInvariant())
                        lesson.Name)

            testCase "the sample checks them all, and draws"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let outcome = Child.assembly "Structures" [ directory ] []
                    Expect.equal outcome.ExitCode 0 outcome.Error
                    Expect.hasLength (Directory.GetFiles directory) 8 "pages")
        ]
