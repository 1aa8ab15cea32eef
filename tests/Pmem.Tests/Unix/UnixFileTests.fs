/// Files of macOS's storage, which nobody runs here, with Linux's numbers; and macOS's numbers, as far as any system can look at them.
module Pmem.Tests.UnixFileTests

open System
open System.IO
open System.Threading.Tasks
open System.Runtime.InteropServices
open Expecto
open Pmem
open Pmem.Unix

let page = int64 Environment.SystemPageSize

let onUnix name (test: UnixStorage -> string -> unit) =
    Harness.onLinux name (fun () ->
        Harness.inDirectory (fun directory ->
            test (UnixStorage(UnixNumbers.Linux, null)) (Path.Combine(directory, "f"))))

let made lengthBytes path =
    FileRequest(path, New = NewFile(lengthBytes, IsExclusive = true))

let private shared lengthBytes path =
    FileRequest(path, New = NewFile(lengthBytes))

let all (file: StoredFile) =
    MapPlan(ByteRange(0L, file.LengthBytes), false, page, 0L)

let mapBy (storage: UnixStorage) file (plan: MapPlan) = storage.Map(file, &plan)

let private lengthOf (path: string) = FileInfo(path).Length

let store (address: nativeint) offset (value: byte) =
    Marshal.WriteByte(address, offset, value)

let private numbers =
    [
        testCase "macOS's error numbers are told as Linux's, and none is taken for another"
        <| fun () ->
            for number in Seq.append [ 1..10 ] [ 12..34 ] do
                Expect.equal (BsdErrno.ToLinux number) number "the same on both"
                Expect.equal (BsdErrno.FromLinux number) number "and back"

            for bsd, name in
                [
                    35, "EAGAIN"
                    45, "EOPNOTSUPP"
                    62, "ELOOP"
                    63, "ENAMETOOLONG"
                    69, "EDQUOT"
                    70, "ESTALE"
                    77, "ENOLCK"
                    78, "ENOSYS"
                    84, "EOVERFLOW"
                    102, "EOPNOTSUPP"
                    11, "errno 35"
                ] do
                Expect.equal (Errno.Name(BsdErrno.ToLinux bsd)) name $"{bsd}"

                if bsd <> 102 then
                    Expect.equal (BsdErrno.FromLinux(BsdErrno.ToLinux bsd)) bsd "and back"

            let named =
                [
                    for number in 1..106 do
                        let known = BsdErrno.ToLinux number

                        if known > BsdErrno.Foreign then
                            Expect.equal (BsdErrno.FromLinux known) number "and back"
                            Expect.equal (Errno.Name known) $"errno {number} of this system" "unknown"
                        elif number <> 102 then
                            known
                ]

            Expect.equal (List.distinct named) named "each is one"

        testCase "macOS's numbers are those of its headers"
        <| fun () ->
            let mac = UnixNumbers.MacOS

            Expect.equal
                (mac.MapAnonymous, mac.Synchronously, mac.NonBlocking)
                (0x1000, 0x10, 4)
                "sys/mman.h, sys/fcntl.h"

            Expect.equal (mac.CloseOnExec, mac.SetCloseOnExec) (0x1000000, 0x20006601u) "sys/fcntl.h, sys/filio.h"
            Expect.equal (Option.ofNullable mac.FullSync) (Some 51) "F_FULLFSYNC"
            Expect.equal (mac.ModeAt, mac.LengthAt, mac.IsDeviceShort) (4, 96, true) "sys/stat.h"

            Expect.isNull
                (Option.toObj (Option.map box (Option.ofNullable UnixNumbers.FreeBsd.FullSync)))
                "FreeBSD's fsync does"
    ]

