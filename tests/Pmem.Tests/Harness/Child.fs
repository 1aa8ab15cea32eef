/// Runs a part of the tests in a process of its own: where the environment, the user or the system's limits must differ.
module Pmem.Tests.Child

open System
open System.Diagnostics
open System.IO

type Outcome = { ExitCode: int; Output: string; Error: string }

let private startIn
    (directory: string)
    (fileName: string)
    (arguments: string seq)
    (environment: (string * string) seq)
    =
    let info =
        ProcessStartInfo(
            fileName,
            arguments,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = directory
        )

    for name, value in environment do
        info.Environment[name] <- value

    use child =
        match Process.Start info with
        | null -> failwithf "cannot start %s" fileName
        | child -> child

    child.StandardInput.Close()
    let error = child.StandardError.ReadToEndAsync()
    let output = child.StandardOutput.ReadToEnd()

    if not (child.WaitForExit 120_000) then
        child.Kill true
        failwithf "%s %s hangs" fileName (String.concat " " arguments)

    {
        ExitCode = child.ExitCode
        Output = output.ReplaceLineEndings "\n"
        Error = error.Result.ReplaceLineEndings "\n"
    }

let private start = startIn ""

/// Runs a command of the system.
let command fileName arguments = start fileName arguments []

/// The same with variables, and with the runtime that this process has.
let commandIn fileName arguments (environment: (string * string) list) =
    let runtime = Path.GetDirectoryName typeof<obj>.Assembly.Location

    let root =
        runtime |> nonNull |> Path.GetDirectoryName |> nonNull |> Path.GetDirectoryName

    let root = root |> nonNull |> Path.GetDirectoryName |> nonNull
    start fileName arguments (("DOTNET_ROOT", root) :: environment)

/// The dotnet that runs this process.
let dotnet =
    match Environment.ProcessPath with
    | null -> "dotnet"
    | path when Path.GetFileNameWithoutExtension path = "dotnet" -> path
    | _ -> "dotnet"

/// How an assembly beside this one is started, program and first arguments: by the dotnet that runs this process; as the program that
/// it was published as where that is of Windows, or where PMEM_TESTS_LAUNCHER names an emulator.
let private starting (name: string) =
    let file = Path.Combine(AppContext.BaseDirectory, name)

    match Environment.GetEnvironmentVariable "PMEM_TESTS_LAUNCHER" with
    | null
    | "" when OperatingSystem.IsWindows() -> file + ".exe", []
    | null
    | "" -> dotnet, [ file + ".dll" ]
    | launcher -> launcher, [ file ]

/// Runs an assembly beside this one, a sample for instance.
let assembly (name: string) arguments environment =
    let program, first = starting name
    start program (Seq.append first arguments) environment

/// Runs one of the functions of Children.
let run name arguments environment =
    assembly "Pmem.Tests" (Seq.append [ "--child"; name ] arguments) environment

/// The same, in a directory.
let runIn directory name arguments environment =
    let program, first = starting "Pmem.Tests"
    startIn directory program (Seq.concat [ first; [ "--child"; name ]; List.ofSeq arguments ]) environment

/// Whether a command is there. Under an emulator the system calls that strace sees are the emulator's.
let hasCommand name =
    (name <> "strace" || not Harness.isEmulator)
    && (Environment.GetEnvironmentVariable "PATH"
        |> Option.ofObj
        |> Option.defaultValue "")
        .Split
           Path.PathSeparator
       |> Array.exists (fun directory -> File.Exists(Path.Combine(directory, name)))

/// Whether this process may do everything.
let isRoot () =
    OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess
