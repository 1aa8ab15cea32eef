/// Making files: nothing is lost, nothing is cut that nobody said to cut, and only the kernel says what a path means.
module Pmem.Tests.CreationTests

open System
open System.IO
open System.Threading
open Expecto
open Pmem
open Pmem.Linux
open Pmem.Testing

/// What is refused with this exception, which says these words.
let refuses<'e when 'e :> exn> (words: string list) (action: unit -> PmemMapping) =
    let error = Expect.throwsC (fun () -> action().Dispose()) id
    Expect.isTrue (error :? 'e) $"{typeof<'e>.Name} was expected, not {error.GetType().Name}: {error.Message}"

    for word in words do
        Expect.stringContains error.Message word "message"

let private inFile (bytes: int) test =
    Harness.inDirectory (fun directory ->
        let path = Path.Combine(directory, "f")
        File.WriteAllBytes(path, Array.create bytes 7uy)
        test directory path)

let private lengthOf (path: string) = FileInfo(path).Length

let private truncating = PmemCreateOptions(Truncate = true)

let private cutting =
    [
        testCase "a file that is longer is refused with both lengths, and stays"
        <| fun () ->
            inFile 9000 (fun _ path ->
                refuses<PmemException> [ path; "9000"; "4096"; "Truncate" ] (fun () -> PmemMapping.Create(path, 4096L))
                Expect.equal (Harness.bytesOf path) (Array.create 9000 7uy) "untouched")

        testCase "it is cut where that is said"
        <| fun () ->
            inFile 9000 (fun _ path ->
                use map = PmemMapping.Create(path, 4096L, truncating)
                Expect.equal (map.Length, lengthOf path) (4096L, 4096L) "lengths")

        Harness.onLinux "never below a live mapping of this process, by whatever name"
        <| fun () ->
            inFile 16384 (fun directory path ->
                let link = Path.Combine(directory, "link")
                File.CreateSymbolicLink(link, path) |> ignore

                using (PmemMapping.Open(path, PmemOpenOptions(Length = 8192L))) (fun map ->
                    for name in [ path; link ] do
                        refuses<PmemException> [ name; "mapped up to byte 8192"; "cut to 5000" ] (fun () ->
                            PmemMapping.Create(name, 5000L, truncating))

                    Expect.equal (lengthOf path) 16384L "not cut"
                    (PmemMapping.Create(path, 8192L, truncating)).Dispose()
                    Expect.equal map.Span[8191] 7uy "still there")

                (PmemMapping.Create(path, 5000L, truncating)).Dispose()
                Expect.equal (lengthOf path) 5000L "cut when it was disposed")

        Harness.onLinux "a mapping that ends within a page holds its bytes, not the page"
        <| fun () ->
            inFile 9000 (fun _ path ->
                use map = PmemMapping.Open(path, PmemOpenOptions(Length = 5000L))

                refuses<PmemException> [ "5000"; "4999" ] (fun () -> PmemMapping.Create(path, 4999L, truncating))
                (PmemMapping.Create(path, 5000L, truncating)).Dispose()
                Expect.equal (map.Length, lengthOf path) (5000L, 5000L) "lengths")
    ]

let private handles =
    [
        testCase "an open file is mapped, and may be closed"
        <| fun () ->
            inFile 100 (fun _ path ->
                let file = Harness.openShared path
                use map = PmemMapping.Create(file, 5000L)
                use again = PmemMapping.Open file
                file.Dispose()
                map.Span[4999] <- 9uy
                map.Persist(0L, map.Length)
                Expect.equal again.Span[4999] 9uy "the same file"
                Expect.equal ((Harness.bytesOf path)[4999]) 9uy "in the file")

        testCase "a failure leaves the caller's file open, and as it was"
        <| fun () ->
            inFile 100 (fun _ path ->
                use file = Harness.openShared path
                use probe = PmemMapping.Open path

                if not probe.IsPmem then
                    let options = PmemCreateOptions(RequiredGranularity = StoreGranularity.Byte)
                    refuses<PmemException> [ "granularity" ] (fun () -> PmemMapping.Create(file, 5000L, options))

                Expect.equal (RandomAccess.GetLength file) 100L "length"
                refuses<PmemException> [ "100"; "50" ] (fun () -> PmemMapping.Create(file, 50L)))

        testCase "a handle that is none is refused"
        <| fun () ->
            refuses<ArgumentException> [] (fun () -> PmemMapping.Open(new Microsoft.Win32.SafeHandles.SafeFileHandle()))

            inFile 10 (fun _ path ->
                let file = File.OpenHandle path
                file.Dispose()
                refuses<ObjectDisposedException> [] (fun () -> PmemMapping.Open file))
    ]

