/// What a user does wrong, or takes back: one sentence, an exit code that is documented, and nothing half-written.
module Pmem.Tests.ToolMistakeTests

open System
open System.Diagnostics
open System.IO
open System.Threading
open Expecto
open FsCheck.FSharp
open Pmem.Testing
open Pmem.Tests.ToolRun

/// A word of a command line: what there is, what nearly is, and what is not.
let private word directory =
    Gen.elements
        [
            "info"
            "check"
            "lint"
            "draw"
            "--json"
            "--model"
            "X86"
            "Z80"
            "--states"
            "--image"
            "--budget"
            "-1"
            "99999999999999999999"
            "--timeout"
            "--file"
            "--svg"
            "--output"
            "-o"
            "--help"
            "--version"
            "--"
            ""
            "\u0000"
            "[suggest]"
            "/dev/null"
            "/proc/self/mem"
            directory
            Path.Combine(directory, "none", "none")
            Path.Combine(directory, "good.trace")
        ]

let private good =
    [
        "pmem-trace 1"
        "length 4096"
        "store 64 2a00000000000000 @ /src/Journal.cs:17"
        "clwb 64 64"
        "fence"
        "store-past-cache 128 01"
        "msync 0 4096"
        "acknowledge 1"
    ]

/// A text of a trace or of a store log with some of its characters others.
let private broken =
    let texts =
        [
            String.Join('\n', good)
            "START|REGISTER_FILE;/mnt/p;0x10000;0x1000;0x0|STORE;0x10040;0x2a;0x8|FLUSH;0x10040;0x40|FENCE|STOP\n"
        ]

    let letter = Gen.elements (List.ofSeq "09afx;| \n#@:-=.\u0000\u00e9")

    gen {
        let! text = Gen.elements texts
        let! count = Gen.choose (0, 4)
        let! places = Gen.listOfLength count (Gen.choose (0, text.Length - 1))
        let! letters = Gen.listOfLength count letter

        let! keep =
            Gen.frequency [ 3, Gen.constant text.Length; 1, Gen.choose (0, text.Length) ]

        let changed = text.ToCharArray()
        List.iter2 (fun place letter -> changed[place] <- letter) places letters
        return String changed[.. keep - 1]
    }

/// Every answer has a code that is documented; a mistake has one sentence, and no stack.
let private isCivil (answer: Answer) =
    let told = answer.Output + answer.Error
    Expect.contains [ 0; 1; 2; 3 ] answer.ExitCode told
    Expect.isFalse (told.Contains "   at ") told

    if answer.ExitCode = 2 && answer.Error <> "" then
        Expect.equal (answer.Error.Trim().Split('\n').Length) 1 answer.Error

let private inPlace (test: string -> unit) =
    Harness.inDirectory (fun directory ->
        File.WriteAllLines(Path.Combine(directory, "good.trace"), good)
        test directory
        Expect.isEmpty (Directory.GetFiles(directory, ".pmem-*")) "nothing half-written")

let private commandLines () =
    inPlace (fun directory ->
        let lines = Gen.sample (Harness.cases 200 1000) (Gen.listOf (word directory))

        for line in lines do
            isCivil (run line))

let private traces () =
    inPlace (fun directory ->
        let path = Path.Combine(directory, "broken")

        for text in Gen.sample (Harness.cases 100 1000) broken do
            File.WriteAllText(path, text)

            for command in [ "lint"; "check"; "draw" ] do
                isCivil (run [ command; path ]))

let private sizes () =
    inPlace (fun directory ->
        let path = Path.Combine(directory, "large.trace")
        File.WriteAllText(path, "pmem-trace 1\nlength 9223372036854775807\nstore 9223372036854775000 01\n")
        run [ "check"; path ] |> refuses [ "9223372036854775807 bytes" ]
        run [ "lint"; path ] |> isCivil
        run [ "draw"; path ] |> isCivil
        File.WriteAllText(path, "START|REGISTER_FILE;/mnt/p;0x10000;0x0;0x0|FENCE|STOP\n")
        run [ "check"; path ] |> refuses [ "0 bytes" ]
        let many = [ for i in 0..39 -> $"store {64 * i} 01" ]
        File.WriteAllLines(path, [ "pmem-trace 1"; "length 4096" ] @ many)
        run [ "check"; path ] |> refuses [ "too many crash states"; "--program" ])

