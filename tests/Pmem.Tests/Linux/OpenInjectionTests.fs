/// Every system call of Open, Persist and Dispose of an ordinary file is made to fail, or to be the last; and single calls
/// of Create: what is interrupted is repeated, every descriptor is closed on exec, and a directory that cannot be opened or
/// synced leaves nothing.
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

let private isWhole (path: string) what =
    let bytes = File.ReadAllBytes path
    Expect.equal bytes.Length lengthBytes $"{what}: the length"
    bytes[5000] <- 7uy
    Expect.equal (Array.IndexOf(Array.map ((=) 7uy) bytes, false)) -1 $"{what}: other bytes"

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

let private saidOf (outcome: Child.Outcome) =
    outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
    |> Array.map (fun line -> line.Substring(0, line.IndexOf ": "), line.Substring(line.IndexOf ": " + 2))
    |> Map

let private says (said: Map<string, string>) step words what =
    for word: string in words do
        Expect.stringContains said[step] word $"{what}: {step}"

/// What the two persists must have come to, where one of these calls failed: the first failure is the last word.
let private isPersisted (calls: Call list) =
    let syncs = calls |> List.filter (fun call -> call.Name = "msync")

    match List.tryFindIndex (fun (call: Call) -> call.IsInjected) syncs with
    | None -> true, true
    | Some nth -> nth > 0, false

/// A failed msync names the range, and is the last word; a failed munmap is said, and tried again.
let private isRight (path: string) (calls: Call list) (said: Map<string, string>) what =
    let isDone step = said[step] = "done"
    Expect.equal said["left"] "0 0" $"{what}: mappings and descriptors of the file; %A{said}"

    if not (isDone "open") then
        says said "open" [ Path.GetFileName path |> nonNull; "EIO" ] what
    else
        let first, again = isPersisted calls
        let persists = [ "persist", first; "persist again", again ]

        for step, isPersisted in persists do
            Expect.equal (isDone step) isPersisted $"{what}: {step}; %A{said}"

            if not isPersisted then
                says said step [ "EIO"; "bytes 4096 to 8192"; path ] what

        let isUnmapFailed =
            calls
            |> List.skipWhile (fun call -> call.Name <> "msync")
            |> List.exists (fun call -> call.Name = "munmap" && call.IsInjected)

        Expect.equal (isDone "dispose") (not isUnmapFailed) $"{what}: dispose; %A{said}"

        if isUnmapFailed then
            says said "dispose" [ "EIO"; "unmap"; path ] what

        Expect.isTrue (isDone "dispose again") $"{what}: the second Dispose; %A{said}"

/// One injection; what struck: the runtime has calls of its own, so that the number can be another call's.
let private inject directory path (call: Call) how =
    prepare path
    let outcome, calls = run "opened" directory path (injection call how)
    let what = $"{call.Name} no. {call.Nth}, {how}"
    let struck = calls |> List.tryFind _.IsInjected

    if outcome.ExitCode = 0 then
        if not calls.IsEmpty then
            isRight path calls (saidOf outcome) what
    elif struck.IsSome then
        // Else it was a call of the runtime's own, after the marks.
        Expect.stringContains how "KILL" $"{what}: the process died: {outcome.Error}"

    isWhole path what
    Expect.equal (Directory.GetFileSystemEntries directory |> Array.except [ path + ".warm" ]) [| path |] what
    File.Delete(path + ".warm")
    struck.IsSome && struck.Value.Name = call.Name || outcome.ExitCode <> 0

/// Killed at what changes the file, or its mapping; failed at everything.
let private hows (call: Call) =
    match call.Name with
    | "fallocate"
    | "msync"
    | "munmap" -> [ "error=EIO"; "signal=KILL" ]
    | _ -> [ "error=EIO" ]

/// In CI all; at home the msync, the munmap of Dispose, and one more.
let private chosen (calls: Call list) =
    let all =
        [
            for call in calls do
                for how in hows call -> call, how
        ]

    if Harness.isCi then
        all
    else
        let isNamed name (call: Call) = call.Name = name

        [
            List.find (isNamed "msync") calls, "error=EIO"
            List.findBack (isNamed "munmap") calls, "error=EIO"
            all[Random.Shared.Next all.Length]
        ]

let private injectAll directory =
    let path = Path.Combine(directory, "f")
    prepare path
    let calls = plain "opened" directory path

    Expect.containsAll
        (List.map _.Name calls)
        [ "openat"; "statx"; "fallocate"; "mmap"; "madvise"; "msync"; "munmap" ]
        "calls"

    let all = chosen calls
    let struck = all |> List.filter (fun (call, how) -> inject directory path call how)

    printfn
        "injected into Open, Persist and Dispose: %d, of which %d struck (%d calls)"
        all.Length
        struck.Length
        calls.Length

    Expect.isGreaterThan (2 * struck.Length) all.Length "most injections strike the call that was meant"

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
            Expect.stringStarts outcome.Output "nothing" "Create fails"
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
            traced "every call of Open, Persist and Dispose" injectAll
            traced "an interrupted msync is repeated" (repeats "opened" "msync" "persist: done")
            traced "an interrupted fallocate of Open is repeated" (repeats "opened" "fallocate" "open: done")
            traced "an interrupted fallocate of Create is repeated" (repeats "traced" "fallocate" "disposed")
            traced "every descriptor is closed on exec" isClosedOnExec
            traced "nothing is left where the directory cannot be opened or synced" leavesNothing
        ]
