/// Every system call of Create, Persist and Dispose is made to fail, and the process is killed at each, by strace(1).
module Pmem.Tests.InjectionTests

open System
open System.IO
open System.Text.RegularExpressions
open Expecto
open Pmem
open Pmem.Tests.Parts

let private calls =
    "openat,statx,fstatfs,fallocate,ftruncate,pwrite64,fsync,syncfs,linkat,unlinkat,readlinkat,fcntl,mmap,munmap,madvise,msync"

let private strace (log: string) (inject: string list) (path: string) =
    // Without it the JIT compiler maps and unmaps for each method, and what is injected there is not ours.
    let quiet = "DOTNET_EnableWriteXorExecute=0"
    let options = [ "-f"; "-E"; quiet; "-o"; log; "-e"; $"trace={calls},write" ]
    let assembly = Path.Combine(AppContext.BaseDirectory, "Pmem.Tests.dll")
    let program = [ Child.dotnet; assembly; "--child"; "traced"; path ]
    Child.command "strace" (options @ inject @ program)

type private Call = { Thread: string; Name: string; Nth: int; IsInjected: bool }

let private line = Regex @"^(\d+) +(?:<\.\.\. )?(\w+)(\(| resumed)"

/// The calls between the marks, on the thread that made them, numbered from 1 for each kind as strace counts them.
let private window (log: string) =
    let mutable counts: Map<string, int> = Map.empty
    let found = Collections.Generic.List<Call>()
    let mutable marked: string option = None
    let mutable isOver = false

    for text in File.ReadLines log do
        let call = line.Match text

        if call.Success && call.Groups[3].Value = "(" then
            let thread, name = call.Groups[1].Value, call.Groups[2].Value
            let key = thread + name
            let nth = 1 + Option.defaultValue 0 (counts.TryFind key)
            counts <- counts.Add(key, nth)

            if text.Contains "<begin>" then
                marked <- Some thread
            elif text.Contains "<end>" then
                isOver <- true
            elif marked = Some thread && not isOver && name <> "write" then
                found.Add
                    {
                        Thread = thread
                        Name = name
                        Nth = nth
                        IsInjected = text.Contains "(INJECTED)"
                    }

    List.ofSeq found

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
    let outcome = strace log [ "-e"; $"inject={call.Name}:{how}:when={call.Nth}" ] path
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
    let outcome = strace log [] path
    Expect.equal (outcome.Output.Trim()) "disposed" outcome.Error
    let calls = window log
    File.Delete log
    Expect.isGreaterThan calls.Length 10 "calls"

    let all = List.allPairs calls errors
    // A fixed sample, for each takes a second; PMEM_TESTS_INJECT_ALL=1 tries all.
    let step =
        if Environment.GetEnvironmentVariable "PMEM_TESTS_INJECT_ALL" = "1" then
            1
        else
            Harness.cases 17 7

    let chosen = all |> List.indexed |> List.filter (fun (i, _) -> i % step = 0)

    for _, (call, how) in chosen do
        inject before directory call how

    printfn "injected: %d of %d (%d calls), before: %O" chosen.Length all.Length calls.Length before

let private hasStrace () = Child.hasCommand "strace"

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
                        (fun () -> hasStrace () && isThere ())
                        $"every call of Create, Persist and Dispose on {place}, before: {before}"
                        (fun () -> inPlace (injectAll before))
        ]
