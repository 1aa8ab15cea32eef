/// Sources before they are mapped, mappings of every kind, and copies that survive what is not there.
module Pmem.Tests.SourceTests

open System
open System.IO
open Expecto
open FSharp.NativeInterop
open Pmem
open Pmem.Linux
open Pmem.Testing
open Pmem.Tests.NvdimmTests

#nowarn "9" // addresses are given and taken

let private page = int64 Environment.SystemPageSize

let private tryRead (source: PmemSource) (buffer: byte[]) =
    let mutable error: PmemException | null = null
    source.TryRead(0L, Span buffer, &error) |> ignore

let private tryMap (map: PmemMapping) offset length =
    let mutable error: PmemException | null = null
    map.TryRead(offset, Span(Array.zeroCreate<byte> length), &error) |> ignore

let private sources =
    testCase "a path, a handle and memory are sources"
    <| fun () ->
        inFile 5000 (fun path ->
            use source = PmemSource.Open path

            Expect.equal
                (source.Length, source.Alignment, source.IsAnonymous)
                (5000L, int64 Harness.granule, false)
                "file"

            use map = source.Map()
            map.Write(0L, 99uy)
            let buffer = Array.zeroCreate<byte> 4
            let mutable error: PmemException | null = null
            Expect.isTrue (source.TryRead(0L, Span buffer, &error)) "read"
            Expect.equal buffer [| 99uy; 1uy; 2uy; 3uy |] "the same bytes"
            Expect.isTrue (source.TryWrite(4996L, ReadOnlySpan buffer, &error)) "write"
            Expect.equal (map.Read<byte> 4996L) 99uy "seen in the mapping"
            Expect.isFalse (source.TryWrite(4997L, ReadOnlySpan buffer, &error)) "beyond the end"

            Expect.equal
                (source.Length, (nonNull error).ErrorName)
                (5000L, Harness.here "EFAULT" "ERROR_NOACCESS")
                "not longer"

            use memory = PmemSource.Anonymous 10_000L
            use map = memory.Map()
            Expect.equal (map.Length, map.Info.IsVolatile, map.IsPmem) (10_000L, true, false) "anonymous"
            map.Write(9999L, 5uy)
            map.DeepPersist(0L, 10_000L)
            Expect.equal (map.Info.Facts.Kind, map.Read<byte> 0L) (Anonymous, 0uy) "zero at first"
            refused<PmemException> [ "no blocks" ] (fun () -> memory.FindBadBlocks() |> ignore)
            refused<PmemException> [ "regular file" ] (fun () -> tryRead memory buffer))

let private pipes =
    Harness.onLinux "a named pipe is no source"
    <| fun () ->
        inFile 1 (fun path ->
            refused<PmemException> [ "named pipe"; "only regular files" ] (fun () ->
                Posix.MakeFifo(path + "p")
                (PmemSource.Open(path + "p")).Dispose()))

/// What was opened to read only: each call that needs more says what is missing.
let private readOnly =
    testCase "a source that is open to read only is not stored to, with the reason"
    <| fun () ->
        inFile 5000 (fun path ->
            use source = PmemSource.Open(path, readOnly = true)
            let buffer = Array.zeroCreate<byte> 4
            let mutable error: PmemException | null = null
            Expect.isTrue (source.TryRead(0L, Span buffer, &error)) "read"
            Expect.isFalse (source.TryWrite(0L, ReadOnlySpan buffer, &error)) "write"
            Expect.stringContains (nonNull error).Message "open it to read and write" "advice"
            Expect.isFalse ((nonNull error).Message.Contains "shortened") "nobody did"

            refused<UnauthorizedAccessException>
                [ path; Harness.here "EACCES" "ERROR_ACCESS_DENIED"; "ReadOnly"; "Private" ]
                (fun () -> source.Map().Dispose())

            use map = source.Map(PmemOpenOptions(ReadOnly = true))
            Expect.equal (map.Read<byte> 2L) 2uy "read"
            use copy = source.Map(PmemOpenOptions(Private = true))
            copy.Write(0L, 5uy)
            Expect.equal ((Harness.bytesOf path)[0]) 0uy "the file")

/// A wrong range is no reason to lose a byte.
let private wrongRanges =
    testCase "what is not bad is not cleared, and a negative offset is nobody's"
    <| fun () ->
        inFile 5000 (fun path ->
            use source = PmemSource.Open path
            let before = Harness.bytesOf path

            for range in [ ByteRange(0L, 512L); ByteRange(0L, 4096L); ByteRange(4096L, 904L) ] do
                refused<ArgumentOutOfRangeException> [ path; "healthy" ] (fun () -> source.ClearBadBlocks range)

            source.ClearBadBlocks(ByteRange(0L, 0L))
            Expect.equal (Harness.bytesOf path) before "not a byte is lost"

            let copy (call: byte[] -> unit) =
                refused<ArgumentOutOfRangeException> [ "offset" ] (fun () -> call (Array.zeroCreate<byte> 4))

            copy (fun bytes ->
                let mutable error: PmemException | null = null
                source.TryRead(-1L, Span bytes, &error) |> ignore)

            copy (fun bytes ->
                let mutable error: PmemException | null = null
                source.TryWrite(-1L, ReadOnlySpan bytes, &error) |> ignore))

