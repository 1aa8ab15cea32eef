/// fio with its libpmem engine: a program of others that stores to persistent memory, and checks what is there.
module Pmem.Tests.Fio

open System
open System.Diagnostics
open System.IO
open Expecto

/// The bytes of a file are these sixteen, again and again.
let pattern (seed: int) =
    let bytes = Array.zeroCreate<byte> 16
    Random(seed).NextBytes bytes
    bytes

/// As many bytes of it.
let repeated (pattern: byte[]) length =
    Array.init length (fun i -> pattern[i % pattern.Length])

let private start (arguments: string list) isForced =
    let info =
        ProcessStartInfo("fio", arguments, RedirectStandardOutput = true, RedirectStandardError = true)

    // The engine refuses a file that is not on persistent memory; then it is told that it is.
    if isForced then
        info.Environment["PMEM_IS_PMEM_FORCE"] <- "1"

    use child = Process.Start info |> nonNull
    let errors = child.StandardError.ReadToEndAsync()
    let output = child.StandardOutput.ReadToEnd() + errors.Result
    child.WaitForExit()
    struct (child.ExitCode, output)

/// Whether fio is there, with that engine.
let isThere =
    lazy
        (try
            let struct (_, output) = start [ "--enghelp" ] false
            output.Contains "libpmem"
         with _ ->
             false)

let private job path (length: int) more =
    [
        "--name=interop"
        "--ioengine=libpmem"
        "--thread"
        "--bs=4k"
        $"--size={length}"
        $"--filename={path}"
        yield! more
    ]

let private hex bytes =
    "0x" + Convert.ToHexStringLower(bytes: byte[])

/// fio writes a file of the pattern.
let write (path: string) length pattern isForced =
    let struct (code, output) =
        start (job path length [ "--rw=write"; $"--buffer_pattern={hex pattern}" ]) isForced

    Expect.equal code 0 output
    Expect.equal (FileInfo path).Length (int64 length) output

/// Whether fio finds the pattern in every block.
let verifies path length pattern isForced =
    // Without --readonly the engine would fill the file first.
    let check =
        [
            "--rw=read"
            "--readonly"
            "--verify=pattern"
            "--verify_fatal=1"
            $"--verify_pattern={hex pattern}"
        ]

    let struct (code, _) = start (job path length check) isForced
    code = 0
