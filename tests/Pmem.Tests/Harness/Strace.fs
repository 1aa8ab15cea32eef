/// The system calls of a child between two marks, seen by strace(1), and one of them made to fail or to be the last.
module Pmem.Tests.Strace

open System
open System.IO
open System.Text.RegularExpressions

let isThere () = Child.hasCommand "strace"

let private calls =
    "openat,statx,fstatfs,fallocate,ftruncate,pwrite64,fsync,syncfs,linkat,unlinkat,readlinkat,fcntl,mmap,munmap,madvise,msync,prlimit64"

/// What the runtime calls for threads, memory and time whoever runs on it; these are not injected. Nor is close: strace lets a
/// call fail by not making it, and a descriptor that stays open after an error of close(2) is what no Linux has.
let private ofRuntime =
    set
        [
            "close"
            "futex"
            "membarrier"
            "mprotect"
            "sched_yield"
            "getpid"
            "gettid"
            "brk"
            "rt_sigprocmask"
            "rt_sigreturn"
            "tgkill"
            "exit"
            "rseq"
            "set_robust_list"
            "sched_getaffinity"
            "sched_setaffinity"
            "clone3"
            "write"
        ]

/// Of so many injections, each of which takes a second, a fixed sample: each 17th at home, in CI each `step`th, and all with
/// PMEM_TESTS_INJECT_ALL=1.
let sample step (all: 'a list) =
    let step =
        if Environment.GetEnvironmentVariable "PMEM_TESTS_INJECT_ALL" = "1" then
            1
        else
            Harness.cases 17 step

    all |> List.indexed |> List.filter (fun (i, _) -> i % step = 0) |> List.map snd

/// Runs one of the functions of Children under strace, which traces these calls.
let straceOf traced (child: string) (log: string) (inject: string list) (path: string) =
    // Without it the JIT compiler maps and unmaps for each method, and what is injected there is not ours.
    let quiet = "DOTNET_EnableWriteXorExecute=0"

    let options =
        [ "-f"; "--seccomp-bpf"; "-E"; quiet; "-o"; log; "-e"; $"trace={traced}" ]

    let assembly = Path.Combine(AppContext.BaseDirectory, "Pmem.Tests.dll")
    let program = [ Child.dotnet; assembly; "--child"; child; path ]
    Child.command "strace" (options @ inject @ program)

let strace child log inject path =
    straceOf $"{calls},write" child log inject path

type Call =
    {
        Thread: string
        Name: string
        Nth: int
        Text: string
    }

    member call.IsInjected = call.Text.Contains "(INJECTED)"

/// What is done to a call: "error=EIO", "signal=KILL".
let injection (call: Call) (how: string) =
    [ "-e"; $"inject={call.Name}:{how}:when={call.Nth}" ]

let private line = Regex @"^(\d+) +(?:<\.\.\. )?(\w+)(\(| resumed)"

/// The calls between the marks, on the thread that made them, numbered from 1 for each kind as strace counts them.
let window (log: string) =
    let mutable counts: Map<string, int> = Map.empty
    let found = Collections.Generic.List<Call>()
    let mutable marked: string option = None
    let mutable isOver = false

    for text in File.ReadLines log do
        let call = line.Match text

        // The end of a call that was interleaved with another thread's, which says whether it was injected.
        if call.Success && call.Groups[3].Value <> "(" then
            let last = found.FindLastIndex(fun one -> one.Thread = call.Groups[1].Value)

            if last >= 0 && found[last].Name = call.Groups[2].Value then
                found[last] <- { found[last] with Text = found[last].Text + text }
        elif call.Success then
            let thread, name = call.Groups[1].Value, call.Groups[2].Value
            let key = thread + name
            let nth = 1 + Option.defaultValue 0 (counts.TryFind key)
            counts <- counts.Add(key, nth)

            if text.Contains "<begin>" then
                marked <- Some thread
            elif text.Contains "<end>" then
                isOver <- true
            elif marked = Some thread && not isOver && name <> "write" then
                found.Add { Thread = thread; Name = name; Nth = nth; Text = text }

    List.ofSeq found

/// The names of all calls between the marks that could be injected and are not, beside those of the runtime.
let unknownCalls child directory path =
    let log = Path.Combine(directory, "log")
    straceOf "all" child log [] path |> ignore
    let names = window log |> List.map _.Name |> set
    File.Delete log
    names - ofRuntime - set (calls.Split ',')