/// The tool as a process of its own, in a process group of its own: as in a terminal, Ctrl-C goes to all of the group. A shell
/// starts what runs in the background with SIGINT ignored, and children inherit that: here it is as in a terminal again.
let private interrupted (arguments: string list) (isReady: Process -> bool) =
    let tool = Path.Combine(AppContext.BaseDirectory, "Pmem.Tool.dll")

    let start =
        ProcessStartInfo("setsid", [ "env"; "--default-signal=INT"; "dotnet"; tool ] @ arguments)

    start.RedirectStandardError <- true
    start.RedirectStandardOutput <- true

    match Process.Start start with
    | null -> failtest "setsid cannot be started"
    | tool ->
        use _ = tool
        let error = tool.StandardError.ReadToEndAsync()
        let output = tool.StandardOutput.ReadToEndAsync()
        Expect.isTrue (SpinWait.SpinUntil((fun () -> isReady tool || tool.HasExited), 60_000)) "it is at work"
        Expect.isFalse tool.HasExited $"it works: {error}{output}"
        Posix.Interrupt tool.Id
        Expect.isTrue (tool.WaitForExit 60_000) "it ends"
        Expect.equal tool.ExitCode 130 $"{output.Result}{error.Result}"
        Expect.stringContains error.Result "Cancelled" "and says why"

let private ctrlC () =
    inPlace (fun directory ->
        let picture = Path.Combine(directory, "out.svg")
        let started = Path.Combine(directory, "started")
        let before = Directory.GetDirectories(Path.GetTempPath(), "pmem-check-*")
        let program = scriptIn directory $"touch {started}; exec sleep 60"

        let arguments =
            [
                "check"
                Path.Combine(directory, "good.trace")
                "--svg"
                picture
                "--program"
                program
            ]

        interrupted arguments (fun _ -> File.Exists started)
        Expect.isFalse (File.Exists picture) "no picture"
        let left = Directory.GetDirectories(Path.GetTempPath(), "pmem-check-*")
        Expect.isEmpty (Array.except before left) "no images")

let private ctrlCOfBench () =
    inPlace (fun directory ->
        let picture = Path.Combine(directory, "out.svg")
        let arguments = [ "bench"; directory; "--rounds"; "1000000"; "--svg"; picture ]

        // It is at work when it has a file of the directory mapped.
        let isMeasuring (bench: Process) =
            try
                (File.ReadAllText $"/proc/{bench.Id}/maps").Contains directory
            with :? IOException ->
                false

        interrupted arguments isMeasuring
        Expect.equal (Directory.GetFiles directory) [| Path.Combine(directory, "good.trace") |] "nothing new")

let private completion () =
    let answer = run [ "[suggest:1]"; "i" ]
    ends 0 answer
    Expect.stringContains answer.Output "info" "a command"
    Expect.stringContains (run [ "[suggest:9]"; "check t -" ]).Output "--program" "an option"

let private everyJson () =
    inPlace (fun directory ->
        let path = Path.Combine(directory, "good.trace")

        for arguments in
            [
                [ "info" ]
                [ "info"; directory ]
                [ "bench"; directory; "--rounds"; "1" ]
                [ "check"; path ]
                [ "check"; path; "--program"; "true" ]
                [ "lint"; path ]
                [ "draw"; path ]
                [ "lint"; "none" ]
                [ "frob" ]
            ] do
            let kind = (json (run (arguments @ [ "--json" ]))).ValueKind
            Expect.equal kind System.Text.Json.JsonValueKind.Object (String.Join(' ', arguments)))

let tests =
    testList
        "tool mistakes"
        [
            testCase "no command line is answered with a stack" commandLines
            testCase "no broken trace is answered with a stack" traces
            testCase "traces that are too large" sizes
            testCase "Ctrl-C during a check" ctrlC
            testCase "Ctrl-C during a bench" ctrlCOfBench
            testCase "completion" completion
            testCase "every answer is JSON where that was asked" everyJson
        ]
