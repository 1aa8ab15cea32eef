/// Pages of macOS's storage, with Linux's numbers: what a sync asks for, and what becomes of its errors.
module Pmem.Tests.UnixTests

open System
open System.IO
open System.Collections.Generic
open System.Runtime.InteropServices
open Expecto
open Pmem
open Pmem.Linux
open Pmem.Unix
open Pmem.Testing
open Pmem.Tests.UnixFileTests

/// What FlushView and FlushFile were asked for, and what they answer.
type private Asked() =
    let calls = List<string>()
    member val Page = 0 with get, set
    member val File = 0 with get, set

    member _.Take() =
        let taken = List.ofSeq calls
        calls.Clear()
        taken

    interface IViewFlush with
        member asked.FlushView(_, lengthBytes) =
            calls.Add $"msync {lengthBytes}"
            asked.Page

        member asked.FlushFile file =
            calls.Add(if file.IsInvalid then "no file" else "file")
            asked.File

        member _.Unsynced(_, finish, next) =
            next <- finish
            Errno.EBADF

        member _.Pause _ = ()

let private mapped (storage: UnixStorage) path isReadOnly isPrivate =
    use file = storage.Open(FileRequest(path, IsReadOnly = isReadOnly))

    let plan =
        MapPlan(ByteRange(0L, file.LengthBytes), isReadOnly, page, 0L, IsPrivate = isPrivate)

    (mapBy storage file plan).Address

let private persisting =
    [
        onUnix
            "pages are given to the drive, then the drive is told, by the mapping's own descriptor; either's error is told"
        <| fun _ path ->
            File.WriteAllBytes(path, Array.zeroCreate (int page * 2))
            let asked = Asked()
            let storage = UnixStorage(UnixNumbers.Linux, asked)
            let start = mapped storage path false false

            let sync () =
                storage.Sync(start, start + nativeint page)

            Expect.equal (sync ()) 0 "both succeed"
            Expect.equal (asked.Take()) [ $"msync {page}"; "file" ] "in this order"
            asked.Page <- Errno.EIO
            Expect.equal (sync ()) Errno.EIO "msync's"
            Expect.equal (asked.Take()) [ $"msync {page}" ] "the drive is not asked any more"
            asked.Page <- 0
            asked.File <- Errno.ENOSPC
            Expect.equal (sync ()) Errno.ENOSPC "the drive's"
            asked.File <- 0
            Expect.equal (storage.Unmap(start, page)) Errno.EINVAL "a part is not unmapped"
            Expect.equal (storage.Unmap(start, page * 2L)) 0 "unmapped"
            Expect.equal (sync ()) Errno.EBADF "and forgotten"

        onUnix "what empties the drive's buffer is asked for by its number, and not to have it is an error"
        <| fun _ path ->
            File.WriteAllBytes(path, Array.zeroCreate (int page))
            let storage = UnixStorage(LinuxAsMacOS.Numbers, null)
            let start = mapped storage path false false
            Expect.equal (storage.Sync(start, start + nativeint page)) Errno.EINVAL "fcntl(51) of Linux"
            Expect.equal (storage.Unmap(start, page)) 0 "unmapped"

            let error =
                Expect.throwsC (fun () -> using (storage.Open(made 1L (path + "2"))) _.Sync()) id

            Expect.stringContains error.Message "EINVAL" "of a file too"

            Expect.throwsT<PmemException>
                (fun () -> using (storage.Open(made 1L (path + "2"))) (_.Keep() >> ignore))
                "and of a name"

            Expect.isFalse (File.Exists(path + "2")) "which is taken back"

        onUnix "a drive that fails is the last word of a mapping"
        <| fun _ path ->
            File.WriteAllBytes(path, Array.zeroCreate (int page))
            let asked = Asked(File = Errno.EIO)
            let storage = UnixStorage(UnixNumbers.Linux, asked)
            let start = mapped storage path false false

            let facts =
                {
                    Path = path
                    FileRange = ByteRange(0L, page)
                    Kind = PageCache
                    IsReadOnly = false
                    PersistenceDomain = ""
                    Platform = Platform.X64 Clwb
                }

            match MappingInfo.Decide facts with
            | Error refusal -> failtestf "%O" refusal
            | Ok info ->
                let file = MappedFile(start, info, DeviceNumber())

                use map =
                    new PmemMapping(file, Persister.For(file, Unchecked.defaultof<NoLines>, storage, Sysfs "/nowhere"))

                let persist () =
                    Expect.throwsT<PmemException> (fun () -> map.Persist(0L, 8L)) "it fails"

                persist ()
                asked.File <- 0
                persist ()

        onUnix "what is read-only or private is not synced, and reaches no file"
        <| fun _ path ->
            File.WriteAllBytes(path, Array.create (int page) 9uy)
            let asked = Asked()
            let storage = UnixStorage(UnixNumbers.Linux, asked)

            for isReadOnly in [ true; false ] do
                let start = mapped storage path isReadOnly (not isReadOnly)
                Expect.equal (Marshal.ReadByte start) 9uy "its bytes"

                if not isReadOnly then
                    store start 0 1uy

                Expect.equal (storage.Sync(start, start + nativeint page)) 0 "nothing to sync"
                Expect.equal (storage.Unmap(start, page)) 0 "unmapped"

            Expect.isEmpty (asked.Take()) "nothing was asked for"
            Expect.equal (File.ReadAllBytes path) (Array.create (int page) 9uy) "the file is as it was"

        onUnix "memory without a file is synced by doing nothing; another's by its address, where that is enough"
        <| fun storage _ ->
            let macOS = UnixStorage(LinuxAsMacOS.Numbers, null)
            let mutable error = -1

            let start =
                macOS.MapAnonymous(page, PmemProtection.Read ||| PmemProtection.Write, &error)

            Expect.equal error 0 "mapped"
            store start 0 1uy
            Expect.equal (macOS.Sync(start, start + nativeint page)) 0 "its own"
            Expect.equal (storage.Sync(start, start + nativeint page)) 0 "another's, and msync is enough"
            Expect.isTrue (storage.IsMapped(start, page)) "mapped"
            Expect.equal (macOS.Unmap(start, page)) 0 "unmapped"
            Expect.equal (macOS.Sync(start, start + nativeint page)) Errno.EBADF "no file is known"
    ]

