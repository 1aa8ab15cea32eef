/// LibPmem as what a C program would put in libpmem's place: its error numbers, flags and odd corners.
module Pmem.Tests.DropInTests

open System
open System.IO
open System.Runtime.InteropServices
open FSharp.NativeInterop
open Expecto
open Pmem
open Pmem.Linux
open Pmem.Testing

#nowarn "9"

let private mapFile (path: string) length flags =
    let mutable mapped = 0un
    let mutable isPmem = false
    let address = LibPmem.MapFile(path, length, flags, 0o600, &mapped, &isPmem)
    struct (address, mapped)

let private fails (path: string) length flags errno =
    let struct (address, _) = mapFile path length flags
    let found = Marshal.GetLastPInvokeError()
    Expect.equal (NativePtr.toNativeInt address) 0n $"{path} {flags}"
    Expect.equal found errno (LibPmem.ErrorMessage())

let private unmap address length =
    Expect.equal (LibPmem.Unmap(address, length)) 0 "unmap"

let private errnos =
    [
        testCase "what open(2) says of a directory, an empty path and a loop"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let both = PmemFileModes.Create ||| PmemFileModes.Exclusive
                fails directory 0un PmemFileModes.None 21
                fails directory 4096un PmemFileModes.Create 21
                fails directory 4096un both 17
                fails "" 0un PmemFileModes.None 2
                let loop = Path.Combine(directory, "loop")
                File.CreateSymbolicLink(loop, "loop") |> ignore
                fails loop 0un PmemFileModes.None 40)

        Harness.needing
            "root and chattr on the file system of the tests"
            (fun () -> Child.isRoot () && Child.hasCommand "chattr")
            "an immutable and an append-only file are EPERM, not EACCES"
            (fun () ->
                Harness.inDirectory (fun directory ->
                    let path = Path.Combine(directory, "f")
                    File.WriteAllBytes(path, [| 1uy |])
                    let chattr flag = Child.command "chattr" [ flag; path ]

                    // A file system of the tests without these attributes, tmpfs for instance.
                    if (chattr "+i").ExitCode <> 0 then
                        skiptest "chattr does nothing here"

                    chattr "-i" |> ignore

                    for set, clear in [ "+i", "-i"; "+a", "-a" ] do
                        try
                            Expect.equal (chattr set).ExitCode 0 set
                            fails path 0un PmemFileModes.None 1
                        finally
                            chattr clear |> ignore))

        testCase "an existing file is given the length, longer or shorter, whatever is mapped"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let path = Path.Combine(directory, "f")
                let struct (first, firstLength) = mapFile path 9000un PmemFileModes.Create
                let struct (second, secondLength) = mapFile path 4096un PmemFileModes.Create
                Expect.equal (FileInfo(path).Length, secondLength) (4096L, 4096un) "cut"
                unmap first firstLength
                unmap second secondLength)
    ]

/// A file on persistent memory, in a region whose caches are flushed, at this address; there is other memory beside it.
let private inFlushedRegion address lengthBytes platform =
    let facts =
        {
            Path = "f"
            FileRange = ByteRange(0L, lengthBytes)
            Kind = MappingKind.FileDax
            IsReadOnly = false
            PersistenceDomain = PlatformFacts.FlushedDomain
            Platform = platform
        }

    match MappingInfo.Decide facts with
    | Ok info -> MappedFile(address, info, DeviceNumber())
    | Error refusal -> failwith (string refusal)

let private flushedRegion () =
    use memory = new GuardedMemory(8192)

    let platform =
        match
            Platform.Decide
                { (Platform.X64 Clwb).Facts with
                    PersistenceDomains = [| PlatformFacts.FlushedDomain |]
                }
        with
        | Ok platform -> platform
        | Error refusal -> failwith (string refusal)

    let machine = RecordingMachine(platform, BaseAddress = memory.Address)
    RangeTracker.Add(inFlushedRegion memory.Address 4096L platform)
    LibPmem.ExecuteOn machine.ForLibPmem

    try
        let at (offset: int) =
            NativePtr.toVoidPtr (NativePtr.ofNativeInt<byte>(memory.Address + nativeint offset))

        let isWrittenBack (call: unit -> unit) =
            call ()
            machine.Take() |> Seq.exists _.IsWriteBack

        for name, call in
            [
                "set", (fun offset -> LibPmem.MemSetPersist(at offset, 1, 40un) |> ignore)
                "copy", (fun offset -> LibPmem.MemCpyPersist(at offset, at (offset + 512), 40un) |> ignore)
                "move", (fun offset -> LibPmem.MemMoveNoDrain(at offset, at (offset + 8), 40un) |> ignore)
                "flush", (fun offset -> LibPmem.Flush(at offset, 40un))
            ] do
            Expect.isFalse (isWrittenBack (fun () -> call 64)) $"{name}, in the region"
            Expect.isTrue (isWrittenBack (fun () -> call 4160)) $"{name}, in memory of no region"
            Expect.isTrue (isWrittenBack (fun () -> call 4080)) $"{name}, in part of no region"
    finally
        LibPmem.ExecuteOn null
        RangeTracker.Remove(memory.Address, 8192n) |> ignore