/// Whether the first byte of each page is in memory.
let private residentPages (map: PmemMapping) =
    Posix.ResidentPages(NativeInterop.NativePtr.toNativeInt map.Pointer, unativeint map.Length)

let private options =
    [
        Harness.needing
            "MADV_POPULATE_WRITE, which qemu-user ignores and Windows lacks,"
            (fun () -> OperatingSystem.IsLinux() && not Harness.isEmulator)
            "prefaulted, no access faults"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let faults (prefault: bool) =
                    let sparse = PmemCreateOptions(Sparse = true, Prefault = prefault)
                    use map = PmemMapping.CreateTemporary(directory, 8L <<< 20, sparse)
                    let before = Posix.PageFaults()

                    for page in 0..2047 do
                        map.Span[page * 4096] <- 1uy

                    Posix.PageFaults() - before

                Expect.isLessThan (faults true) 20L "faults of this thread"
                Expect.isGreaterThan (faults false) 100L "without it")

        Harness.onLinux "prefaulted to read"
        <| fun () ->
            inFile 9000 (fun _ path ->
                use map = PmemMapping.Open(path, PmemOpenOptions(ReadOnly = true, Prefault = true))
                Expect.equal (residentPages map) 3 "pages")

        Harness.onLinux "reserves the holes of what is mapped"
        <| fun () ->
            inFile 0 (fun _ path ->
                using (File.OpenWrite path) (fun file -> file.SetLength(1L <<< 20))

                let blocks () =
                    (Child.command "stat" [ "-c"; "%b"; path ]).Output.Trim() |> int64

                Expect.equal (blocks ()) 0L "a hole"

                (PmemMapping.Open(path, PmemOpenOptions(Reserve = true, Offset = 65536L, Length = 65536L))).Dispose()

                Expect.isTrue (blocks () >= 128L && blocks () < 512L) "a part of it"
                (PmemMapping.Open(path, PmemOpenOptions(Reserve = true))).Dispose()
                Expect.isGreaterThanOrEqual (blocks ()) 2048L "all of it"
                Expect.equal (lengthOf path) (1L <<< 20) "the same length")
    ]

let private placeOf (path: string) =
    let mutable place: Place | null = null
    Expect.equal (Place.Find(path, &place)) 0 "its directory"
    place

/// What a creation that fails takes back, where others have been at the file meanwhile.
let private takenBack =
    [
        Harness.onLinux "a name is taken back, but not one that is another file's by now"
        <| fun () ->
            inFile 10 (fun directory path ->
                let own = Path.Combine(directory, "own")
                LinuxFile.Won(own, Harness.openShared own, nonNull (placeOf own)).Dispose()
                Expect.isFalse (File.Exists own) "nobody else has it"
                let file = LinuxFile.Won(own, Harness.openShared own, nonNull (placeOf own))
                File.Move(path, own, true)
                file.Dispose()
                Expect.equal (lengthOf own) 10L "somebody else's")

        Harness.onLinux "a length is taken back, but not one that somebody else gave the file"
        <| fun () ->
            inFile 10 (fun _ path ->
                let grown () =
                    let file = LinuxFile.Found(path, Harness.openShared path, placeOf path)
                    file.Grow(8192L, false)
                    Expect.equal (lengthOf path) 8192L "grown"
                    file

                (grown ()).Dispose()
                Expect.equal (lengthOf path) 10L "cut"
                let file = grown ()

                using (File.Open(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite)) (fun other ->
                    other.SetLength 20000L)

                file.Dispose()
                Expect.equal (lengthOf path) 20000L "somebody else's")
    ]

/// A directory "real/deep", and "link" that leads there.
let private withLink test =
    Harness.inDirectory (fun directory ->
        let at (name: string) = Path.Combine(directory, name)
        Directory.CreateDirectory(at "real/deep") |> ignore
        File.CreateSymbolicLink(at "link", "real/deep") |> ignore
        test at)

let private create (path: string) =
    using (PmemMapping.Create(path, 4096L)) (fun map ->
        map.Span[0] <- 42uy
        map.Persist(0L, 1L))

