/// Every path of the executor that the environment can force, each in a process of its own.
module Pmem.Tests.EnvironmentTests

open System
open System.IO
open Expecto
open Pmem

let private describe environment =
    let mutable output = ""

    Harness.inDirectory (fun directory ->
        let outcome = Child.run "describe" [ Path.Combine(directory, "f") ] environment
        Expect.equal outcome.ExitCode 0 outcome.Error
        output <- outcome.Output)

    output

let private hasClwb () = PmemPlatform.Current.Facts.HasClwb

let private hasClflush () = PmemPlatform.Current.Facts.HasClflush

let private hasDcCvap () = PmemPlatform.Current.Facts.HasDcCvap

let private isArm64 () =
    PmemPlatform.Current.Facts.Architecture = Runtime.InteropServices.Architecture.Arm64

let private hasClflushOpt () =
    PmemPlatform.Current.Facts.HasClflushOpt

let private says words environment =
    let output = describe environment

    for word: string in words do
        Expect.stringContains output word "what the mapping says"

let private force = "PMEM_IS_PMEM_FORCE", "1"

/// The lines of a trace between the two marks, of the thread that made them.
let private between (trace: string) =
    let lines = trace.Split '\n'

    let isMark (mark: string) (line: string) =
        line.Contains mark && line.Contains "write("

    let first = Array.findIndex (isMark "<begin>") lines
    let last = Array.findIndex (isMark "<end>") lines
    let thread (line: string) = line.Split(' ', 2)[0]

    // A call that another thread's call interrupts in the trace has two lines: begun (unfinished) and resumed.
    lines[first + 1 .. last - 1]
    |> Array.filter (fun line -> thread line = thread lines[first] && not (line.Contains " resumed>"))

let private traced environment =
    let mutable calls = [||]

    Harness.inDirectory (fun directory ->
        let trace = Path.Combine(directory, "trace")

        let arguments =
            [
                "-f"
                "-o"
                trace
                Child.dotnet
                Path.Combine(AppContext.BaseDirectory, "Pmem.Tests.dll")
            ]
            @ [ "--child"; "persist-between-marks"; Path.Combine(directory, "f") ]

        // Without tiers every method is compiled once, so the compiler makes no call when it is called again.
        let variables =
            ("DOTNET_TieredCompilation", "0")
            :: ("DOTNET_EnableWriteXorExecute", "0")
            :: environment
            |> List.map (fun (name, value) -> $"{name}={value}")

        let outcome = Child.command "env" (variables @ [ "strace" ] @ arguments)
        Expect.equal outcome.ExitCode 0 outcome.Error
        calls <- between (File.ReadAllText trace))

    calls

/// ManPage compiled ahead of time: a runtime with a JIT compiler does not even start without executable memory.
let private nativeManPage =
    Environment.GetEnvironmentVariable "PMEM_TESTS_NATIVE_MANPAGE"
    |> Option.ofObj
    |> Option.defaultValue ""

/// Starts a command that may make no memory executable: prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN), which is inherited.
let private withoutExecutableMemory command =
    let launcher = "syscall(157, 65, 1, 0, 0, 0) == 0 or exit 99; exec @ARGV or exit 98"
    Child.command "env" ([ "PMEM_IS_PMEM_FORCE=1"; "perl"; "-e"; launcher ] @ command)

let private canRefuseExecutableMemory () =
    File.Exists nativeManPage
    && Child.hasCommand "perl"
    && (withoutExecutableMemory [ "true" ]).ExitCode = 0

/// What an x86-64 processor forces, or an Arm64 one: each is asked only where it can be.
let private ofX64 =
    [
        Harness.needing "CLWB" hasClwb "forced persistent memory is flushed by CLWB" (fun () ->
            says [ "pmem, cache line"; "CLWB + SFENCE"; "PMEM_IS_PMEM_FORCE is 1" ] [ force ])

        Harness.needing "CLFLUSHOPT" hasClflushOpt "without CLWB by CLFLUSHOPT" (fun () ->
            says [ "CLFLUSHOPT + SFENCE" ] [ force; "PMEM_NO_CLWB", "1" ])

        Harness.needing "CLFLUSH" hasClflush "without CLFLUSHOPT by CLFLUSH and MFENCE" (fun () ->
            says [ "CLFLUSH + MFENCE" ] [ force; "PMEM_NO_CLWB", "1"; "PMEM_NO_CLFLUSHOPT", "1" ])
    ]

let private ofArm64 =
    [
        testCase "forced persistent memory is flushed by DC CVAP, and by msync where the processor has none"
        <| fun () ->
            if hasDcCvap () then
                says [ "pmem, cache line"; "DC CVAP + DSB SY"; "PMEM_IS_PMEM_FORCE is 1" ] [ force ]
            else
                says [ "page granularity"; "msync" ] [ force ]
    ]

let tests =
    testList
        "environment"
        [
            testCase "an ordinary file is not persistent memory"
            <| fun () -> says [ "not pmem"; "page"; "msync" ] [ "PMEM_IS_PMEM_FORCE", "0" ]

            yield! if isArm64 () then ofArm64 else ofX64

            testCase "PMEM_NO_FLUSH leaves only the fence"
            <| fun () -> says [ "byte granularity"; "PMEM_NO_FLUSH is 1" ] [ force; "PMEM_NO_FLUSH", "1" ]

            testCase "without machine code msync is used, and said so"
            <| fun () -> says [ "msync"; "PMEM_NO_MACHINE_CODE is 1" ] [ force; "PMEM_NO_MACHINE_CODE", "1" ]

            Harness.needing
                "perl, Linux 6.3, or a native build of ManPage (PMEM_TESTS_NATIVE_MANPAGE)"
                canRefuseExecutableMemory
                "a process that is refused executable memory uses msync, and says so"
                (fun () ->
                    Harness.inDirectory (fun directory ->
                        let outcome =
                            withoutExecutableMemory [ nativeManPage; Path.Combine(directory, "f") ]

                        Expect.equal outcome.ExitCode 0 outcome.Error

                        Expect.stringContains
                            outcome.Output
                            "not pmem, page granularity, persist = msync"
                            outcome.Output

                        Expect.stringContains outcome.Output "refused executable memory" outcome.Output))

            testCase "PMEM_MMAP_HINT chooses the address"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let outcome =
                        Child.run "address" [ Path.Combine(directory, "f") ] [ "PMEM_MMAP_HINT", "0x10000000000" ]

                    Expect.equal (outcome.Output.Trim()) "0x10000000000" outcome.Error)

            Harness.needing
                "strace"
                (fun () -> Child.hasCommand "strace")
                "a persist on an ordinary file is one msync of whole pages"
                (fun () ->
                    let calls = traced [ "PMEM_IS_PMEM_FORCE", "0" ]
                    Expect.equal calls.Length 1 (String.concat "\n" calls)
                    Expect.isTrue (calls[0].Contains "msync(0x" && calls[0].Contains ", 4096, MS_SYNC") calls[0])

            Harness.needing
                "strace"
                (fun () -> Child.hasCommand "strace")
                "a persist on persistent memory makes no system call"
                (fun () -> Expect.isEmpty (traced [ force ]) "between the marks")
        ]
