/// The README, the public API and the shape of the repository are held here.
module Pmem.Tests.DocumentTests

open System
open System.IO
open System.Reflection
open Expecto
open Microsoft.FSharp.Core
open PublicApiGenerator
open Pmem

/// The fenced blocks of a language, each a list of lines without their common indentation.
let private blocks language (lines: string[]) =
    let mutable block = None

    [
        for line in lines do
            match block with
            | None when line = "```" + language -> block <- Some []
            | Some found when line = "```" ->
                List.rev found
                block <- None
            | Some found -> block <- Some(line.Trim() :: found)
            | None -> ()
    ]

/// A block that is a whole program opens the namespace and makes its file, in a first paragraph that only tests/packages
/// compiles.
let private body (block: string list) =
    match block with
    | ("using Pmem;" | "open Pmem") :: _ -> block |> List.skipWhile ((<>) "") |> List.tail
    | _ -> block

let private contains (lines: string[]) (block: string list) =
    lines
    |> Array.map (fun line -> line.Trim())
    |> Array.windowed block.Length
    |> Array.exists (fun window -> List.ofArray window = block)

let private options = ApiGeneratorOptions(IncludeAssemblyAttributes = false)

/// PMEM_TESTS_ACCEPT=1 makes the API as it is the new baseline, and the picture as it is drawn the new one.
let private isAccepted =
    Environment.GetEnvironmentVariable "PMEM_TESTS_ACCEPT" = "1"

let private isKept file (made: string) =
    let path = Path.Combine(Sources.root, file)

    if isAccepted then
        File.WriteAllText(path, made)

    Expect.equal (made.Split '\n') (File.ReadAllText(path).Split '\n') $"{file}; PMEM_TESTS_ACCEPT=1 accepts the change"

let private isPinned (assembly: Assembly) file =
    isKept
        (Path.Combine("tests", "Pmem.Tests", "Api", file))
        (assembly.GeneratePublicApi(options).ReplaceLineEndings "\n")

/// The ratio of a row of the table of docs/benchmarks.md, by its first three cells; or of README.md, by two.
let private ratioIn document (row: string list) =
    Sources.linesOf document
    |> Array.pick (fun line ->
        let cells = [ for cell in line.Split('|') -> cell.Trim() ]

        match document, cells with
        | "README.md", _ :: what :: rival :: ratio :: _ when [ what; rival ] = row -> Some(float ratio)
        | _, _ :: what :: rival :: size :: _ :: _ :: _ :: ratio :: _ when [ what; rival; size ] = row ->
            Some(float ratio)
        | _ -> None)

/// Each row of README's table of systems is what CI runs, or says that nothing does.
let private runsWhereItSays () =
    let rows =
        Sources.linesOf "README.md"
        |> Array.skipWhile (fun line -> line <> "## Where it runs")
        |> Array.takeWhile (fun line -> line <> "## What it costs")
        |> Array.filter _.StartsWith("| ")
        |> Array.skip 1
        |> Array.map (fun line -> [ for cell in line.Trim('|').Split '|' -> cell.Trim() ])

    let ci = String.Join('\n', Sources.linesOf ".ci/run")

    for row in rows do
        let suites, word =
            match row with
            | "Linux" :: "x86-64" :: _ -> [ "suite \"tests\" dotnet run"; "tests/vm/run" ], "on hardware"
            | "Linux" :: "Arm64" :: _ -> [ "tests/arm64/run" ], "on emulated processors"
            | "Windows" :: "x86-64" :: _ -> [ "tests/windows/run" ], "emulated (Wine"
            | ("Windows" | "macOS") :: _ -> [], "compiled only"
            | _ -> [], "not at all"

        Expect.stringStarts (List.last row) word row.Head

        for suite in suites do
            Expect.stringContains ci suite row.Head

    Expect.hasLength rows 6 "systems and processors"

let private isFSharpModule (candidate: Type) =
    candidate.GetCustomAttributes<CompilationMappingAttribute>()
    |> Seq.exists (fun mapping ->
        mapping.SourceConstructFlags &&& SourceConstructFlags.KindMask = SourceConstructFlags.Module)

