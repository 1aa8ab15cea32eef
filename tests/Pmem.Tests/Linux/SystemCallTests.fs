/// The system calls by which a file is made and made durable, and their order.
module Pmem.Tests.SystemCallTests

open System
open System.IO
open System.Text.RegularExpressions
open Expecto
open Pmem
open Pmem.Tests.Strace

let private callsOf child inject directory =
    let path = Path.Combine(directory, "f")
    let log = Path.Combine(directory, "log")
    let outcome = strace child log inject path
    Expect.equal outcome.ExitCode 0 outcome.Error
    let calls = window log
    File.Delete log
    outcome, calls

/// The descriptor that an open gave, or that a sync was of.
let private opened (call: Call) =
    call.Text.Split('=') |> Array.last |> _.Trim()

let private argument (call: Call) =
    Regex.Match(call.Text, @"\((\d+)").Groups[1].Value

let private position what (calls: Call list) choose =
    match List.tryFindIndex choose calls with
    | Some index -> index
    | None -> failtestf "%s: %s" what (calls |> List.map _.Text |> String.concat "\n")

/// The length and the storage are durable before the file has a name, the name before Create returns.
let private createsDurably directory =
    let _, calls = callsOf "traced" [] directory
    let find what choose = position what calls choose

    let directoryOpened =
        find "the directory" (fun call -> call.Name = "openat" && call.Text.Contains "O_DIRECTORY")

    let fileOpened =
        find "the file" (fun call -> call.Name = "openat" && call.Text.Contains "O_TMPFILE")

    let syncOf index =
        find "a sync" (fun call -> call.Name = "fsync" && argument call = opened calls[index])

    let reserved = find "the storage" (fun call -> call.Name = "fallocate")
    let named = find "the name" (fun call -> call.Name = "linkat")
    let synced = find "msync" (fun call -> call.Name = "msync")

    let order =
        [
            directoryOpened
            fileOpened
            reserved
            syncOf fileOpened
            named
            syncOf directoryOpened
            synced
        ]

    Expect.equal order (List.sort order) "opened, reserved, synced, named, its name synced, used"

    for call in calls |> List.filter (fun call -> call.Name = "msync") do
        Expect.stringContains call.Text "MS_SYNC" "it waits"

    let mapped =
        calls
        |> List.find (fun call -> call.Name = "mmap" && call.Text.Contains $", {opened calls[fileOpened]}, ")

    Expect.stringContains mapped.Text "MAP_SHARED_VALIDATE|MAP_SYNC" "persistent memory is asked for first"

let private cutsDurably directory =
    let _, calls = callsOf "cut" [] directory
    let cut = position "the cut" calls (fun call -> call.Name = "ftruncate")

    let isSync (call: Call) =
        call.Name = "fsync" && argument call = argument calls[cut]

    Expect.exists (List.skip cut calls) isSync "the new length is durable"

/// A file system without O_TMPFILE: the name itself is made, and only if there is nothing of that name.
let private withoutTemporaries directory =
    let isTemporary (call: Call) =
        call.Name = "openat" && call.Text.Contains "O_TMPFILE"

    // The runtime's own calls before it can be one more or less: then another one is struck.
    let attempt () =
        let _, calls = callsOf "traced" [] directory
        File.Delete(Path.Combine(directory, "f"))
        let inject = injection (List.find isTemporary calls) "error=EOPNOTSUPP"
        let outcome, calls = callsOf "traced" inject directory
        File.Delete(Path.Combine(directory, "f"))
        outcome, calls

    let outcome, calls =
        Seq.init 5 (fun _ -> attempt ())
        |> Seq.find (fun (_, calls) -> calls |> List.exists (fun call -> isTemporary call && call.IsInjected))

    Expect.stringContains outcome.Output "disposed" "it is made all the same"

    let made =
        calls
        |> List.find (fun call -> call.Name = "openat" && call.Text.Contains "O_CREAT")

    Expect.stringContains made.Text "O_EXCL" "never over another"
    Expect.stringContains made.Text "O_NOFOLLOW" "nor through a link"
    Expect.isFalse (calls |> List.exists (fun call -> call.Name = "linkat")) "it has its name"

/// A file system that reserves nothing: zeros are written, and a write that is cut short is gone on with behind what it wrote.
let private writesOn directory =
    let path = Path.Combine(directory, "f")
    let inject how = [ "-e"; $"inject={how}" ]

    let outcome =
        strace
            "create"
            (Path.Combine(directory, "log"))
            (inject "fallocate:error=EOPNOTSUPP" @ inject "pwrite64:retval=1000:when=1")
            path

    Expect.equal outcome.ExitCode 0 outcome.Error

    let calls =
        File.ReadAllLines(Path.Combine(directory, "log"))
        |> Array.filter _.Contains("pwrite64(")

    let text = String.Join('\n', calls)
    Expect.hasLength calls 2 text
    Expect.stringContains calls[0] "(INJECTED)" text
    Expect.isTrue (Regex.IsMatch(calls[1], @", (\d+), 1000\) += \1$")) text

let private leavesNoMapping directory =
    let path = Path.Combine(directory, "f")
    File.WriteAllBytes(path, Array.zeroCreate 8192)
    use probe = PmemMapping.CreateTemporary(directory, 4096L)

    if probe.IsPmem then
        skiptest "here every granularity is to be had"

    let required = StoreGranularity.CacheLine
    let opening = PmemOpenOptions(RequiredGranularity = required)
    let making = PmemCreateOptions(RequiredGranularity = required)
    Expect.throwsT<PmemException> (fun () -> PmemMapping.Open(path, opening).Dispose()) "refused"
    Expect.throwsT<PmemException> (fun () -> PmemMapping.Create(path, 9000L, making).Dispose()) "refused"
    let mapped = File.ReadLines "/proc/self/maps" |> Seq.filter _.Contains(path)
    Expect.isEmpty mapped "what is refused is unmapped"

let tests =
    testSequenced
    <| testList
        "system calls"
        [
            for name, test in
                [
                    "a new file is durable before its name, and its name before it is used", createsDurably
                    "a cut is made durable", cutsDurably
                    "without O_TMPFILE a name is made exclusively", withoutTemporaries
                    "a write that is cut short is gone on with", writesOn
                ] do
                Harness.needing "strace" isThere name (fun () -> Harness.inDirectory test)
            testCase "a refused mapping is unmapped" (fun () -> Harness.inDirectory leavesNoMapping)
        ]
