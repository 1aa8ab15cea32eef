/// Single calls are made to fail: what is interrupted is repeated, and a directory that cannot be opened or synced leaves
/// nothing. Every descriptor is closed on exec.
module Pmem.Tests.OpenInjectionTests

open System
open System.IO
open Expecto
open Pmem.Tests.Strace

/// With room for a mapping that is placed on huge pages.
let private lengthBytes = 4 <<< 20

let private prepare (path: string) =
    let bytes = Array.create lengthBytes 7uy
    File.WriteAllBytes(path, bytes)

/// One run of a child with one call injected: what it said, and the calls between the marks.
let private run child directory (path: string) inject =
    let log = Path.Combine(directory, "log")
    let outcome = strace child log inject path
    let calls = if File.ReadAllText(log).Contains "<begin>" then window log else []
    File.Delete log
    outcome, calls

/// The calls of a run without any injection.
let private plain child directory path =
    let outcome, calls = run child directory path []
    Expect.equal outcome.ExitCode 0 outcome.Error
    Expect.stringContains outcome.Output "dispose" outcome.Error
    calls

/// The first call of this name in a run of the child is interrupted: it is made again, and all goes on.
let private repeats child name finished directory =
    let path = Path.Combine(directory, "f")

    let prepared () =
        File.Delete path

        if child = "opened" then
            prepare path

    prepared ()
    let first = plain child directory path |> List.find (fun call -> call.Name = name)
    prepared ()
    let outcome, calls = run child directory path (injection first "error=EINTR")
    let same = calls |> List.filter (fun call -> call.Name = name)
    let nth = same |> List.findIndex _.IsInjected
    Expect.stringContains same[nth].Text "EINTR" "interrupted"
    Expect.isFalse same[nth + 1].IsInjected "made again"

    let argumentsOf (call: Call) =
        call.Text.Substring(call.Text.IndexOf '(').Split(')')[0]

    Expect.equal (argumentsOf same[nth + 1]) (argumentsOf same[nth]) "with the same arguments"
    Expect.stringContains outcome.Output finished outcome.Error

let private opensOf calls =
    calls |> List.filter (fun call -> call.Name = "openat")

/// A file that another program inherits keeps its leases and locks, and its space.
let private isClosedOnExec directory =
    let path = Path.Combine(directory, "f")
    let created = plain "traced" directory path |> opensOf
    File.Delete path
    prepare path
    let opened = plain "opened" directory path |> opensOf
    Expect.isGreaterThanOrEqual created.Length 2 "opened by Create: the directory and the file"
    Expect.isGreaterThanOrEqual opened.Length 1 "opened by Open"

    for call in created @ opened do
        Expect.stringContains call.Text "O_CLOEXEC" "closed on exec"

    printfn "closed on exec: %d of Create, %d of Open" created.Length opened.Length

/// EMFILE for everything that Create opens, EIO for everything that it syncs: the directory among them.
let private leavesNothing directory =
    let path = Path.Combine(directory, "f")
    let calls = plain "traced" directory path

    let howOf (call: Call) =
        if call.Name = "openat" then "error=EMFILE" else "error=EIO"

    let all =
        calls |> List.filter (fun call -> call.Name = "openat" || call.Name = "fsync")

    Expect.isGreaterThanOrEqual all.Length 4 "the directory and the file are opened, and synced"
    let some = if Harness.isCi then all else [ List.head all; List.last all ]

    let isStruck call =
        File.Delete path
        let outcome, calls = run "traced" directory path (injection call (howOf call))

        if calls |> List.exists (fun one -> one.IsInjected && one.Name = call.Name) then
            Expect.stringStarts (outcome.Output.Trim()) "nothing" "Create fails"
            Expect.stringContains outcome.Output ((howOf call).Substring 6) "it says why"
            Expect.equal (Directory.GetFileSystemEntries directory) [||] $"{call.Text}: left behind"
            true
        else
            false

    let struck = List.filter isStruck some
    printfn "a directory that cannot be opened or synced: %d of %d struck" struck.Length some.Length
    Expect.isNonEmpty struck "none was struck"

let private traced name test =
    Harness.needing "strace" isThere name (fun () -> Harness.inDirectory test)

let tests =
    testSequenced
    <| testList
        "injected faults of open"
        [
            traced "an interrupted msync is repeated" (repeats "opened" "msync" "persist: done")
            traced "an interrupted fallocate of Open is repeated" (repeats "opened" "fallocate" "open: done")
            traced "an interrupted fallocate of Create is repeated" (repeats "traced" "fallocate" "disposed")
            traced "every descriptor is closed on exec" isClosedOnExec
            traced "nothing is left where the directory cannot be opened or synced" leavesNothing
        ]
