/// The rules of the house, as functions from sources to the places that break them. A place begins with its file's path.
module Pmem.Tests.House.Rules

open System
open System.Collections.Generic
open System.Text.RegularExpressions
open Source

let private at (source: Source) (line: int) (what: string) = $"{source.Path}:{line + 1}: {what}"

let private indentOf (line: string) = line.Length - line.TrimStart().Length

// Length

let longFiles (sources: Source list) =
    [
        for source in sources do
            if source.Lines.Length > 401 then
                at source 0 $"{source.Lines.Length - 1} lines"
    ]

/// A binding with parameters, a member, or a constructor.
let private binding =
    Regex(
        @"^\s*((let|and)\s+(?>(private |internal |inline |rec )*)[\w(|`)]+\s+[^=:\s]"
        + @"|(static )?(member|override|default)\b|(private |internal )?new\s*\()"
    )

let private fsharpFunctions (source: Source) =
    let lines = source.Lines

    let isCode (line: string) =
        line <> "" && not (line.TrimStart().StartsWith '#')

    let lastOf first =
        let isOutside line =
            isCode lines[line] && indentOf lines[line] <= indentOf lines[first]

        let next =
            seq { first + 1 .. lines.Length - 1 }
            |> Seq.tryFind isOutside
            |> Option.defaultValue lines.Length

        seq { next - 1 .. -1 .. first } |> Seq.find (fun line -> isCode lines[line])

    // A list is data, as long as it must be.
    let isList first =
        seq { first + 1 .. lines.Length - 1 }
        |> Seq.tryFind (fun line -> isCode lines[line])
        |> Option.exists (fun line -> lines[line].Trim() = "[")

    [
        for first in 0 .. lines.Length - 1 do
            if binding.IsMatch lines[first] && not (isList first) then
                struct (first, lastOf first)
    ]

let private container =
    Regex @"\b(namespace|class|struct|interface|enum|record|extension)\b"

/// A block whose parent is a type (or the file) is a function; what stands before its brace is its head.
let private csharpFunctions (source: Source) =
    let open' = Stack<struct (int * bool)>()
    let mutable head, first = "", 0

    [
        for line in 0 .. source.Lines.Length - 1 do
            for letter in source.Lines[line] do
                match letter with
                | '{' ->
                    open'.Push(struct (first, container.IsMatch head))
                    head <- ""
                | '}' when open'.Count > 0 ->
                    let struct (start, isContainer) = open'.Pop()
                    let isTop = Seq.forall (fun struct (_, isContainer) -> isContainer) open'

                    if isTop && not isContainer then
                        struct (start, line)

                    head <- ""
                | ';' -> head <- ""
                | letter ->
                    if head.Trim() = "" then
                        first <- line

                    head <- head + string letter

            head <- head + " "
    ]

let longFunctions (sources: Source list) =
    [
        for source in sources do
            for struct (first, last) in (if source.IsFSharp then fsharpFunctions else csharpFunctions) source do
                if last - first + 1 > 50 then
                    at source first $"a function of {last - first + 1} lines"
    ]

// Projects

/// F# files that no project compiles, and C# files above which there is no project. Projects are (path, text).
let leftOut (projects: (string * string) list) (sources: Source list) =
    let folder (path: string) =
        path.Substring(0, path.LastIndexOf '/' + 1)

    let compiled =
        set
            [
                for path, text in projects do
                    for found in Regex.Matches(text, "<Compile Include=\"([^\"]+)\"") do
                        let parts = (folder path + found.Groups[1].Value.Replace('\\', '/')).Split '/'

                        let add kept part =
                            if part = ".." then List.tail kept else part :: kept

                        String.Join('/', Array.fold add [] parts |> List.rev)
            ]

    let isBelowProject (source: Source) =
        projects
        |> List.exists (fun (path, _) ->
            path.EndsWith(".csproj", StringComparison.Ordinal)
            && source.Path.StartsWith(folder path, StringComparison.Ordinal))

    [
        for source in sources do
            if not (if source.IsFSharp then compiled.Contains source.Path else isBelowProject source) then
                at source 0 "in no project"
    ]

