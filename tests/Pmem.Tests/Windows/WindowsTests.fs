/// Files on Windows itself. On another system the list is not there.
module Pmem.Tests.WindowsTests

open System
open System.Diagnostics
open System.IO
open System.Runtime.InteropServices
open System.Threading
open Expecto
open FSharp.NativeInterop
open Pmem
open Pmem.Windows
open Pmem.Testing

#nowarn "9" // addresses are taken

let private inFile (bytes: int) test =
    Harness.inDirectory (fun directory ->
        let path = Path.Combine(directory, "f")
        File.WriteAllBytes(path, Array.init bytes byte)
        test directory path)

let private lengthOf (path: string) = FileInfo(path).Length

let private addressOf (map: PmemMapping) = NativePtr.toNativeInt map.Pointer

/// Under Wine who is root of the system beneath may write all the same.
let private isReadOnlyHonoured () =
    let mutable isRefused = false

    inFile 1 (fun _ path ->
        File.SetAttributes(path, FileAttributes.ReadOnly)

        try
            (Harness.openShared path).Dispose()
        with :? UnauthorizedAccessException ->
            isRefused <- true

        File.SetAttributes(path, FileAttributes.Normal))

    isRefused

let private opening =
    [
        testCase "what is persisted is there for other processes, and after it is opened again"
        <| fun () ->
            inFile 0 (fun _ path ->
                using (PmemMapping.Create(path, 300_000L)) (fun map ->
                    map.Span.Fill 7uy
                    map.Persist(0L, map.Length)
                    Expect.equal (Harness.bytesOf path) (Array.create 300_000 7uy) "while it is mapped"
                    Expect.equal (addressOf map % 65536n) 0n "where views begin")

                use map = PmemMapping.Open(path, PmemOpenOptions(Offset = 65536L, Length = 70_000L))
                Expect.equal (map.Length, map.Span[69_999]) (70_000L, 7uy) "a part"
                map.DeepPersist(0L, map.Length))

        testCase "a file that somebody has open and does not share"
        <| fun () ->
            inFile 10 (fun _ path ->
                use held =
                    File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None)

                let words = [ path; "ERROR_SHARING_VIOLATION"; "does not share" ]
                CreationTests.refuses<PmemException> words (fun () -> PmemMapping.Open path)
                CreationTests.refuses<PmemException> words (fun () -> PmemMapping.Create(path, 10L))

                CreationTests.refuses<PmemException> words (fun () ->
                    PmemMapping.Open(path, PmemOpenOptions(ReadOnly = true))))

        Harness.needing
            "a read-only attribute that root of Wine heeds"
            isReadOnlyHonoured
            "a file that is read-only is not opened to write"
        <| fun () ->
            inFile 10 (fun _ path ->
                File.SetAttributes(path, FileAttributes.ReadOnly)

                try
                    CreationTests.refuses<UnauthorizedAccessException>
                        [ path; "ERROR_ACCESS_DENIED"; "read-only" ]
                        (fun () -> PmemMapping.Open path)
                finally
                    File.SetAttributes(path, FileAttributes.Normal))

        testCase "a file that is read-only is read, and a handle that may only read maps nothing to write"
        <| fun () ->
            inFile 5000 (fun _ path ->
                File.SetAttributes(path, FileAttributes.ReadOnly)

                try
                    use file =
                        File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite)

                    CreationTests.refuses<UnauthorizedAccessException>
                        [ "ERROR_ACCESS_DENIED"; "read only"; "ReadOnly" ]
                        (fun () -> PmemMapping.Open file)

                    use map = PmemMapping.Open(path, PmemOpenOptions(ReadOnly = true, Prefault = true))
                    Expect.equal (map.ReadOnlySpan.Length, map.Read<byte> 2L) (5000, 2uy) "read"
                finally
                    File.SetAttributes(path, FileAttributes.Normal))

        testCase "a private copy never reaches the file"
        <| fun () ->
            inFile 5000 (fun _ path ->
                use file =
                    File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite)

                use map = PmemMapping.Open(file, PmemOpenOptions(Private = true))
                map.Write(0L, 99uy)
                map.DeepPersist(0L, map.Length)
                map.Msync(0L, map.Length)
                Expect.equal (map.Read<byte> 0L, (Harness.bytesOf path)[0]) (99uy, 0uy) "only here"
                Expect.equal map.Info.Facts.Kind PrivateCopy "it says so")

        testCase "protection: what may not be done is refused"
        <| fun () ->
            inFile 5000 (fun _ path ->
                let opened protection () =
                    PmemMapping.Open(path, PmemOpenOptions(Protection = Nullable protection))

                using (opened PmemProtection.None ()) (fun map ->
                    Expect.equal (TestMemory.RightsAt(addressOf map)) 1u "PAGE_NOACCESS"
                    Expect.throwsT<InvalidOperationException> (fun () -> map.Persist(0L, 1L)) "barred")

                CreationTests.refuses<ArgumentException> [ path; "Execute"; "Windows" ] (opened PmemProtection.Execute))

        testCase "paths that lead nowhere, and things that are no files"
        <| fun () ->
            inFile 10 (fun directory path ->
                let none = Path.Combine(directory, "none")
                let deep = Path.Combine(none, "f")

                CreationTests.refuses<FileNotFoundException> [ none; "ERROR_FILE_NOT_FOUND" ] (fun () ->
                    PmemMapping.Open none)

                let noDirectory =
                    CreationTests.refuses<DirectoryNotFoundException> [ none; "ERROR_PATH_NOT_FOUND" ]

                noDirectory (fun () -> PmemMapping.Open deep)
                noDirectory (fun () -> PmemMapping.Create(deep, 1L))
                noDirectory (fun () -> PmemMapping.CreateTemporary(none, 1L))
                CreationTests.refuses<PmemException> [ directory; "directory" ] (fun () -> PmemMapping.Open directory)

                CreationTests.refuses<PmemException> [ directory; "directory" ] (fun () ->
                    PmemMapping.Create(directory, 4096L))

                CreationTests.refuses<PmemException> [ "NUL"; "device" ] (fun () -> PmemMapping.Open "NUL")
                let mode = PmemCreateOptions(UnixFileMode = UnixFileMode.UserRead)

                CreationTests.refuses<ArgumentException> [ "UnixFileMode"; "Windows" ] (fun () ->
                    PmemMapping.Create(path, 10L, mode)))

        testCase "a path of more than 260 characters"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let deep = Path.Combine(directory, String('a', 150), String('b', 150))
                Directory.CreateDirectory deep |> ignore
                let path = Path.Combine(deep, "f")
                (PmemMapping.Create(path, 5000L)).Dispose()
                use map = PmemMapping.Open path
                Expect.equal map.Length 5000L "found again")
    ]

