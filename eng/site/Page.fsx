// What the chapters share: the assemblies as the tests build them, and sources that are quoted, never pasted.
#I "../../tests/Pmem.Tests/bin/Release/net10.0"
#r "FsCheck.dll"
#r "Pmem.Core.dll"
#r "Pmem.FsCheck.dll"
#r "Pmem.dll"
#r "Structures.dll"

open System.IO
open System.Net
open Pmem

let private root = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", ".."))

let private code (path: string) =
    File.ReadAllLines(Path.Combine(root, path))
    |> Array.skipWhile (fun line -> not (line.StartsWith "namespace " || line.StartsWith "module "))
    |> Array.skip 2
    |> String.concat "\n"
    |> WebUtility.HtmlEncode

let private folded title path =
    $"<details><summary>{title}</summary><p><code>{path}</code></p><pre><code>{code path}</code></pre></details>"

/// The worked structures: the crash that each broken twin does not survive, and the source.
let structures () =
    let section (lesson: Structures.Lesson) =
        let report = Structures.Lesson.check Structures.Broken Pmem.PersistencyModel.X86 lesson
        let file = (report.ToString() |> System.Text.RegularExpressions.Regex("[A-Za-z]+\\.fs").Match).Value
        $"<h2>{lesson.Name}</h2><figure>{report.ToSvg()}</figure>" + folded "The source" $"samples/Structures/{file}"

    Structures.Program.lessons |> List.map section |> String.concat "\n"

/// A chapter's example in C#, which the tests compile and run.
let csharp (chapter: int) =
    folded "The same in C#" $"tests/Pmem.Testing/Course/Chapter{chapter}.cs"

/// A chapter's exercise, as it is given.
let exercise (chapter: int) =
    let command = $"dotnet run --project samples/Exercises -- {chapter}"
    let path = $"samples/Exercises/Exercise{chapter}.cs"

    $"<p>Edit <code>{path}</code>, then run <code>{command}</code>. It fails as it stands.</p><pre><code>{code path}</code></pre>"

/// What a fragment's line is called: fsdocs has no file for it.
let private lines (text: string) = text.Replace("input.fsx:", "line ")

/// A picture. Its lines count in the block of code above it.
let picture (svg: string) = $"<figure>{lines svg}</figure>"

/// Text that a program would write.
let text (value: obj) =
    $"<pre class=\"output\"><code>{WebUtility.HtmlEncode(lines (string value))}</code></pre>"
