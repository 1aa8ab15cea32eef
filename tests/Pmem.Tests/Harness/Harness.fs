/// What every test rests on: the seed, the number of cases, where files go, and what a missing part of a machine means.
module Pmem.Tests.Harness

open System
open System.IO
open System.Threading
open Expecto
open FSharp.NativeInterop
open FsCheck
open Pmem

#nowarn "9" // addresses

let private variable name =
    match Environment.GetEnvironmentVariable name with
    | null
    | "" -> None
    | value -> Some value

/// Half the cases of every property, the same ones in every run.
let fixedSeed = 20260UL

/// The other half is new in every run, which prints it; PMEM_TESTS_SEED repeats one.
let freshSeed =
    variable "PMEM_TESTS_SEED"
    |> Option.map UInt64.Parse
    |> Option.defaultWith (fun () -> uint64 (Random.Shared.NextInt64(1L, 1_000_000_000L)))

/// A seed as FsCheck has it: two numbers, the second of them odd.
let replayOf (seed: uint64) : Replay =
    { Rnd = Rnd(seed, 2UL * seed + 1UL); Size = None }

/// CI runs more cases and skips nothing.
let isCi = variable "PMEM_TESTS_REQUIRE_ALL" = Some "1"

/// On a machine that is emulated, and so fifty times slower, the properties are tried on few cases.
let isEmulated = variable "PMEM_TESTS_EMULATED" = Some "1"

/// The processor alone is emulated, by a program that the tests' children are to be started with as well.
let isEmulator = (variable "PMEM_TESTS_LAUNCHER").IsSome

/// The number of cases: the first on a developer's machine, the second in CI; PMEM_TESTS_CASES says another.
let cases atHome inCi =
    match variable "PMEM_TESTS_CASES" with
    | Some count -> int count
    | None when isEmulated -> min 20 atHome
    | None -> if isCi then inCi else atHome

/// PMEM_TESTS_ONLY names the lists to run, as in "mapping,power_cut". A name that there is not is an error.
let chosen (lists: Test list) =
    let rec nameOf list =
        match list with
        | TestLabel(name, _, _) -> name
        | Test.Sequenced(_, list) -> nameOf list
        | _ -> ""

    let choose (names: string[]) =
        for name in names do
            if not (List.exists (fun list -> nameOf list = name) lists) then
                failwith $"PMEM_TESTS_ONLY: there is no list '{name}'"

        lists |> List.filter (fun list -> Array.contains (nameOf list) names)

    match variable "PMEM_TESTS_ONLY" with
    | None -> lists
    | Some names -> choose (names.Replace('_', ' ').Split ',')

/// Where the tests make their files. PMEM_TESTS_DIRECTORY chooses a directory on DAX, for instance.
let directory =
    variable "PMEM_TESTS_DIRECTORY" |> Option.defaultWith Path.GetTempPath

/// Runs a test in a directory of its own, which is removed afterwards.
let inDirectory (test: string -> unit) =
    let path = Path.Combine(directory, $"pmem-{Guid.NewGuid():N}")
    Directory.CreateDirectory path |> ignore

    try
        test path
    finally
        Directory.Delete(path, true)

/// The middle of so much that nothing is mapped in: what other threads map meanwhile comes to lie at its ends.
let private free =
    lazy
        (use all = AddressReservation.Create(16L <<< 30)
         NativePtr.toNativeInt all.Pointer + (8n <<< 30))

let mutable private places = 0

/// An address that is free, and stays so, as is what lies around it: another one at each call. Whatever was unmapped just now, by contrast,
/// is where the system puts the next mapping of any thread.
let freeAddress () : nativeptr<byte> =
    NativePtr.ofNativeInt (free.Value + nativeint (Interlocked.Increment &places) * (16n <<< 20))