/// A directory that tests/windows/run made, and the part that is missing where it did not.
let private onVolume variable what name test =
    let place =
        Environment.GetEnvironmentVariable variable
        |> Option.ofObj
        |> Option.defaultValue ""

    Harness.needing $"{what} ({variable})" (fun () -> place <> "") name (fun () -> test place)

let private volumes =
    [
        onVolume "PMEM_TESTS_READ_ONLY" "a read-only volume" "a volume that is read-only" (fun place ->
            let path = Path.Combine(place, "f")
            // ERROR_WRITE_PROTECT of Windows is ERROR_ACCESS_DENIED of Wine 8.
            let words = [ path; "ERROR_"; "read-only"; "open with ReadOnly" ]
            CreationTests.refuses<exn> words (fun () -> PmemMapping.Open path)
            CreationTests.refuses<exn> words (fun () -> PmemMapping.Create(path, 4096L))
            use map = PmemMapping.Open(path, PmemOpenOptions(ReadOnly = true))
            Expect.equal map.Length 10L "may be read")

        onVolume "PMEM_TESTS_FULL" "a full volume" "a volume that is full" (fun place ->
            let path = Path.Combine(place, "new")
            let words = [ "ERROR_DISK_FULL"; "Free some space" ]
            CreationTests.refuses<PmemException> (path :: words) (fun () -> PmemMapping.Create(path, 4096L))
            CreationTests.refuses<PmemException> (place :: words) (fun () -> PmemMapping.CreateTemporary(place, 4096L))
            Expect.equal (Directory.GetFileSystemEntries place).Length 1 "nothing is left behind")
    ]

