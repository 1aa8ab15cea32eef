module Pmem.Tests.Program

open Expecto
open Expecto.Impl

/// A function, so that a child, which runs none of them, does not build them either.
let private tests () =
    [
        ByteRangeTests.tests
        EqualityTests.tests
        PlanTests.tests
        LoweringTests.tests
        PlatformTests.tests
        StubTests.tests
        ShortStubTests.tests
        ShortCallTests.tests
        HotPathTests.tests
        ExecutorTests.tests
        PagePersisterTests.tests
        MeterTests.tests
        FailingDeviceTests.tests
        LifetimeTests.tests
        ReferenceTests.tests
        MappingTests.tests
        FaultTests.tests
        GrowTests.tests
        SourceTests.tests
        LibPmemTableTests.tests
        LibPmem2Tests.tests
        EnvironmentTests.tests
        LibPmemTests.tests
        TrackerTests.tests
        CreationTests.tests
        PlacementTests.tests
        DropInTests.tests
        PartsTests.tests
        InjectionTests.tests
        OpenInjectionTests.tests
        ViewTests.tests
        yield! WindowsTests.tests
        UnixTests.tests
        SampleTests.tests
        StructureTests.tests
        CourseTests.tests
        SiteTests.tests
        CopyPlanTests.tests
        CopyTests.tests
        CopyRefusalTests.tests
        CopyOracleTests.tests
        OrderTests.tests
        WaitingTests.tests
        MadeUpDeviceTests.tests
        MachineCodeTests.tests
        ChunkTests.tests
        LibPmemMachineTests.tests
        SystemCallTests.tests
        DocumentTests.tests
        HouseTests.tests
        Litmus.tests
        CrashStatesTests.tests
        PersistProgramTests.tests
        JournalTests.tests
        ProgramLawTests.tests
        ProgramSyntaxTests.tests
        CrashCheckTests.tests
        CrashBugTests.tests
        CrashReportTests.tests
        ReportLineTests.tests
        CrashExplorationTests.tests
        CrashOracleTests.tests
        CrashGuardTests.tests
        CrashThreadTests.tests
        CrashDepthTests.tests
        CrashStructureTests.tests
        CrashSeedTests.tests
        PersistLintTests.tests
        PictureTests.tests
        SimulatedMemoryTests.tests
        DurabilityTests.tests
        LawTests.tests
        TraceTextTests.tests
        RecordingTests.tests
        ToolTests.tests
        ToolTraceTests.tests
        ToolMistakeTests.tests
        Dax.tests
        Interop.tests
        PowerCut.tests
    ]
    |> Harness.chosen
    |> testList "pmem"
    |> TimeLimits.apply ""

/// The closing line, after Expecto's own summary. What failed is said right before it once more: of a long output, often only
/// the end is kept.
let private closing (summary: TestRunSummary) =
    let failures = summary.failed @ summary.errored

    for test, result in summary.ignored do
        printfn "skipped: %s: %s" (String.concat "/" test.name) (result.result.ToString())

    for test, result in
        summary.results
        |> List.sortByDescending (fun (_, result) -> result.duration)
        |> List.truncate 12 do
        printfn "took %.0f s: %s" result.duration.TotalSeconds (String.concat "/" test.name)

    printfn "the new cases of properties: PMEM_TESTS_SEED=%d repeats them" Harness.freshSeed

    for test, result in failures do
        let reason = result.result.ToString().ReplaceLineEndings "\n"
        let lines = reason.Split '\n' |> Seq.truncate 12 |> String.concat "\nfailed:     "
        printfn "failed: %s\nfailed:     %s" (String.concat "/" test.name) lines

    printfn "%d passed, %d failed, %d skipped" summary.passed.Length failures.Length summary.ignored.Length

let private runAll arguments =
    let printer =
        { TestPrinters.defaultPrinter with
            summary =
                fun config summary ->
                    async {
                        do! TestPrinters.defaultPrinter.summary config summary
                        closing summary
                    }
        }

    runTestsWithCLIArgs [ Printer printer; Colours 0; No_Spinner ] arguments (tests ())

[<EntryPoint>]
let main arguments =
    match arguments with
    | [| "--child"; name; path |] -> Children.run name path
    | _ ->
        // At once, for a run that does not come to its end.
        printfn "the new cases of properties: PMEM_TESTS_SEED=%d" Harness.freshSeed
        // A test that hangs may have left a thread behind that keeps the process.
        exit (runAll arguments)
