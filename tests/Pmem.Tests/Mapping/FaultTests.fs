module Pmem.Tests.FaultTests

open System
open System.IO
open Expecto
open Pmem
open Pmem.Testing

/// The action must throw an exception of this kind, whose message says each of these words.
let private expectRefusal<'e when 'e :> exn> (words: string list) (action: unit -> unit) =
    let thrown =
        try
            action ()
            None
        with e ->
            Some e

    match thrown with
    | None -> failtest "nothing was thrown"
    | Some e ->
        Expect.isTrue (e :? 'e) $"{typeof<'e>.Name} was expected, not {e.GetType().Name}: {e.Message}"

        for word in words do
            Expect.stringContains e.Message word "message"

let private dispose (map: PmemMapping) = map.Dispose()

let private withFile (bytes: int) test =
    Harness.inDirectory (fun directory ->
        let path = Path.Combine(directory, "f")
        File.WriteAllBytes(path, Array.create bytes 7uy)
        test directory path)

let private ranges =
    [
        -1L, 1L
        0L, -1L
        Int64.MinValue, 1L
        0L, Int64.MaxValue
        1L, Int64.MaxValue
        Int64.MaxValue, Int64.MaxValue
        8L, Int64.MaxValue
        4096L, 1L
        4097L, 0L
        0L, 4097L
        4000L, 97L
    ]

/// A tmpfs of this size, mounted on a directory for the length of the test.
let private onSmallTmpfs size test =
    Harness.inDirectory (fun directory ->
        let mounted =
            Child.command "mount" [ "-t"; "tmpfs"; "-o"; $"size={size}"; "tmpfs"; directory ]

        Expect.equal mounted.ExitCode 0 mounted.Error

        try
            test directory
        finally
            Child.command "umount" [ directory ] |> ignore)

let private needingRoot name test =
    Harness.needing "the right to mount and to change the user (root)" Child.isRoot name test

