/// The site as eng/site/build made it: every link leads somewhere, nothing is fetched from elsewhere, every output is there.
module Pmem.Tests.SiteTests

open System
open System.IO
open System.Net
open System.Text.RegularExpressions
open Expecto

let private site: string =
    match Environment.GetEnvironmentVariable "PMEM_TESTS_SITE" with
    | null -> ""
    | path -> path

let private pages =
    lazy
        (Directory.GetFiles(site, "*.html", SearchOption.AllDirectories)
         |> Array.map (fun path -> path, File.ReadAllText path)
         |> dict)

let private links (text: string) =
    [
        for found in Regex.Matches(text, "(?:href|src)=\"([^\"]*)\"") do
            match WebUtility.HtmlDecode found.Groups[1].Value with
            | null -> ()
            | link -> link
    ]

let private isElsewhere (link: string) =
    link.StartsWith("http:", StringComparison.Ordinal)
    || link.StartsWith("https:", StringComparison.Ordinal)
    || link.StartsWith("//", StringComparison.Ordinal)

/// The file that a link names; links from the root begin with a slash.
let private targetOf (page: string) (path: string) : string =
    if path = "" then page
    elif path.StartsWith '/' then Path.Combine(site, path.TrimStart '/')
    else Path.Combine(page, "..", path)
    |> Path.GetFullPath

let private hasAnchor (text: string) (anchor: string) =
    let name = Uri.UnescapeDataString anchor
    text.Contains $"name=\"{name}\"" || text.Contains $"id=\"{name}\""

/// What is wrong with a link; nothing where it leads somewhere.
let private broken page (link: string) =
    match link.Split('#', 2) with
    | _ when isElsewhere link || link.StartsWith("data:", StringComparison.Ordinal) -> None
    | parts ->
        let target = targetOf page (Uri.UnescapeDataString parts[0])

        if not (File.Exists target) then
            Some $"{page}: {link} leads nowhere"
        elif
            parts.Length = 2
            && parts[1] <> ""
            && not (hasAnchor pages.Value[target] parts[1])
        then
            Some $"{page}: {link} names no place"
        else
            None

let private needing (name: string) (test: unit -> unit) =
    Harness.needing "the site (eng/site/build, PMEM_TESTS_SITE)" (fun () -> site <> "") name test

let private page (name: string) : string =
    pages.Value[Path.GetFullPath(Path.Combine(site, name))]

let tests =
    testList
        "site"
        [
            needing "every link leads somewhere" (fun () ->
                let found =
                    [
                        for pair in pages.Value do
                            for link in links pair.Value do
                                yield! Option.toList (broken pair.Key link)
                    ]

                Expect.isEmpty found (String.Join('\n', found)))

            needing "nothing is fetched from elsewhere" (fun () ->
                for pair in pages.Value do
                    for found in Regex.Matches(pair.Value, "<(?:script|link|img|iframe)[^>]*(?:href|src)=\"([^\"]*)\"") do
                        Expect.isFalse (isElsewhere found.Groups[1].Value) $"{pair.Key}: {found.Value}")

            needing "every chapter has its output and its pictures" (fun () ->
                let chapters =
                    pages.Value.Keys
                    |> Seq.filter (fun path ->
                        path.Contains $"{Path.DirectorySeparatorChar}learn{Path.DirectorySeparatorChar}")
                    |> List.ofSeq

                Expect.hasLength chapters 10 "nine chapters, and the structures"

                for path in chapters do
                    let text = pages.Value[path]
                    Expect.isFalse (text.Contains "No value returned") $"{path}: an expression was not evaluated"
                    Expect.stringContains text "<figure><svg" path
                    Expect.stringContains text "<desc>" path)

            needing "the structures are all drawn" (fun () ->
                Expect.hasLength (Regex.Matches(page "learn/structures.html", "<figure><svg")) 8 "pictures")

            needing "every package has its reference" (fun () ->
                for name in
                    [
                        "flushplan"
                        "crashcheck"
                        "pmemmapping"
                        "libpmem"
                        "durablestructure-2"
                        "planlaws"
                    ] do
                    Expect.stringContains (page $"reference/pmem-{name}.html") "<h2" name)
        ]
