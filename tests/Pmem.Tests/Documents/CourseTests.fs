/// The course: its examples in C# do what the chapters say, its exercises fail as given, and each has a solution.
module Pmem.Tests.CourseTests

open System
open System.IO
open System.Text.RegularExpressions
open Course
open Exercises
open Expecto
open FsCheck
open Pmem

let private chapters =
    testList
        "examples in C#"
        [
            for lesson in Chapters.Lessons do
                testCase $"chapter {lesson.Chapter}: {lesson.Name}" (fun () ->
                    let report = lesson.Broken.Invoke()
                    Expect.equal report.Verdict CrashVerdict.Inconsistent "the program that fails"
                    Expect.stringContains (string report) $"Chapter{lesson.Chapter}.cs:" "and where"
                    let report = lesson.Repaired.Invoke()
                    Expect.equal report.Verdict CrashVerdict.Consistent (string report))

            testCase "chapter 7: without a crash of recovery nothing is found" (fun () ->
                Expect.equal (Chapters.RecoveredOnce().Verdict) CrashVerdict.Consistent "verdict")

            testCase "chapter 8: a property" (fun () ->
                Expect.throwsT<DurabilityException>
                    (fun () -> Chapters.BrokenLog.Check [ 7uy ])
                    "the program that fails"

                Check.One(Config.QuickThrowOnFailure, Chapters.RepairedLog.IsDurable))

            testCase "chapter 9: drains" (fun () ->
                Expect.equal Chapters.Drains (struct (4, 1)) "each by itself, and together")
        ]

let private handIn (number: int) =
    use output = new StringWriter()
    let code = Desk.Run([| string number |], output)
    code, output.ToString()

let private exercises =
    testList
        "exercises"
        [
            for number in 1..9 do
                testCase $"{number} fails as it is given, and says where it stands" (fun () ->
                    let code, words = handIn number
                    Expect.equal code 1 "exit code"
                    Expect.stringContains words $"samples/Exercises/Exercise{number}.cs" "the file")

                testCase $"{number} has a solution" (fun () -> Desk.Check Solutions.All[number - 1])

            testCase "another number is refused" (fun () ->
                for number in [ 0; 10 ] do
                    Expect.equal (fst (handIn number)) 2 "exit code")

            Sources.needing "every chapter has its exercise and its C#" (fun () ->
                let folder = Path.Combine(Sources.root, "docs", "learn")

                for number in 1..9 do
                    let page =
                        Directory.GetFiles(folder, $"0{number}-*.fsx")
                        |> Array.exactlyOne
                        |> File.ReadAllText

                    Expect.stringContains page $"Page.exercise {number}\n" "exercise"
                    Expect.stringContains page $"Page.csharp {number}\n" "C#"
                    Expect.stringContains page "Page.picture" "picture"
                    Expect.stringContains page "## The repair" "repair")
        ]

/// Where a line stands in its source is left out: the page's file is not the test's.
let private withoutPlaces (line: string) =
    Regex.Replace(line.Trim(), "[A-Za-z]+\\.(fs|cs):[0-9]+", "FILE")

let private shown =
    Sources.needing "the failure that docs/properties.md shows is one" (fun () ->
        let append (Structures.FSharp.Append item) (memory: IPersistentMemory) =
            let count = memory.ReadInt64 0L
            memory.StoreInt64(64L + 8L * count, int64 item)
            memory.StoreInt64(0L, count + 1L)
            memory.Persist(0L, 8L)

        let log =
            DurableStructure<Structures.FSharp.Operation, int64 list>(
                image = Array.zeroCreate 1024,
                initial = [],
                apply = (fun operation memory -> append operation memory),
                model = (fun (Structures.FSharp.Append item) items -> items @ [ int64 item ]),
                recover = (fun memory -> Structures.FSharp.recover memory)
            )

        let failure =
            Expect.throwsC (fun () -> log.Check [ Structures.FSharp.Append 7uy ]) (fun error -> error.Message)

        let found = failure.Split '\n' |> Array.map withoutPlaces

        let block =
            Sources.linesOf "docs/properties.md"
            |> Array.skipWhile ((<>) "```text")
            |> Array.skip 1
            |> Array.takeWhile ((<>) "```")
            |> Array.filter ((<>) "…")

        Expect.isNonEmpty block "a block"

        for line in block do
            Expect.contains found (withoutPlaces line) "a line of the failure")

let tests = testList "course" [ chapters; exercises; shown ]
