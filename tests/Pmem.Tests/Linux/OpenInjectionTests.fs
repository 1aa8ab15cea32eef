/// Single calls are made to fail: what is interrupted is repeated, and a directory that cannot be opened or synced leaves
/// nothing. Every descriptor is closed on exec.
module Pmem.Tests.OpenInjectionTests

open System
open System.IO
open Expecto
open Pmem
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

/// Whether a file is what it was, but for the byte that is stored.
let private isAsBefore (path: string) =
    let bytes = File.ReadAllBytes path
    let stored = bytes[5000]
    bytes[5000] <- 7uy

    (stored = 7uy || stored = 1uy)
    && bytes.AsSpan().SequenceEqual(ReadOnlySpan(Array.create lengthBytes 7uy))

/// What must be so of a run that lived: what failed said why, a persist that failed stays so, and nothing is left open or mapped.
let private afterFailure (path: string) (said: string) what =
    let outcome (step: string) =
        said.Split '\n'
        |> Array.tryFind _.StartsWith(step + ": ")
        |> Option.map (fun line -> line.Substring(step.Length + 2))

    let isDone step = outcome step = Some "done"

    if isDone "open" then
        // The second one may be the one that is struck.
        Expect.isTrue
            (isDone "persist" || not (isDone "persist again"))
            $"{what}: the first error is the last word; {said}"

        Expect.isTrue (isDone "dispose" || isDone "dispose again") $"{what}: unmapped in the end; {said}"

    for step in [ "open"; "persist"; "persist again"; "dispose" ] do
        match outcome step with
        | None
        | Some "done" -> ()
        | Some words -> Expect.stringContains words path $"{what}: {step} names the file"

    Expect.stringContains said "left: 0 0" $"{what}: nothing is left mapped or open"

let private errors = [ "error=EIO"; "error=ENOSPC"; "error=EINTR"; "signal=KILL" ]

/// One run of Open, Persist and Dispose with one call injected. Whether it was one of the calls between the marks.
let private inject directory (path: string) (call: Call) how =
    prepare path
    let outcome, calls = run "opened" directory path (injection call how)
    let what = $"{call.Name} no. {call.Nth}, {how}"
    Expect.isTrue (isAsBefore path) $"{what}: the file's bytes"

    if outcome.Output.Contains "left: " then
        afterFailure path outcome.Output what
    else
        Expect.stringContains how "KILL" $"{what}: the process died: {outcome.Error}"

    using (PmemMapping.Open path) (fun map -> Expect.equal map.Length (int64 lengthBytes) $"{what}: opened again")

    Expect.equal
        (Directory.GetFileSystemEntries directory
         |> Array.except [ path; path + ".warm" ])
        [||]
        what

    File.Delete(path + ".warm")
    how.Contains "KILL" || calls |> List.exists _.IsInjected

let private everyCall directory =
    let path = Path.Combine(directory, "f")
    prepare path
    let calls = plain "opened" directory path
    let all = List.allPairs calls errors
    let chosen = sample 7 all

    let struck =
        chosen |> List.filter (fun (call, how) -> inject directory path call how)

    printfn
        "injected: %d of %d (%d calls) of Open, Persist and Dispose, %d struck"
        chosen.Length
        all.Length
        calls.Length
        struck.Length

    Expect.isGreaterThan struck.Length (chosen.Length / 2) "most are struck"

/// Nothing that the library asks of the system is left out of the injections.
let private noneIsLeftOut directory =
    let path = Path.Combine(directory, "f")
    Expect.isEmpty (unknownCalls "traced" directory path) "of Create, Persist and Dispose"
    File.Delete path
    prepare path
    Expect.isEmpty (unknownCalls "opened" directory path) "of Open, Persist and Dispose"

/// Where the file system has no leases, nobody can know whether another process has the file open by now: what was made stays,
/// and the next Create completes it.
let private withoutLeases directory =
    let path = Path.Combine(directory, "f")

    for before in [ 0; 3000 ] do
        let prepared () =
            File.Delete path

            if before > 0 then
                File.WriteAllBytes(path, Array.create before 7uy)

        prepared ()
        let calls = plain "traced" directory path
        // The last one makes the name durable: by then the file has name and length.
        let sync = calls |> List.findBack (fun call -> call.Name = "fsync")
        let failing = injection sync "error=EIO"
        prepared ()
        let outcome, calls = run "traced" directory path failing
        Expect.stringStarts (outcome.Output.Trim()) "nothing" "Create fails"
        Expect.equal (File.Exists path) (before > 0) "taken back where that is known to be safe"

        let lease =
            calls
            |> List.find (fun call -> call.Name = "fcntl" && call.Text.Contains "F_SETLEASE")

        prepared ()

        let outcome, calls =
            run "traced" directory path (failing @ injection lease "error=EINVAL")

        Expect.stringStarts (outcome.Output.Trim()) "nothing" "Create fails"
        Expect.isTrue (calls |> List.exists (fun call -> call.Name = "fcntl" && call.IsInjected)) "no lease"
        Expect.equal (FileInfo(path).Length) FileChildren.LengthBytes "what was made stays"
        (PmemMapping.Create(path, FileChildren.LengthBytes)).Dispose()

        Expect.equal
            (File.ReadAllBytes(path).AsSpan(0, before).ToArray())
            (Array.create before 7uy)
            "the bytes of before"

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
            traced "every call of Open, Persist and Dispose" everyCall
            traced "no other system call is made" noneIsLeftOut
            traced "where no lease can be had, what was made stays" withoutLeases
            traced "nothing is left where the directory cannot be opened or synced" leavesNothing
        ]
