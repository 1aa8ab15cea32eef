module Pmem.Tests.LibPmemTests

open System
open System.IO
open System.Runtime.InteropServices
open System.Text.RegularExpressions
open System.Threading
open FSharp.NativeInterop
open Expecto
open Pmem
open Pmem.Testing
open Pmem.Tests.Generators

let private mapWith path length flags =
    let mutable mapped = 0un
    let mutable isPmem = false
    let address = LibPmem.MapFile(path, length, flags, 0o600, &mapped, &isPmem)
    struct (address, mapped, isPmem)

let private isNull (address: nativeptr<byte>) = NativePtr.toNativeInt address = 0n

let private fails flags length path (words: string list) errno =
    let struct (address, mapped, _) = mapWith path length flags
    let found = Marshal.GetLastPInvokeError()
    Expect.isTrue (isNull address && mapped = 0un) $"{path} {flags}"

    for word in words do
        Expect.stringContains (LibPmem.ErrorMessage()) word "message"

    Expect.equal found errno "errno"

let private unmap (address: nativeptr<byte>) length =
    Expect.equal (LibPmem.Unmap(address, length)) 0 "unmap"

let private span (address: nativeptr<byte>) length =
    Span<byte>(NativePtr.toVoidPtr address, length)

/// Crosswise: our mapping of their file, their mapping of ours.
let private readsWhatTheOtherWrote theirPath ourPath =
    let mutable mapped = 0un
    let mutable isPmem = 0
    use crossed = PmemMapping.Open(theirPath: string)
    let back = NativeLibPmem.MapFile(ourPath, 0un, 0, 0u, &mapped, &isPmem)

    let isSame =
        crossed.ReadOnlySpan.SequenceEqual(Span.op_Implicit (span back (int mapped)))

    NativeLibPmem.Unmap(back, mapped) |> ignore
    isSame

/// One file, written through libpmem and through us in the same way, ends the same; each reads what the other wrote.
let private agreesWithLibpmem (writes: ByteRange list) =
    let mutable agrees = true

    Harness.inDirectory (fun directory ->
        let length = unativeint SpaceBytes

        let theirPath, ourPath =
            Path.Combine(directory, "theirs"), Path.Combine(directory, "ours")

        let mutable mapped = 0un
        let mutable isPmem = 0
        let theirs = NativeLibPmem.MapFile(theirPath, length, 1, 0o600u, &mapped, &isPmem)

        let struct (ours, ourMapped, ourIsPmem) =
            mapWith ourPath length PmemFileModes.Create

        agrees <-
            agrees
            && mapped = ourMapped
            && (isPmem <> 0) = ourIsPmem
            && (NativeLibPmem.IsPmem(theirs, length) <> 0) = LibPmem.IsPmem(NativePtr.toVoidPtr ours, length)

        for range in writes do
            let offset, bytes = int range.Offset, int range.Length
            (span theirs (int length)).Slice(offset, bytes).Fill(byte offset)
            (span ours (int length)).Slice(offset, bytes).Fill(byte offset)
            let their = NativePtr.add theirs offset
            let our = NativePtr.toVoidPtr (NativePtr.add ours offset)

            agrees <-
                agrees
                && NativeLibPmem.Msync(their, unativeint bytes) = LibPmem.Msync(our, unativeint bytes)

            NativeLibPmem.Persist(their, unativeint bytes)
            LibPmem.Persist(our, unativeint bytes)

        agrees <- agrees && NativeLibPmem.Unmap(theirs, mapped) = LibPmem.Unmap(ours, ourMapped)

        agrees <-
            agrees
            && File.ReadAllBytes(theirPath).AsSpan().SequenceEqual(ReadOnlySpan(File.ReadAllBytes ourPath))

        agrees <- agrees && readsWhatTheOtherWrote theirPath ourPath)

    agrees

let private msync = Regex @"msync\(0x([0-9a-f]+), (\d+), (\w+)\)"

/// What bytes are in a file says nothing of what was synced: that only the system calls show.
let private syncsAsLibpmem directory =
    let log = Path.Combine(directory, "log")

    let outcome =
        Strace.straceOf "msync,write" "libpmem-both" log [] (Path.Combine(directory, "f"))

    Expect.equal outcome.ExitCode 0 outcome.Error
    let addresses = outcome.Output.Trim().Split ' ' |> Array.map int64

    let pagesOf i (call: Strace.Call) =
        let parts = (msync.Match call.Text).Groups
        let offset = Convert.ToInt64(parts[1].Value, 16) - addresses[i % 2]
        // libpmem leaves the rounding of the end to the kernel.
        ByteRange(offset, (int64 parts[2].Value + 4095L) / 4096L * 4096L), parts[3].Value

    let calls = List.mapi pagesOf (Strace.window log)
    Expect.hasLength calls 16 "one call of each for each of eight ranges; a persist makes none"

    for both in List.chunkBySize 2 calls do
        Expect.equal both[1] both[0] "the same pages as libpmem, and waited for as there"

let private withLibPmem =
    Harness.needing "libpmem.so.1" (fun () -> NativeLibPmem.IsThere)

