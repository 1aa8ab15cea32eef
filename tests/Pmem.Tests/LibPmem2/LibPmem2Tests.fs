/// LibPmem2 beside Debian's libpmem2.
module Pmem.Tests.LibPmem2Tests

open System
open System.IO
open Expecto
open Pmem
open Pmem.Testing

let private content length =
    Array.init length (fun i -> byte (i * 7 + i / 256))

/// No thread of the runtime maps either: none that compiles or collects in the background.
let private alone =
    [
        "DOTNET_TieredCompilation", "0"
        "DOTNET_gcConcurrent", "0"
        "DOTNET_EnableWriteXorExecute", "0"
    ]

let private sameOutcome (seed: uint64) () =
    let count = (Harness.cases 60 600 + 1) / 2

    let outcome =
        Child.run "libpmem2-calls" [ string count ] (("PMEM_TESTS_SEED", string seed) :: alone)

    Expect.equal outcome.ExitCode 0 $"PMEM_TESTS_SEED={seed}\n{outcome.Output}{outcome.Error}"

let private badDescriptors () =
    Harness.inDirectory (fun directory ->
        let path = Path.Combine(directory, "f")
        File.WriteAllBytes(path, content 5000)

        use writeOnly =
            File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite)

        use nowhere = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.ReadWrite)

        for descriptor in
            [
                -1
                9999
                int (writeOnly.DangerousGetHandle())
                int (nowhere.DangerousGetHandle())
            ] do
            let mutable their = 0n
            let mutable our: Pmem2Source | null = null
            let code = NativeLibPmem2.SourceFromFd(&their, descriptor)
            Expect.notEqual code 0 "theirs"
            Expect.equal (LibPmem2.SourceFromFd(&our, descriptor)) code (LibPmem2.ErrorMsg()))

let private answers (their: nativeint) (our: Pmem2Source) =
    let mutable count, node, size, size2 = 0UL, 0, 0un, 0un
    let usc = NativeLibPmem2.SourceDeviceUsc(their, &count)
    Expect.equal (LibPmem2.SourceDeviceUsc(our, &count)) usc "unsafe shutdowns"
    let numa = NativeLibPmem2.SourceNumaNode(their, &node)
    Expect.equal (LibPmem2.SourceNumaNode(our, &node)) numa "node"
    Expect.equal (LibPmem2.SourceSize(our, &size)) (NativeLibPmem2.SourceSize(their, &size2)) "size"
    Expect.equal size size2 "size"
    Expect.equal (LibPmem2.SourceAlignment(our, &size)) (NativeLibPmem2.SourceAlignment(their, &size2)) "alignment"
    Expect.equal size size2 "alignment"

let private sourcesAnswer () =
    Harness.inDirectory (fun directory ->
        let path = Path.Combine(directory, "f")
        File.WriteAllBytes(path, content 5000)

        use file =
            File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite)

        let descriptor = int (file.DangerousGetHandle())
        let mutable their = 0n
        let mutable our: Pmem2Source | null = null
        NativeLibPmem2.SourceFromFd(&their, descriptor) |> ignore
        LibPmem2.SourceFromFd(&our, descriptor) |> ignore
        answers their (nonNull our)
        NativeLibPmem2.SourceFromAnon(&their, 4096un) |> ignore
        LibPmem2.SourceFromAnon(&our, 4096un) |> ignore
        answers their (nonNull our))

let private oracle name test =
    Harness.needing NativeLibPmem2.Library (fun () -> NativeLibPmem2.IsThere) name test

let tests =
    testList
        "libpmem2 functions"
        [
            oracle "random calls have libpmem2's outcome: the same cases" (sameOutcome Harness.fixedSeed)

            oracle
                $"random calls have libpmem2's outcome: new cases (PMEM_TESTS_SEED={Harness.freshSeed})"
                (sameOutcome Harness.freshSeed)

            oracle "descriptors that cannot be mapped have libpmem2's codes" badDescriptors
            oracle "sources answer as libpmem2's do" sourcesAnswer
        ]
