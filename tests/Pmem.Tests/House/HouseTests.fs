/// The house, held: what design and docs/architecture.md say of files, floors and repetition is read off the tree.
module Pmem.Tests.HouseTests

open System
open System.IO
open Expecto
open Pmem.Tests.House
open Pmem.Tests.House.Source

let private core = "src/Pmem.Core.Fs"
let private executor = "src/Pmem.CSharp"

let private fileOf (place: string) = place.Substring(0, place.IndexOf ':')

let private holds rule (places: string list) =
    Expect.isEmpty places $"{rule}:\n{String.Join('\n', places)}\n"

let private within folders =
    all.Value |> List.filter (fun source -> folders |> List.exists source.IsIn)

let private foldersOf project =
    Directory.GetDirectories(Path.Combine(Sources.root, project))
    |> Array.map (fun path -> Path.GetRelativePath(Path.Combine(Sources.root, project), path))
    |> Array.except [ "obj"; "bin" ]
    |> List.ofArray

let private floorsOf (project: string) =
    Rules.floorsOf project (Sources.linesOf "docs/architecture.md")

/// The files of the core's project by floor, in the order in which they compile.
let private compileOrder (project: string) =
    [
        for found in Text.RegularExpressions.Regex.Matches(project, "<Compile Include=\"(\\w+)/") ->
            found.Groups[1].Value
    ]

let private rules =
    testList
        "the tree"
        [
            for name, rule, folders in
                [
                    "no file is over 400 lines", Rules.longFiles, [ "src"; "tests"; "samples"; "docs" ]
                    "no function is over 50 lines", Rules.longFunctions, [ "src"; "tests"; "samples"; "docs" ]
                    "every source file is in a project",
                    (fun sources -> Rules.leftOut (files [ ".fsproj"; ".csproj" ]) sources),
                    [ "src"; "tests"; "samples"; "docs" ]
                    "rounding and bounds are in Ranges only", Rules.roundings, [ "src" ]
                    "only the kernel decides about paths", Rules.pathQuestions, [ executor ]
                    "no six lines stand twice", Rules.repeated, [ "src" ]
                ] do
                Sources.needing name (fun () -> holds name (rule (within folders)))

            for project in [ core; executor ] do
                Sources.needing $"nothing refers upwards in {project}" (fun () ->
                    holds
                        $"nothing refers upwards in {project}"
                        (Rules.upwards (floorsOf project) (within [ project ])))

                Sources.needing $"the floors of {project} are its folders" (fun () ->
                    let floors = floorsOf project
                    Expect.isEmpty (Rules.misplaced (foldersOf project) floors) "docs/architecture.md"
                    let picture = String.Join('\n', Sources.linesOf "docs/floors.svg")

                    for floor in floors do
                        Expect.stringContains picture $">{floor.Name}<" "docs/floors.svg")

            Sources.needing "the core compiles floor by floor" (fun () ->
                let order =
                    compileOrder (File.ReadAllText(Path.Combine(Sources.root, core, "Pmem.Core.Fs.fsproj")))

                let floors = floorsOf core |> List.map _.Name
                let indices = order |> List.map (fun folder -> List.findIndex ((=) folder) floors)
                Expect.equal indices (List.sort indices) "order")

            Sources.needing "no sample asks what its memory is" (fun () ->
                for source in within [ "samples" ] do
                    Expect.all source.Lines (fun line -> not (line.Contains "IsPmem")) source.Path)

            Sources.needing "the core makes no tail calls" (fun () ->
                let project =
                    File.ReadAllText(Path.Combine(Sources.root, core, "Pmem.Core.Fs.fsproj"))

                Expect.stringContains project "<Tailcalls>false</Tailcalls>" "a span over a local would dangle")
        ]

/// A made-up source of lines.
let private text path (lines: string list) =
    parse path (String.Join('\n', lines) + "\n")

let private many count line = List.replicate count line

let private finds count places =
    Expect.hasLength places count (String.Join('\n', (places: string list)))

let private sixLines name =
    [
        $"let {name} (first: int) ="
        $"    let {name}Of = first + 1"
        $"    if {name}Of > 7 then"
        $"        printfn \"%%d\" {name}Of"
        $"    match {name}Of with"
        $"    | 1 -> first * {name}Of"
    ]

let private floors: Rules.Floor list =
    [ { Name = "Low"; Uses = [] }; { Name = "High"; Uses = [ "Low" ] } ]

