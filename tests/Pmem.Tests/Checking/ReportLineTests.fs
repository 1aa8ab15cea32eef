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

let private durable at value =
    $"durable  CrashBugs.fs store {at}+8 = {value}"

let private reads at value = $"CrashBugs.fs read   {at}+8 → {value}"

let private fates () =
    let lines =
        CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 1024) unordered logRecovered
        |> linesOf

    Expect.stringStarts lines[0] "Inconsistent (X86, exhaustive" "the verdict, and how much was looked at"

    Expect.equal
        (List.ofArray (Array.tail lines))
        [
            "Lost: CrashBugs.fs store 384+8 = 6"
            "To rule it out: persist CrashBugs.fs (store 384+8 = 6) before CrashBugs.fs (store 0+8 = 6)."
            "What happened, under X86 (what does not matter is left out):"
            for record in 1..5 do
                durable (64 * record) record
            "LOST     CrashBugs.fs store 384+8 = 6"
            durable 0 6
            "-- power failure before CrashBugs.fs fence"
            "Then recovery ran:"
            reads 0 6
            for record in 1..5 do
                reads (64 * record) record
            reads 384 0
            "Recovery returned false."
            "Seen without a crash:"
            "CrashBugs.fs store 384+8 = 6 is never flushed: flush its range and drain before anything relies on it."
        ]
        "all its lines"

let tests =
    testList "report lines" [ testCase "the text tells everything, and nothing else" fates ]