// Floors

/// A row of the tables of docs/architecture.md: a folder, and the folders whose types it may name.
type Floor = { Name: string; Uses: string list }

let floorsOf project (document: string[]) =
    let rows =
        document
        |> Array.skipWhile (fun line -> not (line.StartsWith('#') && line.Contains(project: string)))

    [
        for line in
            Array.takeWhile (fun (line: string) -> line <> "" || true) rows[1..]
            |> Array.takeWhile (fun line -> not (line.StartsWith '#')) do
            let row = Regex.Match(line, @"^\| `(\w+)` \|.*\| ([^|]*) \|$")

            if row.Success then
                {
                    Name = row.Groups[1].Value
                    Uses =
                        [
                            for used in Regex.Matches(row.Groups[2].Value, @"`(\w+)`") -> used.Groups[1].Value
                        ]
                }
    ]

let private reach (floors: Floor list) name =
    let rec add known name =
        if Set.contains name known then
            known
        else
            floors
            |> List.filter (fun floor -> floor.Name = name)
            |> List.collect _.Uses
            |> List.fold add (Set.add name known)

    add Set.empty name

let private declaration =
    Regex @"\b(?:class|struct|interface|enum|record|type|module|and)\s+(?:private |internal )?([A-Z]\w+)"

let private identifier = Regex @"(?<![\w.'])([A-Z]\w+)"

/// Types that are declared on one floor alone, and the floor.
let private declared (sources: Source list) =
    [
        for source in sources do
            for line in source.Lines do
                for found in declaration.Matches line do
                    found.Groups[1].Value, source.Floor
    ]
    |> List.distinct
    |> List.groupBy fst
    |> List.choose (fun (name, floors) -> if floors.Length = 1 then Some(List.head floors) else None)
    |> dict

/// Names of types on floors that a file's own floor may not use.
let upwards (floors: Floor list) (sources: Source list) =
    let home = declared sources

    let reach =
        floors |> List.map (fun floor -> floor.Name, reach floors floor.Name) |> dict

    [
        for source in sources do
            for line in 0 .. source.Lines.Length - 1 do
                for found in identifier.Matches source.Lines[line] do
                    match home.TryGetValue found.Value with
                    | true, floor when reach.ContainsKey source.Floor && not (reach[source.Floor].Contains floor) ->
                        at source line $"{found.Value} lies on floor {floor}"
                    | _ -> ()
    ]

/// Floors that the table names otherwise than the folders are, and rows that use a floor below them in the table.
let misplaced (folders: string list) (floors: Floor list) =
    let names = floors |> List.map _.Name

    [
        for folder in List.except names folders do
            $"{folder}: has no row"
        for name in List.except folders names do
            $"{name}: has no folder"
        for index, floor in List.indexed floors do
            for used in floor.Uses do
                if not (List.contains used (List.take index names)) then
                    $"{floor.Name}: {used} is not above it in the table"
    ]

// Words that have one place

let private places (pattern: Regex) why (sources: Source list) =
    [
        for source in sources do
            for line in 0 .. source.Lines.Length - 1 do
                if pattern.IsMatch source.Lines[line] then
                    at source line why
    ]

let private rounding =
    Regex(
        @"&(&&)? *~(~~)?[\s(\w).]*(line|page|unit|size|bytes|align|granularity)"
        + @"|[%/] *[\w.()]*(line|page|unit|align)\w*"
        + @"|\b(let|static|private|public)\b[^=(]*(round|align|line|page)_?(up|down|out)\b"
        + @"|offset *\+ *(\([a-z]+\))?[\w.]*length[\w.]* *[<>]"
        + @"|[<>]=? *(\([a-z]+\))?[\w.]*offset *\+ *(\([a-z]+\))?[\w.]*length"
        + @"|[<>]=? *(\([a-z]+\))?[\w.]*(length|size\w*) *- *(\([a-z]+\))?[\w.]*offset",
        RegexOptions.IgnoreCase
    )

