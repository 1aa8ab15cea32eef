/// Every system call of Create, Persist and Dispose is made to fail, and the process is killed at each, by strace(1).
module Pmem.Tests.InjectionTests

open System
open System.IO
open Expecto
open Pmem
open Pmem.Tests.Parts
open Pmem.Tests.Strace

/// What there was before, and what may be there after a failure.
type private Before =
    | Nothing
    | AFile

let private oldBytes = Array.create 3000 7uy

let private prepare before (path: string) =
    if File.Exists path then
        File.Delete path

    if before = AFile then
        File.WriteAllBytes(path, oldBytes)

let private isOld (path: string) =
    File.Exists path
    && File.ReadAllBytes(path).AsSpan().SequenceEqual(ReadOnlySpan oldBytes)

let private isComplete before (path: string) =
    FileInfo(path).Length = FileChildren.LengthBytes
    && (before = Nothing
        || File.ReadAllBytes(path).AsSpan(0, 3000).SequenceEqual(ReadOnlySpan oldBytes))

let private afterFailure before (path: string) (said: string) what =
    if said.StartsWith "nothing" then
        if before = Nothing then
            Expect.isFalse (File.Exists path) $"{what}: left behind; {said}"
        else
            Expect.isTrue (isOld path) $"{what}: has {FileInfo(path).Length} bytes; {said}"
    else
        Expect.isTrue (isComplete before path) $"{what}: not complete; {said}"

    if said.Contains ':' then
        Expect.stringContains said (Path.GetFileName path |> nonNull) $"{what}: the path is named"

/// After a kill a file may be too short, and the next Create completes it.
let private afterKill before (path: string) what =
    let length = if File.Exists path then FileInfo(path).Length else 0L
    Expect.isLessThanOrEqual length FileChildren.LengthBytes what
    (PmemMapping.Create(path, FileChildren.LengthBytes)).Dispose()
    Expect.isTrue (isComplete before path) $"{what}: completed"

let private entries directory =
    Directory.GetFileSystemEntries directory |> Array.map Path.GetFileName

/// One run with one call injected. Whether the injection struck the call that was meant: the runtime has calls of its own.
let private inject before directory (call: Call) how =
    let path, log = Path.Combine(directory, "f"), Path.Combine(directory, "log")
    prepare before path
    let outcome = strace "traced" log (injection call how) path
    let what = $"{call.Name} no. {call.Nth}, {how}, before: {before}"

    let isKilled =
        outcome.ExitCode = 137 || outcome.ExitCode = -9 || outcome.Output = ""

    if File.ReadAllText(log).Contains "<begin>" then
        if isKilled then
            Expect.stringContains how "KILL" $"{what}: the process died: {outcome.Error}"
            afterKill before path what
        else
            afterFailure before path (outcome.Output.Trim()) what

    Expect.equal (entries directory |> Array.except [ "f"; "log"; "f.warm" ]) [||] what
    File.Delete log

    for name in [ path; path + ".warm" ] do
        if File.Exists name then
            File.Delete name

let private errors = [ "error=EIO"; "error=ENOSPC"; "error=EINTR"; "signal=KILL" ]

let private injectAll before directory =
    let path, log = Path.Combine(directory, "f"), Path.Combine(directory, "log")
    prepare before path
    let outcome = strace "traced" log [] path
    Expect.equal (outcome.Output.Trim()) "disposed" outcome.Error
    let calls = window log
    File.Delete log
    Expect.isGreaterThan calls.Length 10 "calls"

    let all = List.allPairs calls errors
    let chosen = sample 7 all

    for call, how in chosen do
        inject before directory call how

    printfn "injected: %d of %d (%d calls), before: %O" chosen.Length all.Length calls.Length before

let private placesOf =
    places
    |> List.filter (fun (name, _, _) -> name = "the tests' directory" || name = "bindfs")

let tests =
    testSequenced
    <| testList
        "injected faults"
        [
            for place, isThere, inPlace in placesOf do
                for before in [ Nothing; AFile ] do
                    Harness.needing
                        $"strace, {place}"
                        (fun () -> isThere () && Strace.isThere ())
                        $"every call of Create, Persist and Dispose on {place}, before: {before}"
                        (fun () -> inPlace (injectAll before))
        ]