let rec private mentionsFSharp (candidate: Type) =
    if candidate.HasElementType then
        match candidate.GetElementType() with
        | null -> false
        | element -> mentionsFSharp element
    else
        (match candidate.FullName with
         | null -> false
         | name -> name.StartsWith("Microsoft.FSharp.", StringComparison.Ordinal))
        || (candidate.IsGenericType
            && candidate.GetGenericArguments() |> Array.exists mentionsFSharp)

let private signatureOf (info: MemberInfo) =
    match info with
    | :? MethodInfo as method -> method.ReturnType :: [ for p in method.GetParameters() -> p.ParameterType ]
    | :? ConstructorInfo as constructor -> [ for p in constructor.GetParameters() -> p.ParameterType ]
    | :? PropertyInfo as property -> [ property.PropertyType ]
    | :? FieldInfo as field -> [ field.FieldType ]
    | _ -> []

/// Public members that a C# caller meets with an F# type in their signature. Modules, and the builder behind a
/// computation expression, are for F#.
let private fsharpInSignatures (assembly: Assembly) =
    [
        for candidate in assembly.GetExportedTypes() do
            if
                not (isFSharpModule candidate)
                && not (candidate.Name.EndsWith("Builder", StringComparison.Ordinal))
            then
                for info in
                    candidate.GetMembers(
                        BindingFlags.Public
                        ||| BindingFlags.Instance
                        ||| BindingFlags.Static
                        ||| BindingFlags.DeclaredOnly
                    ) do
                    if signatureOf info |> List.exists mentionsFSharp then
                        $"{candidate.FullName}.{info.Name}"
    ]

let private core = typeof<FlushPlan>.Assembly
let private executor = typeof<PmemMapping>.Assembly

