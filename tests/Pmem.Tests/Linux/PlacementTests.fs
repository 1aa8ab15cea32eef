/// Where a mapping is placed: PMEM_MMAP_HINT, huge pages, and what the tracker says of the addresses.
module Pmem.Tests.PlacementTests

open System
open System.IO
open Expecto
open Pmem
open Pmem.Linux

let private maps =
    [
        "10000000-10400000 r-xp 00000000 08:02 173521 /usr/bin/a"
        "10400000-10500000 rw-p 00000000 00:00 0"
        "10700000-10800000 rw-p 00000000 00:00 0"
        "20000000-20001000 rw-p 00000000 00:00 0"
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]"
    ]

let private first (hint: int64) (length: int64) (offset: int64) (alignment: int64) =
    let plan = MapPlan(ByteRange(offset, length), false, alignment, hint)
    int64 (AddressSpace.FirstUnused(maps, &plan))

let private page, huge = 4096L, 2L <<< 20

let private hints =
    [
        testCase "the first unused region at or above the hint"
        <| fun () ->
            Expect.equal (first 0x8000000L 4096L 0L page) 0x8000000L "unused"
            Expect.equal (first 0x10000000L 4096L 0L page) 0x10500000L "behind neighbours"
            Expect.equal (first 0x10100000L 0x200000L 0L page) 0x10500000L "a hole that just fits"
            Expect.equal (first 0x10100000L 0x200001L 0L page) 0x10800000L "a hole that is too small"
            Expect.equal (first 0x30000000L 4096L 0L page) 0x30000000L "behind all"

        testCase "rounded to what the mapping needs, as the file's offset lies in its huge page"
        <| fun () ->
            Expect.equal (first 0x8001000L huge 0L huge) 0x8200000L "up"
            Expect.equal (first 0x10000000L huge 0L huge) 0x10800000L "the hole at 0x10500000 has no aligned 2 MiB"
            Expect.equal (first 0x8000000L huge 0x3000L huge) 0x8003000L "offset"
            Expect.equal (first 0x8004000L huge 0x3000L huge) 0x8203000L "offset, next"

        testCase "in a process of its own: two mappings, one behind the other, and no randomness"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let run () =
                    (Child.run "two-addresses" [ Path.Combine(directory, "f") ] [ "PMEM_MMAP_HINT", "0x100000000000" ])
                        .Output.Trim()

                Expect.equal (run ()) "0x100000000000 0x100000400000" "2 MiB and 4 KiB, then the next"
                Expect.equal (run ()) (run ()) "always")
    ]

let private tracked (map: PmemMapping) =
    isNull (RangeTracker.FileOf(NativeInterop.NativePtr.toNativeInt map.Pointer, nativeint map.Length))
    |> not

let private tracking =
    [
        testCase "many mappings of one file are tracked, and forgotten"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let path = Path.Combine(directory, "f")
                let count, page = 2000, int64 Harness.granule
                (PmemMapping.Create(path, int64 count * page, PmemCreateOptions(Sparse = true))).Dispose()

                let all =
                    [
                        for i in 0 .. count - 1 ->
                            PmemMapping.Open(path, PmemOpenOptions(Offset = int64 i * page, Length = page))
                    ]

                Expect.all all tracked "tracked"

                let ends =
                    all |> List.map (fun map -> NativeInterop.NativePtr.toNativeInt map.Pointer)

                all
                |> List.iteri (fun i map ->
                    if i % 2 = 0 then
                        map.Dispose())

                let live =
                    ends
                    |> List.indexed
                    |> List.filter (fun (_, address) -> not (isNull (RangeTracker.FileOf(address, 1n))))

                Expect.equal
                    (live |> List.map fst |> List.filter (fun i -> i % 2 = 1)).Length
                    (count / 2)
                    "those that live"

                Expect.throwsT<PmemException>
                    (fun () -> (PmemMapping.Create(path, page, PmemCreateOptions(Truncate = true))).Dispose())
                    "still mapped"

                all |> List.iter _.Dispose()
                (PmemMapping.Create(path, page, PmemCreateOptions(Truncate = true))).Dispose())
    ]

/// This program again, with a group of its own by its file's permissions: then the kernel sets AT_SECURE (getauxval(3)).
let private withElevatedGroup test =
    Harness.inDirectory (fun directory ->
        for file in Directory.EnumerateFiles AppContext.BaseDirectory do
            File.CreateSymbolicLink(Path.Combine(directory, nonNull (Path.GetFileName file)), file)
            |> ignore

        let program = Path.Combine(directory, "Pmem.Tests")
        File.Delete program
        File.Copy(Path.Combine(AppContext.BaseDirectory, "Pmem.Tests"), program)
        Expect.equal (Child.command "chgrp" [ "65534"; program ]).ExitCode 0 "chgrp"
        File.SetUnixFileMode(program, File.GetUnixFileMode program ||| UnixFileMode.SetGroup)
        test program)

let private elevatedProcess () =
    let malformed = [ "PMEM_MOVNT_THRESHOLD", "many" ]
    let ordinary = Child.run "platform" [ "" ] malformed
    Expect.stringContains ordinary.Output "PMEM_MOVNT_THRESHOLD" "an ordinary process reads it"

    withElevatedGroup (fun program ->
        let outcome = Child.commandIn program [ "--child"; "platform"; "" ] malformed
        Expect.equal (outcome.Output.Trim()) "nothing" $"an elevated one does not; {outcome.Error}")

let private elevated =
    [
        Harness.needing
            "root and this program's own executable"
            (fun () ->
                Child.isRoot ()
                && not Harness.isEmulator
                && File.Exists(Path.Combine(AppContext.BaseDirectory, "Pmem.Tests")))
            "a set-group-ID process ignores PMEM_* (AT_SECURE)"
            elevatedProcess

        testCase "a process with elevated privileges does not do what its environment says"
        <| fun () ->
            let name = "PMEM_NO_MOVNT"
            let before = Environment.GetEnvironmentVariable name

            try
                Environment.SetEnvironmentVariable(name, "1")
                Expect.isTrue (PmemPlatform.Variables(false).ContainsKey name) "an ordinary one does"
                Expect.isEmpty (PmemPlatform.Variables true) "none"
            finally
                Environment.SetEnvironmentVariable(name, before)
    ]

let tests =
    testSequenced
    <| testList
        "placement"
        [
            testList "PMEM_MMAP_HINT" hints
            testList "tracking" tracking
            testList "environment" elevated
        ]
