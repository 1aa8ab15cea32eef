/// The lines of a report, whole: a label beside the wrong store tells a lie.
module Pmem.Tests.ReportLineTests

open System
open System.Text.RegularExpressions
open Expecto
open Pmem
open Pmem.Tests.CrashBugs

let private linesOf (report: CrashReport) =
    (string report).Split('\n')
    // Source lines change with every edit.
    |> Array.map (fun line -> Regex.Replace(line, @"CrashBugs\.fs:\d+", "CrashBugs.fs").Trim())

let private holds (lines: string[]) (expected: string) =
    Expect.contains lines expected (String.Join("\n", lines))

let private fates () =
    let lines =
        CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) unordered logRecovered
        |> linesOf

    holds lines "LOST     CrashBugs.fs store 384+8 = 6"
    holds lines "durable  CrashBugs.fs store 0+8 = 6"

    let lost = lines |> Array.filter _.StartsWith("LOST ")
    Expect.equal lost.Length 1 "and no other store was lost"

let tests =
    testList "report lines" [ testCase "what was lost, and what was durable" fates ]