let private writeOnly =
    testCase "a descriptor that is open to write only is refused, with the reason"
    <| fun () ->
        inFile 5000 (fun path ->
            use file =
                File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite)

            refused<PmemException> [ "write only"; "mmap" ] (fun () -> (PmemSource.Open file).Dispose())
            refused<PmemException> [ "write only"; "mmap" ] (fun () -> (PmemMapping.Open file).Dispose())
            refused<PmemException> [ "write only"; "mmap" ] (fun () -> (PmemMapping.Create(file, 9000L)).Dispose())
            Expect.equal (FileInfo(path).Length) 5000L "as it was")

let private privateCopies =
    Harness.onLinux "a private copy never reaches the file, and says so"
    <| fun () ->
        inFile 5000 (fun path ->
            File.SetUnixFileMode(path, UnixFileMode.UserRead)

            use file =
                File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite)

            use map =
                PmemMapping.Open(file, PmemOpenOptions(Private = true, RequiredGranularity = StoreGranularity.Byte))

            map.Write(0L, 99uy)
            map.Persist(0L, map.Length)
            map.DeepPersist(0L, map.Length)
            map.Msync(0L, map.Length)
            Expect.equal (map.Read<byte> 0L, (Harness.bytesOf path)[0]) (99uy, 0uy) "only here"
            Expect.equal (map.Info.IsVolatile, map.IsPmem, map.Info.Facts.Kind) (true, false, PrivateCopy) "it says so"
            Expect.stringContains (string map) "nothing is made durable" "in words"

            refused<ArgumentException> [ "Private"; "ReserveLength" ] (fun () ->
                (PmemMapping.Open(path, PmemOpenOptions(Private = true, ReserveLength = 10_000L))).Dispose()))

let private protections =
    Harness.onLinux "protection: what may not be done is refused, and nothing faults"
    <| fun () ->
        inFile 5000 (fun path ->
            let opened protection =
                PmemMapping.Open(path, PmemOpenOptions(Protection = Nullable protection))

            using (opened PmemProtection.None) (fun map ->
                for call in
                    [
                        (fun () -> map.Read<byte> 0L |> ignore)
                        (fun () -> map.Write(0L, 1uy))
                        (fun () -> map.Ref<int> 0L |> ignore)
                        (fun () -> map.GetReadOnlySpan(0L, 5).Length |> ignore)
                        (fun () -> map.Persist(0L, 5L))
                    ] do
                    refused<InvalidOperationException> [ path ] call

                Expect.notEqual (NativePtr.toNativeInt map.Pointer) 0n "the address is taken")

            using (opened PmemProtection.Read) (fun map ->
                Expect.isTrue map.IsReadOnly "read-only"
                refused<InvalidOperationException> [ "read-only" ] (fun () -> map.Store(0L, 1uy)))

            // One byte of machine code, ret on x86-64: it runs where the pages may be executed.
            using (opened (PmemProtection.Read ||| PmemProtection.Write ||| PmemProtection.Execute)) (fun map ->
                let line = File.ReadLines "/proc/self/maps" |> Seq.find _.Contains(path)
                Expect.stringContains line "rwxs" "executable"
                map.Write(0L, 1uy))

            refused<ArgumentException> [ "ReadOnly"; "Protection" ] (fun () ->
                (PmemMapping.Open(path, PmemOpenOptions(ReadOnly = true, Protection = PmemProtection.Write)))
                    .Dispose()))

let private fixedAddresses =
    Harness.onLinux "a fixed address is had, or refused"
    <| fun () ->
        inFile 5000 (fun path ->
            let free = NativePtr.toNativeInt (Harness.freeAddress ())

            let at (address: nativeint) =
                PmemMapping.Open(path, PmemOpenOptions(Address = NativePtr.ofNativeInt address))

            use map = at free
            Expect.equal (NativePtr.toNativeInt map.Pointer) free "address"
            map.Persist(0L, map.Length)
            refused<PmemException> [ path; "something is mapped" ] (fun () -> (at (free + nativeint page)).Dispose())
            refused<PmemException> [ path; "no multiple of" ] (fun () -> (at (free + 100n)).Dispose())

            let behind =
                PmemMapping.Create(
                    path + "2",
                    4096L,
                    PmemCreateOptions(Address = NativePtr.ofNativeInt (free + 2n * nativeint page))
                )

            Expect.equal (NativePtr.toNativeInt behind.Pointer) (free + 2n * nativeint page) "address"
            behind.Dispose()

            use again =
                AddressReservation.Create(page, NativePtr.ofNativeInt (free + 2n * nativeint page))

            Expect.equal again.Length page "free again")