let tests =
    testList
        "faults"
        [
            testCase "every operation refuses a range outside the mapping"
            <| fun () ->
                withFile 4096 (fun _ path ->
                    use map = PmemMapping.Open path
                    let memory = map :> IPersistentMemory

                    for offset, length in ranges do
                        let inside action =
                            expectRefusal<ArgumentOutOfRangeException> [ path; "4096" ] action

                        inside (fun () -> map.Persist(offset, length))
                        inside (fun () -> map.Flush(offset, length))
                        inside (fun () -> map.Msync(offset, length))
                        inside (fun () -> map.DeepPersist(offset, length))
                        inside (fun () -> map.DeepFlush(offset, length))
                        inside (fun () -> map.DeepDrain(offset, length))
                        inside (fun () -> memory.Flush(offset, length))

                    for offset in [ -1L; 4089L; 4096L; Int64.MaxValue; Int64.MinValue ] do
                        let inside action =
                            expectRefusal<ArgumentOutOfRangeException> [ path ] action

                        inside (fun () -> map.GetSpan(offset, 8).Clear())
                        inside (fun () -> map.GetMemory(offset, 8) |> ignore)
                        inside (fun () -> memory.ReadInt64 offset |> ignore)
                        inside (fun () -> memory.StoreInt64(offset, 1L))
                        inside (fun () -> memory.Read(offset, Span(Array.zeroCreate 8)))
                        inside (fun () -> memory.Store(offset, ReadOnlySpan(Array.zeroCreate 8)))

                    map.Persist(4096L, 0L)
                    map.Persist(0L, 0L)
                    Expect.isTrue (map.Span.ToArray() |> Array.forall ((=) 7uy)) "nothing was changed")

            testCase "every operation refuses a disposed mapping"
            <| fun () ->
                withFile 4096 (fun _ path ->
                    let map = PmemMapping.Open path
                    map.Dispose()
                    map.Dispose()
                    let memory = map :> IPersistentMemory
                    let gone = expectRefusal<ObjectDisposedException> [ "f" ]
                    gone (fun () -> map.Persist(0L, 1L))
                    gone (fun () -> map.Flush(0L, 1L))
                    gone (fun () -> map.Drain())
                    gone (fun () -> map.Msync(0L, 1L))
                    gone (fun () -> map.Execute FlushPlan.Empty)
                    gone (fun () -> map.DeepPersist(0L, 1L))
                    gone (fun () -> map.GetSpan(0L, 1).Clear())
                    gone (fun () -> memory.StoreInt64(0L, 1L))
                    gone (fun () -> memory.ReadInt64 0L |> ignore)
                    gone (fun () -> NativeInterop.NativePtr.toNativeInt map.Pointer |> ignore))

            Harness.onLinux "lengths that no file can have"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let path = Path.Combine(directory, "f")

                    let create length () =
                        dispose (PmemMapping.Create(path, length))

                    expectRefusal<ArgumentOutOfRangeException> [ "at least 1" ] (create 0L)
                    expectRefusal<ArgumentOutOfRangeException> [] (create -1L)
                    expectRefusal<ArgumentOutOfRangeException> [] (create Int64.MinValue)

                    // More than can be mapped, and more than the file system has in a file.
                    for length, word in [ Int64.MaxValue, "ENOMEM"; 1L <<< 46, "EFBIG" ] do
                        expectRefusal<PmemException> [ path; word ] (fun () ->
                            dispose (PmemMapping.Create(path, length, PmemCreateOptions(Sparse = true))))

                    expectRefusal<ArgumentOutOfRangeException> [] (fun () ->
                        dispose (PmemMapping.CreateTemporary(directory, 0L)))

                    Expect.isEmpty (Directory.EnumerateFileSystemEntries directory) "nothing is left behind")

            testCase "parts that do not lie in the file"
            <| fun () ->
                let granule = int64 Harness.granule

                withFile (2 * Harness.granule) (fun _ path ->
                    let part offset length () =
                        dispose (PmemMapping.Open(path, PmemOpenOptions(Offset = offset, Length = length)))

                    let outside =
                        expectRefusal<ArgumentOutOfRangeException> [ path; string (2L * granule) ]

                    outside (part 0L (2L * granule + 1L))
                    outside (part granule (granule + 1L))
                    outside (part (2L * granule) 0L)
                    outside (part granule Int64.MaxValue)

                    for offset in [ 100L; granule - 512L; granule / 2L ] do
                        expectRefusal<ArgumentOutOfRangeException> [ path; string granule ] (part offset 0L)

                    expectRefusal<ArgumentOutOfRangeException> [ path ] (part -granule 0L)
                    expectRefusal<ArgumentOutOfRangeException> [ path ] (part 0L -1L))

            testCase "a file that was shortened before it was mapped"
            <| fun () ->
                withFile 8192 (fun _ path ->
                    Harness.setLength path 4096L

                    expectRefusal<ArgumentOutOfRangeException> [ path; "4096" ] (fun () ->
                        dispose (PmemMapping.Open(path, PmemOpenOptions(Length = 8192L))))

                    Harness.setLength path 0L
                    expectRefusal<PmemException> [ path; "empty" ] (fun () -> dispose (PmemMapping.Open path)))

            Harness.onLinux "things that are no files"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let fifo = Path.Combine(directory, "fifo")
                    Posix.MakeFifo fifo
                    let readOnly = PmemOpenOptions(ReadOnly = true)

                    for path, what in
                        [
                            directory, "directory"
                            fifo, "FIFO"
                            "/dev/null", "device"
                            "/dev/zero", "device"
                        ] do
                        expectRefusal<PmemException> [ path; what ] (fun () -> dispose (PmemMapping.Open path))

                        expectRefusal<PmemException> [ path; what ] (fun () ->
                            dispose (PmemMapping.Open(path, readOnly)))

                        expectRefusal<PmemException> [ path; what ] (fun () ->
                            dispose (PmemMapping.Create(path, 4096L)))

                    Expect.isTrue (File.Exists fifo) "still there"

                    expectRefusal<PmemException> [ directory; "directory" ] (fun () ->
                        dispose (PmemMapping.Create(directory, 4096L, PmemCreateOptions(Exclusive = true)))))

            Harness.onLinux "paths that lead nowhere"
            <| fun () ->
                withFile 10 (fun directory path ->
                    let none = Path.Combine(directory, "none")
                    expectRefusal<FileNotFoundException> [ none; "ENOENT" ] (fun () -> dispose (PmemMapping.Open none))
                    let deep = Path.Combine(none, "f")
                    expectRefusal<DirectoryNotFoundException> [ deep ] (fun () -> dispose (PmemMapping.Open deep))

                    expectRefusal<DirectoryNotFoundException> [ deep ] (fun () ->
                        dispose (PmemMapping.Create(deep, 1L)))

                    expectRefusal<DirectoryNotFoundException> [ none ] (fun () ->
                        dispose (PmemMapping.CreateTemporary(none, 1L)))

                    expectRefusal<PmemException> [ "ENOTDIR" ] (fun () ->
                        dispose (PmemMapping.Create(Path.Combine(path, "x"), 1L)))

                    expectRefusal<PmemException> [ "ENAMETOOLONG" ] (fun () ->
                        dispose (PmemMapping.Create(Path.Combine(directory, String('x', 300)), 1L)))

                    expectRefusal<ArgumentException> [] (fun () -> dispose (PmemMapping.Open ""))
                    expectRefusal<ArgumentException> [] (fun () -> dispose (PmemMapping.Open "a\000b")))

            testCase "a file that exists and must not"
            <| fun () ->
                withFile 10 (fun _ path ->
                    expectRefusal<PmemException> [ path; Harness.here "EEXIST" "ERROR_FILE_EXISTS" ] (fun () ->
                        dispose (PmemMapping.Create(path, 4096L, PmemCreateOptions(Exclusive = true))))

                    Expect.equal (Harness.bytesOf path) (Array.create 10 7uy) "untouched")

            testCase "a granularity that is not to be had leaves the file as it was"
            <| fun () ->
                withFile 5000 (fun directory path ->
                    use probe = PmemMapping.CreateTemporary(directory, 4096L)

                    if not probe.IsPmem then
                        let required = StoreGranularity.CacheLine
                        let options = PmemCreateOptions(RequiredGranularity = required, Truncate = true)
                        let opening = PmemOpenOptions(RequiredGranularity = required)
                        let words = [ path; "cache line"; "page"; "MAP_SYNC" ]

                        for length in [ 100L; 5000L; 9000L ] do
                            expectRefusal<PmemException> words (fun () ->
                                dispose (PmemMapping.Create(path, length, options)))

                            Expect.equal (Harness.bytesOf path) (Array.create 5000 7uy) $"{length}"

                        expectRefusal<PmemException> words (fun () -> dispose (PmemMapping.Open(path, opening)))
                        let fresh = Path.Combine(directory, "fresh")

                        expectRefusal<PmemException> [ fresh ] (fun () ->
                            dispose (PmemMapping.Create(fresh, 100L, options)))

                        Expect.isFalse (File.Exists fresh) "not left behind"

                        let any = PmemOpenOptions(RequiredGranularity = StoreGranularity.Page)
                        dispose (PmemMapping.Open(path, any)))

            testCase "options that contradict each other"
            <| fun () ->
                withFile 10 (fun directory path ->
                    let opening = PmemOpenOptions(ReadOnly = true, Reserve = true)

                    expectRefusal<ArgumentException> [ path; "ReadOnly"; "Reserve" ] (fun () ->
                        dispose (PmemMapping.Open(path, opening)))

                    let making = PmemCreateOptions(Exclusive = true, Truncate = true)

                    expectRefusal<ArgumentException> [ path; "Exclusive"; "Truncate" ] (fun () ->
                        dispose (PmemMapping.Create(path, 10L, making)))

                    let shared = UnixFileMode.UserRead ||| UnixFileMode.GroupRead

                    for options, word in
                        [
                            PmemCreateOptions(Exclusive = true), "Exclusive"
                            PmemCreateOptions(Truncate = true), "Truncate"
                            PmemCreateOptions(UnixFileMode = shared), "UnixFileMode"
                        ] do
                        expectRefusal<ArgumentException> [ directory; word; "temporary" ] (fun () ->
                            dispose (PmemMapping.CreateTemporary(directory, 10L, options)))

                    use handle = Harness.openShared path

                    for options, word in
                        [
                            PmemCreateOptions(Exclusive = true), "Exclusive"
                            PmemCreateOptions(UnixFileMode = shared), "UnixFileMode"
                        ] do
                        expectRefusal<ArgumentException> [ word; "open" ] (fun () ->
                            dispose (PmemMapping.Create(handle, 10L, options)))

                    Expect.equal (Harness.bytesOf path) (Array.create 10 7uy) "untouched")

            needingRoot "a file, or a directory, that may not be accessed" (fun () ->
                withFile 10 (fun directory path ->
                    File.SetUnixFileMode(path, UnixFileMode.UserRead ||| UnixFileMode.UserWrite)
                    let opened = Child.run "open-as-nobody" [ path ] []
                    Expect.stringContains opened.Output "UnauthorizedAccessException" opened.Error
                    Expect.stringContains opened.Output "EACCES" opened.Error
                    let created = Child.run "create-as-nobody" [ Path.Combine(directory, "new") ] []
                    Expect.stringContains created.Output "EACCES" created.Error
                    Expect.isFalse (File.Exists(Path.Combine(directory, "new"))) "not made"

                    File.SetUnixFileMode(
                        path,
                        UnixFileMode.UserRead ||| UnixFileMode.GroupRead ||| UnixFileMode.OtherRead
                    )

                    let readOnly = Child.run "open-as-nobody" [ path ] []
                    Expect.stringContains readOnly.Output "EACCES" "may be read, may not be written"))

            needingRoot "no space for a new file: nothing is left behind" (fun () ->
                onSmallTmpfs "64k" (fun directory ->
                    let path = Path.Combine(directory, "f")

                    expectRefusal<PmemException> [ path; "ENOSPC"; "1048576" ] (fun () ->
                        dispose (PmemMapping.Create(path, 1L <<< 20)))

                    expectRefusal<PmemException> [ directory; "ENOSPC" ] (fun () ->
                        dispose (PmemMapping.CreateTemporary(directory, 1L <<< 20)))

                    Expect.isEmpty (Directory.EnumerateFileSystemEntries directory) "files"
                    use map = PmemMapping.Create(path, 40_000L)
                    Expect.equal map.Length 40_000L "the space is free again"))

            needingRoot "no space to extend a file: it keeps its length and bytes" (fun () ->
                onSmallTmpfs "64k" (fun directory ->
                    let path = Path.Combine(directory, "f")
                    File.WriteAllBytes(path, Array.create 5000 7uy)

                    expectRefusal<PmemException> [ path; "ENOSPC" ] (fun () ->
                        dispose (PmemMapping.Create(path, 1L <<< 20)))

                    Expect.equal (Harness.bytesOf path) (Array.create 5000 7uy) "bytes"))

            needingRoot "a read-only file system" (fun () ->
                onSmallTmpfs "64k" (fun directory ->
                    let path = Path.Combine(directory, "f")
                    File.WriteAllBytes(path, Array.create 10 7uy)
                    let remounted = Child.command "mount" [ "-o"; "remount,ro"; directory ]
                    Expect.equal remounted.ExitCode 0 remounted.Error
                    expectRefusal<PmemException> [ path; "EROFS" ] (fun () -> dispose (PmemMapping.Open path))
                    use map = PmemMapping.Open(path, PmemOpenOptions(ReadOnly = true))
                    Expect.equal map.Length 10L "may be read"))

            testCase "malformed values of the environment"
            <| fun () ->
                for name in PmemEnvironment.Variables do
                    let outcome = Child.run "platform" [ "" ] [ name, "nonsense" ]
                    Expect.stringContains outcome.Output "PmemException" name
                    Expect.stringContains outcome.Output $"{name} is \"nonsense\"" name
        ]