/// Each rule, on texts that it must refuse and on their like that it must not.
let private canFail =
    testList
        "each rule can fail"
        [
            testCase "length of a file"
            <| fun () ->
                finds 1 (Rules.longFiles [ text "src/a.cs" (many 401 "a();") ])
                finds 0 (Rules.longFiles [ text "src/a.cs" (many 400 "a();") ])

            testCase "length of a function"
            <| fun () ->
                let fsharp count =
                    text
                        "src/a.fs"
                        [
                            "type A() ="
                            "    member _.B() ="
                            yield! many count "        1"
                            "    member _.C = 1"
                        ]

                let csharp count =
                    text
                        "src/a.cs"
                        [
                            "class A"
                            "{"
                            "    void B()"
                            "    {"
                            yield! many count "        if (a) { }"
                            "    }"
                            "}"
                        ]

                let value count =
                    text "src/a.fs" [ "let a ="; yield! many count "    1" ]

                finds
                    1
                    (Rules.longFunctions [ fsharp 50; csharp 48 ]
                     |> List.filter (fun place -> place.Contains ".fs"))

                finds 1 (Rules.longFunctions [ fsharp 49; csharp 48 ])
                finds 0 (Rules.longFunctions [ fsharp 49; csharp 47; value 60 ])

            testCase "a file in no project"
            <| fun () ->
                let projects =
                    [
                        "src/A/A.fsproj", "<Compile Include=\"B/In.fs\" />\n<Compile Include=\"..\\C\\In.fs\" />"
                        "src/D/D.csproj", ""
                    ]

                let sources =
                    [
                        for path in
                            [
                                "src/A/B/In.fs"
                                "src/C/In.fs"
                                "src/A/B/Out.fs"
                                "src/D/In.cs"
                                "src/Out.cs"
                            ] -> text path []
                    ]

                Expect.equal
                    (Rules.leftOut projects sources |> List.map fileOf)
                    [ "src/A/B/Out.fs"; "src/Out.cs" ]
                    "left out"

            testCase "a reference upwards"
            <| fun () ->
                let high = text "src/P/High/b.cs" [ "class Upper { Lower lower; }" ]
                finds 0 (Rules.upwards floors [ text "src/P/Low/a.cs" [ "class Lower { } // Upper" ]; high ])
                finds 1 (Rules.upwards floors [ text "src/P/Low/a.cs" [ "class Lower { Upper upper; }" ]; high ])

            testCase "a table that is not the folders"
            <| fun () ->
                finds 0 (Rules.misplaced [ "High"; "Low" ] floors)
                finds 1 (Rules.misplaced [ "High"; "Low"; "Cellar" ] floors)

                finds
                    1
                    (Rules.misplaced [ "High" ] floors[1..]
                     |> List.filter (fun place -> place.Contains "above"))

                finds
                    1
                    (Rules.misplaced [ "High" ] floors
                     |> List.filter (fun place -> place.Contains "folder"))

                let document =
                    [|
                        "## a/B"
                        "| `Low` | words | nothing |"
                        "| `High` | words | `Low` |"
                        "## c/D"
                        "| `Other` | words | nothing |"
                    |]

                Expect.equal (Rules.floorsOf "a/B" document) floors "the table"

            testCase "rounding and bounds"
            <| fun () ->
                for line in
                    [
                        "let a = b &&& ~~~(lineBytes - 1L)"
                        "x = start & ~_pageMask;"
                        "x = start & ~(nuint)page;"
                        "let a = offset % pageBytes"
                        "if (offset + length > size) return;"
                        "if length > size - offset then ()"
                        "static nuint RoundUp(nuint a) => a;"
                    ] do
                    finds 1 (Rules.roundings [ text "src/P/Low/a.cs" [ line ] ])

                    finds
                        0
                        (Rules.roundings [ text "src/P/Ranges/a.cs" [ line ]; text "src/P/Low/a.cs" [ "// " + line ] ])

                finds 0 (Rules.roundings [ text "src/P/Low/a.fs" [ "let missing = mask &&& ~~~bits.Mask" ] ])

            testCase "questions about paths"
            <| fun () ->
                finds
                    2
                    (Rules.pathQuestions [ text "src/P/a.cs" [ "if (File.Exists(path)) return;"; "File.Move(a, b);" ] ])

                finds 0 (Rules.pathQuestions [ text "src/P/a.cs" [ "File.OpenRead(path);"; "Log(\"File.Exists\");" ] ])

            testCase "six lines twice"
            <| fun () ->
                let twice first second =
                    Rules.repeated [ text "src/a.fs" first; text "src/b.fs" second ]

                finds 1 (twice (sixLines "a") (sixLines "a"))
                finds 1 (twice (sixLines "a") (sixLines "other"))

                finds
                    1
                    (Rules.repeated [ text "src/a.fs" (sixLines "a" @ sixLines "b") ]
                     |> List.truncate 1)

                finds 0 (twice (sixLines "a") (List.tail (sixLines "a")))
                finds 0 (twice (sixLines "a") ((sixLines "a" |> List.truncate 5) @ [ "    | 1 -> aOf * first" ]))
                finds 0 (twice (many 6 "    | A -> 1") (many 6 "    | B -> 2"))
        ]

let tests = testList "house" [ rules; canFail ]
