module Pmem.Tests.Program

open Expecto
open Expecto.Impl

let private tests =
    testList
        "pmem"
        [
            ByteRangeTests.tests
            PlanTests.tests
            LoweringTests.tests
            PlatformTests.tests
            CopyPlanTests.tests
            CopyTests.tests
            CopyOracleTests.tests
        ]

/// The closing line, after Expecto's own summary.
let private closing (summary: TestRunSummary) =
    let failed = summary.failed.Length + summary.errored.Length

    for test, result in summary.ignored do
        printfn "skipped: %s: %s" (String.concat "/" test.name) (result.result.ToString())

    printfn "%d passed, %d failed, %d skipped" summary.passed.Length failed summary.ignored.Length

[<EntryPoint>]
let main arguments =
    let printer =
        { TestPrinters.defaultPrinter with
            summary =
                fun config summary ->
                    async {
                        do! TestPrinters.defaultPrinter.summary config summary
                        closing summary
                    }
        }

    runTestsWithCLIArgs [ Printer printer; Colours 0; No_Spinner ] arguments tests