let private making =
    [
        onUnix "a new file has its name, mode, length and storage, and what is synced is in it"
        <| fun storage path ->
            let request =
                FileRequest(
                    path,
                    New =
                        NewFile(100_000L, IsExclusive = true, Mode = (UnixFileMode.UserRead ||| UnixFileMode.UserWrite))
                )

            using (storage.Open request) (fun file ->
                Expect.isTrue (File.Exists path) "its name is taken at once"
                file.Grow(100_000L, false)
                file.Sync()
                let raw = mapBy storage file (all file)
                Expect.equal raw.Kind PageCache "never persistent memory"
                store raw.Address 99_999 7uy
                Expect.equal (storage.Sync(raw.Address, raw.Address + 102400n)) 0 "synced"
                Expect.isTrue (file.Keep()) "kept"
                Expect.equal (storage.Unmap(raw.Address, 100_000L)) 0 "unmapped")

            Expect.equal (lengthOf path) 100_000L "its length"
            Expect.equal (Array.last (File.ReadAllBytes path)) 7uy "what was stored"
            Expect.equal (File.GetUnixFileMode path) (UnixFileMode.UserRead ||| UnixFileMode.UserWrite) "its mode"
            let found = Expect.throwsC (fun () -> (storage.Open(made 1L path)).Dispose()) id
            Expect.stringContains found.Message "EEXIST" "one winner"

        onUnix "a sparse file has no storage, another has it"
        <| fun storage path ->
            for isSparse in [ true; false ] do
                use file =
                    storage.Open(FileRequest(path + string isSparse, New = NewFile(1_000_000L, IsSparse = isSparse)))

                file.Grow(1_000_000L, isSparse)
                file.Sync()
                Expect.equal file.LengthBytes 1_000_000L "its length"
                Expect.isTrue (file.Keep()) "kept"
                let blocks = (Child.command "stat" [ "-c"; "%b"; path + string isSparse ]).Output
                Expect.equal (int (blocks.Trim()) >= 1_000_000 / 512) (not isSparse) $"{blocks} blocks"

        onUnix "a temporary file has no name"
        <| fun storage path ->
            let directory = nonNull (Path.GetDirectoryName path)

            use file =
                storage.Open(FileRequest(directory, New = NewFile(page, IsTemporary = true)))

            Expect.isEmpty (Directory.GetFileSystemEntries directory) "at once"
            file.Grow(page, false)
            let raw = mapBy storage file (all file)
            store raw.Address 5 1uy
            Expect.equal (storage.Sync(raw.Address, raw.Address + nativeint page)) 0 "synced"
            Expect.isTrue (file.Keep()) "kept"
            Expect.equal (storage.Unmap(raw.Address, page)) 0 "unmapped"

        onUnix "a file that is there is lengthened and keeps its bytes; one that is long enough is left alone"
        <| fun storage path ->
            File.WriteAllBytes(path, [| 1uy; 2uy; 3uy |])

            for length in [ 5000L; 4000L; 5000L ] do
                use file = storage.Open(shared length path)
                file.Grow(length, (length = 4000L))
                Expect.isTrue (file.Keep()) "kept"

            Expect.equal (File.ReadAllBytes path) (Array.append [| 1uy; 2uy; 3uy |] (Array.zeroCreate 4997)) "its bytes"

            using (storage.Open(FileRequest path)) (fun file ->
                file.Cut 2L
                Expect.equal file.LengthBytes 2L "cut")

            Expect.equal (File.ReadAllBytes path) [| 1uy; 2uy |] "cut"

        onUnix "a link that leads nowhere gets the file it names"
        <| fun storage path ->
            File.CreateSymbolicLink(path, path + "2") |> ignore
            use file = storage.Open(shared 10L path)
            file.Grow(10L, false)
            Expect.isTrue (file.Keep()) "kept"
            Expect.equal (lengthOf (path + "2")) 10L "behind the link"
    ]

