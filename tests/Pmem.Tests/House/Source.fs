/// A source file as the rules of the house see it: without comments and without what stands in strings.
module Pmem.Tests.House.Source

open System
open System.IO
open System.Text.RegularExpressions
open Pmem.Tests

type Source =
    {
        /// As in "src/Pmem.Core.Fs/Plans/FlushPlan.fs".
        Path: string
        Lines: string[]
    }

    member source.Parts = source.Path.Split '/'
    member source.IsFSharp = source.Path.EndsWith(".fs", StringComparison.Ordinal)

    member source.IsIn(folder: string) =
        source.Path.StartsWith(folder + "/", StringComparison.Ordinal)

    /// The folder below the project: "" where the file lies beside the project itself.
    member source.Floor = if source.Parts.Length = 4 then source.Parts[2] else ""

let private notCode =
    Regex(
        "\"\"\"[\\s\\S]*?\"\"\""
        + "|@\"(?:\"\"|[^\"])*\""
        + "|\"(?:\\\\.|[^\"\\\\])*\""
        + "|'(?:\\\\.|[^'\\\\\\n])'"
        + "|//[^\\n]*|/\\*[\\s\\S]*?\\*/|\\(\\*(?!\\))[\\s\\S]*?\\*\\)",
        RegexOptions.Compiled
    )

let private breaksOf (text: string) =
    String('\n', text |> Seq.filter ((=) '\n') |> Seq.length)

let parse path (text: string) =
    let blank (found: Match) =
        let value = found.Value
        let isComment = value[0] = '/' || value[0] = '('
        (if isComment then "" else "\"\"") + breaksOf value

    {
        Path = path
        Lines = notCode.Replace(text, blank).Split '\n' |> Array.map _.TrimEnd()
    }

let private isBuilt (path: string) =
    path.Split '/' |> Array.exists (fun part -> part = "obj" || part = "bin")

/// The files of the tree with one of these endings, by their path from the root.
let files endings =
    [
        for folder in [ "src"; "tests"; "samples"; "docs" ] do
            for ending in endings do
                for file in
                    Directory.EnumerateFiles(
                        Path.Combine(Sources.root, folder),
                        "*" + ending,
                        SearchOption.AllDirectories
                    ) do
                    let path = Path.GetRelativePath(Sources.root, file).Replace('\\', '/')

                    if not (isBuilt path) then
                        path, File.ReadAllText file
    ]

/// The tree, read once.
let all = lazy [ for path, text in files [ ".fs"; ".cs" ] -> parse path text ]
