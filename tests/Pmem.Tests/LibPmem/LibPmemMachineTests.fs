/// What libpmem's functions have the machine do: on this processor, with eADR, and where no line can be written back.
module Pmem.Tests.LibPmemMachineTests

open System
open System.IO
open Expecto
open Pmem

let private recorded environment =
    let outcome = Child.run "libpmem-recorded" [ "nothing" ] environment
    Expect.equal outcome.ExitCode 0 outcome.Error

    [
        for line in outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries) ->
            let colon = line.IndexOf ": "
            line.Substring(0, colon), line.Substring(colon + 2)
    ]

/// The processor of these expectations has the write-back of this machine.
let private lines (offset: int) (length: int) =
    string (WriteBack(PmemPlatform.Current.WriteBack, ByteRange(int64 offset, int64 length)))

let private isLineMachine () =
    PmemPlatform.Current.WriteBack <> NoWriteBack

/// Bytes 100 to 200 lie in lines 64 to 256, and in the first page.
let private both = lines 64 192

let private short = lines 64 64

let private check environment expected =
    Expect.equal (recorded environment) expected "what each function executes"

let private onLines () =
    check
        [ "PMEM_NO_FLUSH", "0" ]
        [
            "persist", $"{both}; fence"
            "flush", both
            "drain", "fence"
            "deep flush", both
            "deep drain", "fence; msync 0+4096"
            "deep persist", $"{both}; fence; msync 0+4096"
            "msync", "msync 0+8192"
            "memmove persist", $"{short}; fence"
            "memcpy persist", $"{short}; fence"
            "memset persist", $"{short}; fence"
            "memmove nodrain", short
            "memcpy nodrain", short
            "memset nodrain", short
        ]

let private withEadr () =
    check
        [ "PMEM_NO_FLUSH", "1" ]
        [
            "persist", "fence"
            "flush", ""
            "drain", "fence"
            "deep flush", both
            "deep drain", "fence; msync 0+4096"
            "deep persist", $"{both}; fence; msync 0+4096"
            "msync", "msync 0+8192"
            "memmove persist", "fence"
            "memcpy persist", "fence"
            "memset persist", "fence"
            "memmove nodrain", ""
            "memcpy nodrain", ""
            "memset nodrain", ""
        ]

let private page = "msync 0+4096"

let private onPages () =
    check
        [ "PMEM_NO_MACHINE_CODE", "1"; "PMEM_NO_FLUSH", "0" ]
        [
            "persist", $"{page}; fence"
            "flush", page
            "drain", "fence"
            "deep flush", page
            "deep drain", $"fence; {page}"
            "deep persist", $"{page}; fence; {page}"
            "msync", "msync 0+8192"
            "memmove persist", page
            "memcpy persist", page
            "memset persist", page
            "memmove nodrain", page
            "memcpy nodrain", page
            "memset nodrain", page
        ]

/// The machine that a program has: its system calls, by page.
let private real directory =
    let log = Path.Combine(directory, "log")
    let path = Path.Combine(directory, "f")

    let environment =
        [
            "-E"
            "PMEM_NO_MACHINE_CODE=1"
            "-E"
            "PMEM_NO_FLUSH=0"
            "-E"
            "PMEM_IS_PMEM_FORCE=0"
        ]

    let outcome = Strace.straceOf "msync,write" "libpmem-real" log environment path
    Expect.equal outcome.ExitCode 0 outcome.Error
    let calls = Strace.window log

    for call in calls do
        Expect.stringContains call.Text "MS_SYNC" "it waits"

    let lengthOf (call: Strace.Call) =
        let arguments = call.Text.Split ','
        arguments[1].Trim()

    Expect.equal
        (calls |> List.map lengthOf)
        (List.replicate 6 "4096" @ [ "8192" ] @ List.replicate 6 "4096")
        "persist, flush, deep flush, deep drain, both of a deep persist, msync, and each copy and fill"

let tests =
    testList
        "libpmem machine"
        [
            Harness.needing "a write-back instruction" isLineMachine "lines are written back, then fenced" onLines
            Harness.needing "a write-back instruction" isLineMachine "with eADR only a deep flush writes back" withEadr
            testCase "without machine code pages are synced" onPages
            Harness.needing "strace" Strace.isThere "the real one syncs pages" (fun () -> Harness.inDirectory real)
        ]