let private making =
    [
        testCase "a temporary file goes with its mapping"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                using (PmemMapping.CreateTemporary(directory, 5000L)) (fun map ->
                    map.Span.Fill 3uy
                    map.Persist(0L, map.Length))

                Expect.isEmpty (Directory.EnumerateFileSystemEntries directory) "gone"
                let required = PmemCreateOptions(RequiredGranularity = StoreGranularity.Byte)

                CreationTests.refuses<PmemException> [ "granularity" ] (fun () ->
                    PmemMapping.CreateTemporary(directory, 5000L, required))

                Expect.isEmpty (Directory.EnumerateFileSystemEntries directory) "nor left by a failure")

        testCase "a sparse file has its length"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let path = Path.Combine(directory, "f")
                use map = PmemMapping.Create(path, 1L <<< 20, PmemCreateOptions(Sparse = true))
                map.Write((1L <<< 20) - 1L, 5uy)
                Expect.equal (lengthOf path) (1L <<< 20) "length")

        testCase "a length is taken back, but not where somebody else has the file open"
        <| fun () ->
            inFile 10 (fun _ path ->
                let grown () =
                    let file = WindowsFile.Of(path, Harness.openShared path)
                    file.Grow(8192L, false)
                    Expect.equal file.LengthBytes 8192L "grown"
                    file

                (grown ()).Dispose()
                Expect.equal (lengthOf path) 10L "cut"
                let file = grown ()
                use _ = Harness.openShared path
                file.Dispose()
                Expect.equal (lengthOf path) 8192L "somebody may count on it")

        testCase "a name is taken back, but not where somebody else has the file open"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let path = Path.Combine(directory, "f")

                let made () =
                    WindowsFile.Of(path, Harness.openShared path, isNew = true)

                (made ()).Dispose()
                Expect.isFalse (File.Exists path) "gone"
                let file = made ()
                use _ = Harness.openShared path
                file.Dispose()
                Expect.isTrue (File.Exists path) "somebody else's by now"
                let kept = made ()
                Expect.isTrue (kept.Keep()) "kept"
                kept.Dispose()
                Expect.isTrue (File.Exists path) "what is kept stays")

        testCase "never cut below a live mapping of this process"
        <| fun () ->
            inFile 200_000 (fun _ path ->
                let truncating = PmemCreateOptions(Truncate = true)

                using (PmemMapping.Open(path, PmemOpenOptions(Length = 8192L))) (fun map ->
                    CreationTests.refuses<PmemException> [ path; "mapped up to byte 8192"; "cut to 5000" ] (fun () ->
                        PmemMapping.Create(path, 5000L, truncating))

                    Expect.equal (lengthOf path, map.Span[8191]) (200_000L, byte 8191) "as it was")

                (PmemMapping.Create(path, 5000L, truncating)).Dispose()
                Expect.equal (lengthOf path) 5000L "cut when it was disposed")
    ]