let tests =
    testList
        "libpmem functions"
        [
            Harness.needing
                "strace or libpmem.so.1"
                (fun () -> Strace.isThere () && NativeLibPmem.IsThere)
                "sync the pages that libpmem syncs"
                (fun () -> Harness.inDirectory syncsAsLibpmem)

            withLibPmem "answer as libpmem does" (fun () ->
                Expect.equal (NativeLibPmem.HasAutoFlush()) (if LibPmem.HasAutoFlush() then 1 else 0) "auto flush"
                Expect.equal (NativeLibPmem.HasHwDrain()) (if LibPmem.HasHwDrain() then 1 else 0) "hardware drain")

            if NativeLibPmem.IsThere then
                Harness.propertyOf
                    (Harness.cases 20 300)
                    "write the same files as libpmem"
                    arbitraries
                    agreesWithLibpmem
            else
                withLibPmem "write the same files as libpmem" ignore

            testCase "map, flush, drain and unmap"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let path = Path.Combine(directory, "f")

                    let struct (address, mapped, isPmem) =
                        mapWith path 10_000un (PmemFileModes.Create ||| PmemFileModes.Sparse)

                    Expect.equal mapped 10_000un "length"
                    (span address 10_000)[9_999] <- 5uy
                    let pointer = NativePtr.toVoidPtr address
                    LibPmem.Flush(pointer, 10_000un)
                    LibPmem.Drain()
                    LibPmem.DeepFlush(pointer, 1un)
                    Expect.equal (LibPmem.DeepDrain(pointer, 1un)) 0 "deep drain"
                    Expect.equal (LibPmem.DeepPersist(pointer, 10_000un)) 0 "deep persist"
                    Expect.equal (LibPmem.DeepPersist(pointer, 0un)) 0 "deep persist of nothing"
                    Expect.equal (LibPmem.Msync(pointer, 10_000un)) 0 "msync"
                    Expect.equal (LibPmem.Msync(pointer, 0un)) 0 "msync of nothing"
                    Expect.equal (LibPmem.IsPmem(pointer, 10_000un)) isPmem "is-pmem"
                    unmap address mapped
                    Expect.equal ((Harness.bytesOf path)[9_999]) 5uy "in the file")

            Harness.onLinux "a temporary file has no name"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let struct (address, mapped, _) =
                        mapWith directory 4096un (PmemFileModes.Create ||| PmemFileModes.Temporary)

                    Expect.isFalse (isNull address) (LibPmem.ErrorMessage())
                    Expect.isEmpty (Directory.EnumerateFileSystemEntries directory) "no name"
                    unmap address mapped)

            testCase "errors have a message and an errno"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let path = Path.Combine(directory, "f")
                    fails PmemFileModes.None 0un path [ path; Harness.here "ENOENT" "ERROR_FILE_NOT_FOUND" ] 2
                    fails PmemFileModes.None 4096un path [ "length" ] 22
                    fails PmemFileModes.Create 0un path [ "at least 1" ] 22
                    fails PmemFileModes.Temporary 4096un directory [ "Create" ] 22
                    fails (enum<PmemFileModes> 64) 4096un path [ "64" ] 22
                    File.WriteAllBytes(path, [| 1uy |])
                    let taken = Harness.here "EEXIST" "ERROR_FILE_EXISTS"
                    fails (PmemFileModes.Create ||| PmemFileModes.Exclusive) 4096un path [ taken ] 17
                    let noFile = Harness.here "/dev/null" directory
                    fails PmemFileModes.None 0un noFile [ noFile ] 22)

            testCase "the message is the thread's own"
            <| fun () ->
                fails PmemFileModes.None 0un "/no/such/file" [ "/no/such/file" ] 2
                let mutable other = "?"
                let thread = Thread(fun () -> other <- LibPmem.ErrorMessage())
                thread.Start()
                thread.Join()
                Expect.equal other "" "another thread"
                Expect.stringContains (LibPmem.ErrorMessage()) "/no/such/file" "this thread"

            testCase "msync of memory that is not mapped fails with its errno"
            <| fun () ->
                // The highest addresses that a process can have on x86-64; nothing is ever mapped there.
                let nowhere = NativePtr.toVoidPtr (NativePtr.ofNativeInt<byte> 0x7ffffffe0000n)
                Expect.equal (LibPmem.Msync(nowhere, 8192un)) -1 "result"
                Expect.equal (Marshal.GetLastPInvokeError()) 12 "ENOMEM"
                let name = Harness.here "ENOMEM" "ERROR_INVALID_ADDRESS"
                Expect.stringContains (LibPmem.ErrorMessage()) name "message"

            testCase "versions as libpmem counts them"
            <| fun () ->
                Expect.isNull (LibPmem.CheckVersion(1u, 0u)) "1.0"
                Expect.isNull (LibPmem.CheckVersion(1u, 1u)) "1.1"
                Expect.isNotNull (LibPmem.CheckVersion(1u, 2u)) "1.2"
                Expect.isNotNull (LibPmem.CheckVersion(2u, 0u)) "2.0"
        ]