let private undoing =
    [
        onUnix "what is not kept is taken back: the name of a new file, the length of an old one"
        <| fun storage path ->
            using (storage.Open(made 5000L path)) (fun file -> file.Grow(5000L, false))
            Expect.isFalse (File.Exists path) "the name"
            File.WriteAllBytes(path, [| 1uy |])
            using (storage.Open(shared 5000L path)) (fun file -> file.Grow(5000L, true))
            Expect.equal (File.ReadAllBytes path) [| 1uy |] "the length"

        onUnix "a name that is another file's by now stays, and so does a file that somebody made longer still"
        <| fun storage path ->
            using (storage.Open(made 5000L path)) (fun file ->
                file.Grow(5000L, false)
                File.WriteAllText(path + "2", "other")
                File.Move(path + "2", path, true)
                Expect.isFalse (file.Keep()) "it has no name to keep")

            Expect.equal (File.ReadAllText path) "other" "the other's"

            using (storage.Open(shared 5000L path)) (fun file ->
                file.Grow(5000L, false)
                Child.command "truncate" [ "-s"; "6000"; path ] |> ignore)

            Expect.equal (lengthOf path) 6000L "the longer one's"

        onUnix "who opens a file waits until its maker has kept it, or taken it back"
        <| fun storage path ->
            for isKept in [ false; true ] do
                let maker = storage.Open(made 5000L path)

                let opened =
                    Task.Run(fun () -> using (storage.Open(FileRequest path)) _.LengthBytes)

                let found =
                    Task.Run(fun () ->
                        using (storage.Open(shared 10L path)) (fun file -> file.Keep(), file.LengthBytes))

                Expect.isFalse (Task.WaitAny([| opened :> Task; found |], 100) >= 0) "they wait"
                maker.Grow(5000L, false)

                if isKept then
                    Expect.isTrue (maker.Keep()) "kept"

                maker.Dispose()

                if isKept then
                    Expect.equal opened.Result 5000L "whole"
                    Expect.equal found.Result (true, 5000L) "whole"
                else
                    let length =
                        (try
                            opened.Result
                         with :? AggregateException as e when (e.InnerException :? FileNotFoundException) ->
                             -1L)

                    Expect.contains [ -1L; 0L ] length "not the one that was taken back"
                    Expect.equal found.Result (true, 0L) "one of its own"
                    File.Delete path
    ]

let private refusing =
    [
        onUnix "what cannot be opened, made or mapped is told as on Linux"
        <| fun storage path ->
            let refused (kind: Type) (word: string) (action: unit -> StoredFile) =
                let error = Expect.throwsC (fun () -> action().Dispose()) id
                Expect.equal (error.GetType()) kind error.Message
                Expect.stringContains error.Message word "why"

            let directory = nonNull (Path.GetDirectoryName path)
            let far = Path.Combine(directory, "none", "f")
            let long = Path.Combine(directory, String('x', 300))
            let fifo = path + ".fifo"
            Child.command "mkfifo" [ fifo ] |> ignore
            refused typeof<FileNotFoundException> "ENOENT" (fun () -> storage.Open(FileRequest path))
            refused typeof<DirectoryNotFoundException> "ENOENT" (fun () -> storage.Open(made 1L far))
            refused typeof<PmemException> "ENAMETOOLONG" (fun () -> storage.Open(made 1L long))
            refused typeof<PmemException> "EISDIR" (fun () -> storage.Open(FileRequest directory))

            refused typeof<PmemException> "directory" (fun () ->
                storage.Open(FileRequest(directory, IsReadOnly = true)))

            refused typeof<PmemException> "FIFO" (fun () -> storage.Open(FileRequest(fifo, IsReadOnly = true)))
            refused typeof<PmemException> "EEXIST" (fun () -> storage.Open(made 1L fifo))
            File.WriteAllText(path, "x")

            use writer =
                File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite)

            refused typeof<PmemException> "write" (fun () -> storage.Open(FileRequest(path, Handle = writer)))

            use reader =
                File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite)

            use file = storage.Open(FileRequest(path, Handle = reader))
            let error = Expect.throwsC (fun () -> mapBy storage file (all file) |> ignore) id
            Expect.isTrue (error :? UnauthorizedAccessException) error.Message
            Expect.throwsT<PmemException> (fun () -> file.Reserve(ByteRange(0L, 1L))) "no storage to ask for"
            let mutable number = 0

            Expect.equal
                (storage.ReserveSpace(0n, page, page, &number), number)
                (0n, Errno.EOPNOTSUPP)
                "no place to move to"
    ]

let tests = List.concat [ numbers; making; undoing; refusing ]