let private paths =
    [
        Harness.onLinux "link/../f is beside the link's target, not beside the link"
        <| fun () ->
            withLink (fun at ->
                // What the collapsed name would be: a file, and then a directory.
                File.WriteAllBytes(at "f", [| 1uy |])
                create (at "link/../f")
                create (at "link/../f")
                Expect.equal (lengthOf (at "real/f"), lengthOf (at "f")) (4096L, 1L) "where"

                refuses<PmemException> [ "EEXIST" ] (fun () ->
                    PmemMapping.Create(at "link/../f", 4096L, PmemCreateOptions(Exclusive = true)))

                Directory.CreateDirectory(at "g") |> ignore
                create (at "link/../g")
                Expect.equal (lengthOf (at "real/g")) 4096L "beside a directory of that name"
                use map = PmemMapping.Open(at "link/../g")
                Expect.equal map.Span[0] 42uy "opened")

        Harness.onLinux "a symbolic link that dangles is made what it points to, as open(O_CREAT) does"
        <| fun () ->
            withLink (fun at ->
                File.CreateSymbolicLink(at "a", "b") |> ignore
                File.CreateSymbolicLink(at "b", "link/../target") |> ignore

                refuses<PmemException> [ "EEXIST" ] (fun () ->
                    PmemMapping.Create(at "a", 4096L, PmemCreateOptions(Exclusive = true)))

                create (at "a")
                Expect.equal (lengthOf (at "real/target")) 4096L "where both links lead"
                File.CreateSymbolicLink(at "c", "nowhere/f") |> ignore
                refuses<DirectoryNotFoundException> [ at "c" ] (fun () -> PmemMapping.Create(at "c", 4096L))
                File.CreateSymbolicLink(at "x", "y") |> ignore
                File.CreateSymbolicLink(at "y", "x") |> ignore
                refuses<PmemException> [ "ELOOP" ] (fun () -> PmemMapping.Create(at "x", 4096L)))

        Harness.onLinux "names that no file can have"
        <| fun () ->
            withLink (fun at ->
                File.WriteAllBytes(at "f", [| 1uy |])

                for name, words in
                    [
                        "f/", [ "ENOTDIR" ]
                        "link/", [ "directory" ]
                        "link/.", [ "directory" ]
                        "real/..", [ "directory" ]
                        "link", [ "directory" ]
                    ] do
                    refuses<PmemException> words (fun () -> PmemMapping.Create(at name, 4096L))

                refuses<DirectoryNotFoundException> [ "none" ] (fun () -> PmemMapping.Create(at "none/f", 4096L))
                refuses<DirectoryNotFoundException> [ "none" ] (fun () -> PmemMapping.Open(at "none/f"))
                refuses<FileNotFoundException> [ "none" ] (fun () -> PmemMapping.Open(at "none"))
                refuses<PmemException> [ "directory" ] (fun () -> PmemMapping.Create("/", 4096L)))

        testCase "relative to the working directory"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let outcome = Child.runIn directory "create" [ "plain" ] []

                Expect.equal outcome.ExitCode 0 outcome.Error
                Expect.equal (lengthOf (Path.Combine(directory, "plain"))) 65536L "made there")

        Harness.onLinux "by the names that processes have for open files"
        <| fun () ->
            inFile 5000 (fun directory path ->
                use file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite)
                let name = $"/proc/self/fd/{file.DangerousGetHandle()}"
                use map = PmemMapping.Create(name, 8192L)
                Expect.equal (map.Span[0], lengthOf path) (7uy, 8192L) "that file"
                Expect.equal (Directory.GetFileSystemEntries(directory).Length) 1 "no other")
    ]

let private leases =
    [
        Harness.onLinux "a file that somebody holds a lease on is waited for"
        <| fun () ->
            inFile 4096 (fun _ path ->
                use held =
                    File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite)

                Posix.TakeLease held

                let release =
                    Thread(fun () ->
                        SpinWait.SpinUntil(fun () -> Posix.IsLeaseAskedFor held)
                        Posix.ReleaseLease held)

                release.Start()
                use map = PmemMapping.Open path
                release.Join()
                Expect.equal map.Span[0] 7uy "opened")
    ]

let tests =
    testList
        "creation"
        [
            testList "cutting" cutting
            testList "open files" handles
            testList "options" options
            testList "paths" paths
            testList "leases" leases
            testList "what is taken back" takenBack
        ]