let roundings (sources: Source list) =
    sources
    |> List.filter (fun source -> source.Floor <> "Ranges")
    |> places rounding "rounding and bounds are of the floor Ranges"

let private askingPaths =
    Regex @"\b(File|Directory|Path|FileInfo|DirectoryInfo)\.(Exists|Move|Replace)\b|\.Exists\b"

let pathQuestions (sources: Source list) =
    places askingPaths "the kernel alone decides about paths" sources

// Six lines twice

let private token =
    Regex(@"""""|'?[A-Za-z_]\w*'?|[0-9][\w.]*|\S", RegexOptions.Compiled)

let private keywords =
    set
        [
            yield!
                "abstract and as do elif else false for fun function if in inherit inline interface let match".Split ' '
            yield!
                "member module mutable namespace new not null of open or override private rec static then this true"
                    .Split
                    ' '
            yield!
                "try type use val when while with yield async await base break case catch class const continue".Split
                    ' '
            yield!
                "default enum finally fixed foreach internal is lock nameof out params partial public readonly ref"
                    .Split
                    ' '
            yield! "return sealed sizeof struct switch throw unsafe using var virtual void volatile where".Split ' '
        ]

let private runLines = 6

/// Lines that say nothing of their own: imports, attributes, lone punctuation, a parameter or a case by itself, and what
/// each type with equality must repeat.
let private thin =
    Regex(
        @"^\W*$|^(open|using|namespace|#|\[)|^\w+: [\w<>\[\]., ]+,?$"
        + @"|^\| [\w. ]+(-> (""""|\w+))?$|\bop_(In)?Equality\b|\b(Equals|GetHashCode|IEquatable)\b"
    )

let private thick (source: Source) =
    [|
        for line in 0 .. source.Lines.Length - 1 do
            let text = source.Lines[line].Trim()

            if not (thin.IsMatch text) then
                struct (line, [| for found in token.Matches text -> found.Value |])
    |]

/// The run with each name replaced by the number of its first use: two runs have one shape where a consistent renaming
/// makes them equal. "" where the lines are mostly of one shape, as those of a table are.
let private shapeOf (run: ArraySegment<struct (int * string[])>) =
    let names = Dictionary<string, int>()

    let shape (word: string) =
        if Char.IsDigit word[0] then
            "0"
        elif
            keywords.Contains word
            || not (Char.IsLetter(word.TrimStart('\'')[0..0] + " ", 0) || word[0] = '_')
        then
            word
        else
            if not (names.ContainsKey word) then
                names[word] <- names.Count

            $"n{names[word]}"

    let plain (word: string) =
        if Char.IsLetterOrDigit word[0] && not (keywords.Contains word) then
            "n"
        else
            word

    let kinds =
        run
        |> Seq.map (fun struct (_, words) -> words |> Seq.map plain |> String.concat " ")
        |> Seq.distinct
        |> Seq.length

    if kinds < 4 then
        ""
    else
        run
        |> Seq.map (fun struct (_, words) -> words |> Seq.map shape |> String.concat " ")
        |> String.concat "\n"

/// Six lines that stand twice, or whose shape does.
let repeated (sources: Source list) =
    let runs =
        [
            for source in sources do
                let lines = thick source

                for start in 0 .. lines.Length - runLines do
                    let run = ArraySegment(lines, start, runLines)
                    let struct (first, _) = run[0]
                    let struct (last, _) = run[runLines - 1]
                    shapeOf run, source, first, last
        ]

    [
        for shape, same in runs |> List.groupBy (fun (shape, _, _, _) -> shape) do
            let (_, source, first, last) = List.head same

            let others =
                same
                |> List.filter (fun (_, other, start, _) -> other.Path <> source.Path || start > last)

            if shape <> "" && not others.IsEmpty then
                let (_, other, start, _) = List.head others
                at source first $"six lines again at {other.Path}:{start + 1}"
    ]