let private adopted =
    Harness.onLinux "memory of others is adopted, and stays theirs"
    <| fun () ->
        inFile 8192 (fun path ->
            let address =
                SysMman.MapAnonymous(unativeint (3L * page), SysMman.ProtRead ||| SysMman.ProtWrite)

            let pointer = NativePtr.ofNativeInt<byte> address

            for granularity in [ StoreGranularity.Byte; StoreGranularity.CacheLine; StoreGranularity.Page ] do
                use map = PmemMapping.Adopt(pointer, 3L * page, granularity)
                map.Write(5L, 77uy)
                map.DeepPersist(0L, map.Length)
                Expect.equal (map.Granularity, map.Info.Facts.Kind) (granularity, Adopted) "as said"

                Expect.isTrue
                    (LibPmem.IsPmem(NativePtr.toVoidPtr pointer, 5un) = (granularity <> StoreGranularity.Page))
                    "is-pmem"

                refused<PmemException> [ "another mapping" ] (fun () ->
                    (PmemMapping.Adopt(NativePtr.ofNativeInt (address + nativeint page), 5L, granularity)).Dispose())

            Expect.equal (NativePtr.read (NativePtr.add pointer 5)) 77uy "not unmapped"
            Expect.stringContains (Child.run "adopt-a-hole" [ path ] []).Output "not mapped" "a hole"
            use reserved = AddressReservation.Create page

            refused<PmemException> [ "may not be accessed" ] (fun () ->
                (PmemMapping.Adopt(reserved.Pointer, page, StoreGranularity.Byte)).Dispose())

            refused<ArgumentException> [ "beginning of a page" ] (fun () ->
                (PmemMapping.Adopt(NativePtr.add pointer 8, 5L, StoreGranularity.Byte)).Dispose())

            refused<ArgumentOutOfRangeException> [] (fun () ->
                (PmemMapping.Adopt(pointer, 0L, StoreGranularity.Byte)).Dispose())

            use map = PmemMapping.Open path

            refused<PmemException> [ "another mapping" ] (fun () ->
                (PmemMapping.Adopt(map.Pointer, 5L, StoreGranularity.Page)).Dispose())

            Posix.Unmap(address, unativeint (3L * page)))

let private survives =
    Harness.needing
        "process_vm_readv(2), which qemu-user and Windows lack,"
        (fun () -> OperatingSystem.IsLinux() && not Harness.isEmulator)
        "copies survive a file that somebody shortened"
    <| fun () ->
        inFile 20_000 (fun path ->
            use map = PmemMapping.Open path
            let buffer = Array.zeroCreate<byte> 8192
            let mutable error: PmemException | null = null
            Expect.isTrue (map.TryRead(4096L, Span buffer, &error)) "before"
            Expect.equal buffer (Array.init 8192 (fun i -> byte (i + 4096))) "bytes"
            Expect.isTrue (map.TryWrite(0L, ReadOnlySpan buffer, &error)) "before"
            Expect.equal (map.Read<byte> 1L) 1uy "stored"
            using (File.OpenWrite path) (fun file -> file.SetLength 5000L)
            Expect.isFalse (map.TryRead(4096L, Span buffer, &error)) "after"
            Expect.stringContains (nonNull error).Message path "which file"
            Expect.equal (nonNull error).ErrorName "EFAULT" "error"
            Expect.isFalse (map.TryWrite(8192L, ReadOnlySpan buffer, &error)) "after"
            Expect.equal (FileInfo(path).Length) 5000L "not longer"
            Expect.isTrue (map.TryRead(0L, Span(buffer, 0, 5000), &error)) "what is there"
            Expect.isTrue (map.TryRead(20_000L, Span.Empty, &error)) "nothing"

            refused<ArgumentOutOfRangeException> [] (fun () -> tryMap map 19_999L 2))

let private forced =
    testCase "PMEM2_FORCE_GRANULARITY is read at each mapping"
    <| fun () ->
        inFile 5000 (fun path ->
            let outcome value =
                (Child.run "describe" [ path ] [ "PMEM2_FORCE_GRANULARITY", value ])

            let line = outcome "cache_line"
            Expect.stringContains line.Output "cache line granularity" line.Error
            Expect.stringContains line.Output "PMEM2_FORCE_GRANULARITY" "why"
            Expect.stringContains (outcome "Byte").Output "byte granularity" "byte"
            Expect.stringContains (outcome "PAGE").Output "page granularity" "page"
            let bad = outcome "line"
            Expect.stringContains (bad.Output + bad.Error) "BYTE, CACHE_LINE or PAGE" "a value that it cannot have")

let tests =
    testList
        "sources"
        [
            sources
            pipes
            yield! NvdimmTests.tests
            readOnly
            wrongRanges
            writeOnly
            privateCopies
            protections
            fixedAddresses
            adopted
            survives
            forced
        ]