let private memory =
    [
        testCase "no handle and no view is left behind"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let once () =
                    use map = PmemMapping.Create(Path.Combine(directory, "f"), 1L <<< 20)
                    map.Write(0L, 1L)

                let handles () =
                    use me = Process.GetCurrentProcess()
                    me.HandleCount

                let cycles () =
                    for _ in 1..300 do
                        once ()

                    handles ()

                // Handles are counted in steps: a leak is there again in the second round.
                let first = cycles ()
                Expect.isLessThan (cycles () - first) 100 "handles")

        testCase "a view is unmapped whole, and other memory too"
        <| fun () ->
            inFile 200_000 (fun _ path ->
                let mutable mapped = 0un
                let mutable isPmem = false
                let address = LibPmem.MapFile(path, 0un, PmemFileModes.None, 0, &mapped, &isPmem)
                Expect.equal (LibPmem.Unmap(address, 65536un)) -1 "a part"
                Expect.equal (Marshal.GetLastPInvokeError()) 22 "EINVAL"
                Expect.equal (NativePtr.get address 5) 5uy "nothing was unmapped"
                Expect.equal (LibPmem.Unmap(address, mapped)) 0 "all"
                Expect.equal (LibPmem.Unmap(address, mapped)) -1 "it is gone"
                let own = TestMemory.Map(3L * 65536L)
                Expect.equal (LibPmem.Msync(NativePtr.toVoidPtr (NativePtr.ofNativeInt<byte> own), 8un)) 0 "no file's"
                TestMemory.Unmap(own, 3L * 65536L)
                Expect.isFalse (TestMemory.IsMapped(own, 1L)) "released")

        testCase "memory of others is adopted, and synced only where its file is known"
        <| fun () ->
            let address = TestMemory.Map 65536L
            let pointer = NativePtr.ofNativeInt<byte> address

            using (PmemMapping.Adopt(pointer, 65536L, StoreGranularity.Page)) (fun map ->
                map.Write(5L, 77uy)
                map.Persist(0L, map.Length))

            Expect.equal (NativePtr.get pointer 5) 77uy "not unmapped"
            TestMemory.Unmap(address, 65536L)

            CreationTests.refuses<PmemException> [ "not mapped" ] (fun () ->
                PmemMapping.Adopt(pointer, 65536L, StoreGranularity.Byte))

        testCase "address space is not reserved, with the reason"
        <| fun () ->
            inFile 5000 (fun _ path ->
                CreationTests.refuses<PmemException> [ path; "no other address"; "whole length" ] (fun () ->
                    PmemMapping.Open(path, PmemOpenOptions(ReserveLength = 1_000_000L)))

                let error =
                    Expect.throwsC (fun () -> (AddressReservation.Create 65536L).Dispose()) _.Message

                Expect.stringContains error "no other address" "reason"
                Expect.equal (lengthOf path) 5000L "as it was")

        testCase "copies through the kernel"
        <| fun () ->
            inFile 5000 (fun _ path ->
                use map = PmemMapping.Open path
                let mutable error: PmemException | null = null
                let bytes = Array.zeroCreate<byte> 100
                Expect.isTrue (map.TryRead(10L, Span bytes, &error)) "read"
                Expect.equal bytes (Array.init 100 (fun i -> byte (i + 10))) "bytes"
                Expect.isTrue (map.TryWrite(0L, ReadOnlySpan bytes, &error)) "write"
                Expect.equal (map.Read<byte> 0L) 10uy "stored")

        testCase "machine code is executable and not writable"
        <| fun () ->
            match ExecutablePage.TryPlace [| 0xC3uy |] with
            | null -> failtest "no executable memory"
            | addresses -> Expect.equal (TestMemory.RightsAt addresses[0]) 0x20u "PAGE_EXECUTE_READ"

        testCase "threads map, persist and unmap at once"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let mutable failures = 0

                let work (thread: int) =
                    try
                        for round in 1..25 do
                            use map = PmemMapping.Create(Path.Combine(directory, $"{thread}"), 70_000L)
                            map.Write(69_000L, int64 round)
                            Expect.equal (map.Read<int64> 69_000L) (int64 round) "stored"
                    with _ ->
                        Interlocked.Increment &failures |> ignore

                let threads = [ for i in 0..7 -> Thread(fun () -> work i) ]
                threads |> List.iter _.Start()
                threads |> List.iter _.Join()
                Expect.equal failures 0 "threads that failed")
    ]

let tests =
    if OperatingSystem.IsWindows() then
        [ testList "files on Windows" (opening @ volumes @ making @ memory) ]
    else
        []