/// Three pages, of which a mapping has the middle one: three syncs, and the outer two fail.
let private firstOfSeveralErrors () =
    use memory = new GuardedMemory(3 * 4096)
    let asked = Collections.Generic.List<nativeint>()

    let pages =
        { new IPageSync with
            member _.Sync(start, _) =
                asked.Add(start - memory.Address)

                match start - memory.Address with
                | 0n -> 5
                | 8192n -> 28
                | _ -> 0
        }

    let platform = Platform.X64 Clwb
    let machine = RecordingMachine(platform, BaseAddress = memory.Address)
    LibPmem.ExecuteOn(LibPmemMachine<RecordedLines>(platform, machine.Lines, pages))
    let info = (inFlushedRegion memory.Address 4096L platform).Info

    let cached =
        { info.Facts with Kind = MappingKind.PageCache; PersistenceDomain = "" }

    match MappingInfo.Decide cached with
    | Ok info -> RangeTracker.Add(MappedFile(memory.Address + 4096n, info, DeviceNumber()))
    | Error refusal -> failwith (string refusal)

    try
        let all = NativePtr.toVoidPtr (NativePtr.ofNativeInt<byte> memory.Address)

        let failsWithFirst name call expected =
            asked.Clear()
            Expect.equal (call ()) -1 name
            Expect.equal (Marshal.GetLastPInvokeError()) 5 $"{name}: EIO, which came first"
            Expect.equal (List.ofSeq asked) expected $"{name}: pages"

        failsWithFirst "msync" (fun () -> LibPmem.Msync(all, 12288un)) [ 0n; 4096n; 8192n ]
        failsWithFirst "deep drain" (fun () -> LibPmem.DeepDrain(all, 12288un)) [ 0n ]
    finally
        LibPmem.ExecuteOn null
        RangeTracker.Remove(memory.Address, 12288n) |> ignore

let private corners =
    [
        testCase "of several errors the first is told" firstOfSeveralErrors

        testCase
            "in a region whose caches are flushed, copies and flushes write nothing back, elsewhere they do"
            flushedRegion

        testCase "no byte is never persistent memory, forced or not"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                for force in [ "0"; "1" ] do
                    let outcome =
                        Child.run "is-pmem" [ Path.Combine(directory, "f") ] [ "PMEM_IS_PMEM_FORCE", force ]

                    let expected = if force = "1" then "True False" else "False False"
                    Expect.equal (outcome.Output.Trim()) expected $"one byte, no byte, forced: {force}")

        testCase "a version that is not to be had is the message as well"
        <| fun () ->
            fails "/no/such/file" 0un PmemFileModes.None 2
            let reason = LibPmem.CheckVersion(9u, 0u)
            Expect.stringContains (nonNull reason) "major version mismatch" "reason"
            Expect.equal (LibPmem.ErrorMessage()) (nonNull reason) "message"
            let reason = LibPmem.CheckVersion(1u, 9u)
            Expect.equal (LibPmem.ErrorMessage()) (nonNull reason) "minor"

        testCase "an unmap that fails forgets nothing"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let struct (address, length) =
                    mapFile (Path.Combine(directory, "f")) 8192un PmemFileModes.Create

                let start = NativePtr.toNativeInt address
                Expect.equal (LibPmem.Unmap(NativePtr.ofNativeInt (start + 1n), 4096un)) -1 "not a page"
                Expect.equal (Marshal.GetLastPInvokeError()) 22 "EINVAL"
                Expect.isNotNull (RangeTracker.FileOf(start, 8192n)) "still tracked"
                unmap (NativePtr.ofNativeInt (start + 4096n)) 4096un
                Expect.isNotNull (RangeTracker.FileOf(start, 4096n)) "the part that is mapped"
                Expect.isNull (RangeTracker.FileOf(start + 4096n, 1n)) "the part that is not"
                unmap address 4096un
                Expect.isNull (RangeTracker.FileOf(start, 1n)) "nothing")

        testCase "a new mapping drops what was tracked of its addresses"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let struct (address, _) =
                    mapFile (Path.Combine(directory, "f")) 8192un PmemFileModes.Create

                let start = NativePtr.toNativeInt address
                let file = RangeTracker.FileOf(start, 8192n) |> nonNull
                let other = MappedFile(start + 4096n, file.Info, DeviceNumber())
                RangeTracker.Add other
                Expect.isTrue (obj.ReferenceEquals(RangeTracker.FileOf(start, 4096n), file)) "before it"
                Expect.isTrue (obj.ReferenceEquals(RangeTracker.FileOf(start + 4096n, 8192n), other)) "its own"
                RangeTracker.Remove(start, 3n * 4096n) |> ignore
                SysMman.Unmap(start, 8192un) |> ignore)
    ]

let tests =
    testList "drop-in" [ testList "error numbers" errnos; testList "corners" corners ]