let private broken =
    onUnix "what has no storage behind it is an error, and not the end of the process"
    <| fun storage path ->
        File.WriteAllBytes(path, Array.init (int page * 3) byte)
        let start = mapped storage path false false
        let bytes = Array.zeroCreate<byte> 10_000
        Expect.equal (storage.Populate(start, page * 3L, false)) 0 "all there"
        Expect.equal (storage.TryCopy(null, start + 3n, 0L, bytes.AsSpan(), true)) 0 "read"
        Expect.equal bytes (Array.init 10_000 (fun i -> byte (i + 3))) "its bytes"
        Array.Fill(bytes, 7uy)
        Expect.equal (storage.TryCopy(null, start, 0L, bytes.AsSpan(), false)) 0 "written"

        Expect.equal
            (Marshal.ReadByte(start, 9_999), Marshal.ReadByte(start, 10_000))
            (7uy, byte 10_000)
            "so many bytes"

        Harness.setLength path page
        Expect.equal (storage.Populate(start, page * 3L, true)) Errno.EFAULT "a page is gone"
        Expect.equal (storage.TryCopy(null, start + 10n, 0L, bytes.AsSpan(), true)) Errno.EFAULT "read"
        Expect.equal (storage.TryCopy(null, start + 10n, 0L, bytes.AsSpan(), false)) Errno.EFAULT "written"
        Expect.equal (storage.Unmap(start, page * 3L)) 0 "unmapped"

let tests =
    testList "Unix" [ yield! UnixFileTests.tests; yield! persisting; broken ]