/// A property tried from two seeds: on cases that are always the same, and on new ones.
let private fromBoth name (triedFrom: Replay -> string -> Test) =
    testList
        name
        [
            triedFrom (replayOf fixedSeed) "the same cases"
            triedFrom (replayOf freshSeed) $"new cases (PMEM_TESTS_SEED={freshSeed})"
        ]

/// A property with these arbitraries, tried on this many cases.
let propertyOf count name (arbitraries: Type list) property =
    fromBoth name (fun from label ->
        let config =
            { FsCheckConfig.defaultConfig with
                maxTest = (count + 1) / 2
                replay = Some(from.Rnd.Seed, from.Rnd.Gamma, None)
                arbitrary = arbitraries
            }

        testPropertyWithConfig config label property)

/// The same of a property that has its generators with it.
let holds (config: Config) name (property: 'property) =
    fromBoth name (fun from label ->
        testCase label (fun () ->
            Check.One(config.WithMaxTest((config.MaxTest + 1) / 2).WithReplay(Some from), property)))

/// One of the package's laws, for something of ours.
let law name (law: Property) = propertyOf (cases 300 3000) name [] law

/// Whether a thread comes to wait, rather than to its end. Once is not enough: on its way it may wait for a moment for others.
let comesToWait (thread: Thread) =
    let mutable looks = 0

    while looks < 20 && thread.IsAlive do
        if thread.ThreadState.HasFlag ThreadState.WaitSleepJoin then
            looks <- looks + 1

        Thread.Sleep 1

    thread.IsAlive

/// Holds that an action does little work, counted in megabytes that it allocates, as below.
let isCheap (megabytes: int64) (action: unit -> unit) =
    let before = GC.GetAllocatedBytesForCurrentThread()
    action ()
    let allocated = (GC.GetAllocatedBytesForCurrentThread() - before) >>> 20

    if allocated > megabytes then
        failtestf "it allocates %d MiB, not at most %d" allocated megabytes

/// Holds that an action on 2n things does at most 2.5 times the work of one on n things. The work is counted in bytes that it
/// allocates: what copies everything for each thing more allocates four times as much, and no other process disturbs it.
let isLinear n (action: int -> unit) =
    let allocatedBytes n =
        let before = GC.GetAllocatedBytesForCurrentThread()
        action n
        GC.GetAllocatedBytesForCurrentThread() - before

    action 1
    let one, two = allocatedBytes n, allocatedBytes (2 * n)

    if float two > 2.5 * float one then
        failtestf "%d things take %d bytes, %d take %d" n one (2 * n) two

/// A test that needs a part that a machine may lack. Where it lacks, the test is skipped with a line that says so, and
/// fails where nothing may be skipped.
let needing part isThere name (test: unit -> unit) =
    testCase name (fun () ->
        if isThere () then test ()
        elif isCi then failtestf "%s is required here, and is missing" part
        else skiptestf "%s is missing" part)

/// A test that is about Linux itself. Elsewhere it is skipped with a line that says so.
let onLinux name (test: unit -> unit) =
    if OperatingSystem.IsLinux() then
        testCase name test
    else
        testCase name (fun () -> skiptest "Linux is missing")

/// What is so on Linux, and so on Windows: the name of an error, for instance.
let here onLinux onWindows =
    if OperatingSystem.IsWindows() then onWindows else onLinux

/// What is in a file, also while somebody has it open to write.
let bytesOf (path: string) =
    let shared = FileShare.ReadWrite ||| FileShare.Delete
    use file = new FileStream(path, FileMode.Open, FileAccess.Read, shared)
    let bytes = Array.zeroCreate<byte>(int file.Length)
    file.ReadExactly(Span bytes)
    bytes

/// A file open to read and write, for whoever else has it open as well.
let openShared (path: string) =
    File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite ||| FileShare.Delete)

/// Gives a file that others may have open another length.
let setLength (path: string) (length: int64) =
    use file = openShared path
    RandomAccess.SetLength(file, length)

/// What offsets of files are multiples of, in bytes.
let granule = here 4096 65536