let tests =
    testList
        "documents"
        [
            Sources.needing "every snippet of the README and of docs is compiled" (fun () ->
                for document, language, wanted, path in
                    [
                        "README.md", "csharp", [ "using Pmem" ], "tests/Pmem.Testing/Snippets.cs"
                        "README.md", "fsharp", [ "open Pmem" ], "tests/Pmem.Tests/Documents/Snippets.fs"
                        "docs/properties.md",
                        "csharp",
                        [ "using System.Collections.Immutable"; "using FsCheck"; "using Pmem" ],
                        "tests/Pmem.Testing/StructureSnippets.cs"
                        "docs/properties.md",
                        "fsharp",
                        [ "open System.IO"; "open FsCheck"; "open Pmem" ],
                        "tests/Pmem.Tests/Documents/StructureSnippets.fs"
                    ] do
                    let imports =
                        Sources.linesOf path
                        |> Array.filter (fun line -> line.StartsWith "using " || line.StartsWith "open ")

                    Expect.equal [ for line in imports -> line.TrimEnd ';' ] wanted path
                    let blocks = blocks language (Sources.linesOf document)
                    Expect.isNonEmpty blocks language

                    // A block of several parts may leave out what stands between them.
                    for block in List.map body blocks do
                        Expect.isTrue
                            (contains (Sources.linesOf path) block)
                            $"{path} lacks:\n{String.Join('\n', block)}")

            testCase "the snippets of the README do what it says"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let path = Path.Combine(directory, "f")
                    Readme.Snippets.Plan path
                    Expect.equal (File.ReadAllBytes(path)[12288]) 2uy "plan"
                    let bytes = Readme.FSharp.run (Path.Combine(directory, "g"))
                    Expect.equal (BitConverter.ToInt64(bytes, 0)) 72L "program"
                    let report = Readme.Snippets.Crash()
                    Expect.equal report.Verdict CrashVerdict.Inconsistent "the bug is found"
                    Expect.stringContains (string report) "Snippets.cs" "and where")

            Sources.needing "the picture of a crash is what the README's program draws" (fun () ->
                isKept (Path.Combine("docs", "crash.svg")) (Readme.Snippets.Crash().ToSvg()))

            Sources.needing "the ratios of the README are those that were measured" (fun () ->
                for told, measured in
                    [
                        [ "store 8 bytes, persist"; "libpmem" ], [ "persist"; "libpmem"; "8 B" ]
                        [ "durable write of 64 bytes"; "libpmem" ], [ "write"; "libpmem"; "64 B" ]
                        [ "records of 100 bytes, one behind the other"; "libpmem" ], [ "append"; "libpmem"; "100 B" ]
                        [ "a prepared plan of 16 ranges"; "a persist of each" ],
                        [ "plan, prepared"; "persist each"; "16 ranges" ]
                    ] do
                    let told, measured = ratioIn "README.md" told, ratioIn "docs/benchmarks.md" measured

                    Expect.isLessThan (abs (told / measured - 1.0)) 0.15 $"README.md: {told}, measured: {measured}")

            Sources.needing "the README is under 300 lines and names the two commands" (fun () ->
                let readme = Sources.linesOf "README.md"
                Expect.isLessThan readme.Length 300 "lines"

                for command in
                    [
                        "dotnet run --project samples/ManPage -- FILE"
                        "dotnet run --project tests/Pmem.Tests"
                    ] do
                    Expect.exists readme (fun line -> line.StartsWith(command, StringComparison.Ordinal)) command)

            Sources.needing "the files that the documents name are there" (fun () ->
                for folder, name in
                    [
                        "", "README.md"
                        "docs", "architecture.md"
                        "docs", "testing.md"
                        "docs", "properties.md"
                        "docs", "observing.md"
                        "docs", "tool.md"
                        "docs", "traces.md"
                    ] do
                    let document = Path.Combine(folder, name)

                    for line in Sources.linesOf document do
                        for link in Text.RegularExpressions.Regex.Matches(line, @"\]\(([^)#:]+)\)") do
                            let path = Path.Combine(Sources.root, folder, link.Groups[1].Value)
                            Expect.isTrue (File.Exists path) $"{document}: {link}")

            Sources.needing "the sources that the documents name are there" (fun () ->
                let sources =
                    set [ for source in House.Source.all.Value -> Array.last source.Parts ]

                for document in [ "docs/architecture.md"; "docs/testing.md" ] do
                    for line in Sources.linesOf document do
                        for name in Text.RegularExpressions.Regex.Matches(line, @"`([\w/]*/)?(\w+\.(fs|cs))`") do
                            Expect.contains sources name.Groups[2].Value document)

            testCase "the snippets of docs/properties.md do what it says" (fun () ->
                Structures.FSharp.check ()
                Structures.CSharp.CheckLog()

                Expect.throwsT<ArgumentException> (fun () -> Structures.CSharp.Asynchronous() |> ignore) "async void"

                let laws =
                    Structures.FSharp.laws (fun image -> RecordedMemory(image, PersistencyModel.X86))

                for law in laws do
                    FsCheck.Check.QuickThrowOnFailure law

                Harness.inDirectory (fun directory ->
                    FsCheck.Check.One(
                        FsCheck.Config.QuickThrowOnFailure.WithMaxTest 5,
                        Structures.FSharp.survives (Path.Combine(directory, "f"))
                    )))

            Sources.needing "CI runs the systems that the README says" runsWhereItSays

            Sources.needing "the public API of the properties is pinned" (fun () ->
                isPinned typeof<PmemArbitraries>.Assembly "Pmem.FsCheck.txt")

            Sources.needing "the public API of the core is pinned" (fun () -> isPinned core "Pmem.Core.txt")
            Sources.needing "the public API of the executor is pinned" (fun () -> isPinned executor "Pmem.txt")

            testCase "no F# type is in a signature that C# sees"
            <| fun () ->
                Expect.isEmpty
                    (List.collect fsharpInSignatures [ core; executor; typeof<PmemArbitraries>.Assembly ])
                    "members"

            testCase "the libraries ask for an FSharp.Core that every SDK brings"
            <| fun () ->
                let asked =
                    core.GetReferencedAssemblies()
                    |> Seq.find (fun name -> name.Name = "FSharp.Core")
                    |> _.Version

                Expect.equal asked (System.Version(6, 0, 0, 0)) "version"
        ]
