/// What the library does on Windows, as far as any system can run it: its error numbers, and which views a sync asks for.
module Pmem.Tests.ViewTests

open System
open System.Collections.Generic
open System.IO
open System.Runtime.InteropServices
open Expecto
open Microsoft.Win32.SafeHandles
open Pmem
open Pmem.Windows
open Pmem.Testing

let private names =
    testCase "each number has Windows's name, an errno and .NET's exception"
    <| fun () ->
        for number, name, errno, kind, advice in
            [
                WinError.ERROR_FILE_NOT_FOUND, "ERROR_FILE_NOT_FOUND", 2, typeof<FileNotFoundException>, "spelling"
                WinError.ERROR_PATH_NOT_FOUND,
                "ERROR_PATH_NOT_FOUND",
                2,
                typeof<DirectoryNotFoundException>,
                "no such directory"
                WinError.ERROR_ACCESS_DENIED,
                "ERROR_ACCESS_DENIED",
                13,
                typeof<UnauthorizedAccessException>,
                "permission"
                WinError.ERROR_DISK_FULL, "ERROR_DISK_FULL", 28, typeof<PmemException>, "Free some space"
                WinError.ERROR_HANDLE_DISK_FULL, "ERROR_HANDLE_DISK_FULL", 28, typeof<PmemException>, "Free some space"
                WinError.ERROR_WRITE_PROTECT, "ERROR_WRITE_PROTECT", 30, typeof<PmemException>, "ReadOnly"
                WinError.ERROR_SHARING_VIOLATION, "ERROR_SHARING_VIOLATION", 11, typeof<PmemException>, "does not share"
                WinError.ERROR_FILE_EXISTS, "ERROR_FILE_EXISTS", 17, typeof<PmemException>, "Exclusive"
                WinError.ERROR_IO_DEVICE, "ERROR_IO_DEVICE", 5, typeof<PmemException>, "manual"
                WinError.ERROR_USER_MAPPED_FILE, "ERROR_USER_MAPPED_FILE", 16, typeof<PmemException>, "unmapped"
                WinError.Of 4390, "Windows error 4390", 5, typeof<PmemException>, ""
            ] do
            let thrown = Failures.OfErrno(number, "some file", "open")
            Expect.equal (thrown.GetType()) kind name
            Expect.stringContains thrown.Message "open 'some file'" name
            Expect.stringContains thrown.Message name name
            Expect.stringContains thrown.Message advice name
            Expect.equal (Failures.ErrnoOf thrown) errno name

            let known =
                match thrown with
                | :? PmemException as e -> e
                | e -> downcast nonNull e.InnerException

            Expect.equal (known.ErrorName, known.ErrorNumber) (name, number &&& 0xFFFF) "as GetLastError has it"
            Expect.equal known.HResult number "HRESULT_FROM_WIN32"

let private apart =
    testCase "the numbers of Windows and of errno never mix"
    <| fun () ->
        for code in 1..16_000 do
            let number = WinError.Of code
            Expect.isLessThan number 0 "negative"
            Expect.equal (WinError.CodeOf number) code "and the code again"
            Expect.isGreaterThan (Errno.Of number) 0 "an errno"

        Expect.equal (Errno.Of 28) 28 "errno is itself"
        Expect.equal (Errno.Name 28) "ENOSPC" "by its own name"

let private poisoned =
    testCase "an error of FlushFileBuffers is the last word of a mapping"
    <| fun () ->
        let mutable error = WinError.ERROR_IO_DEVICE
        use mapped = new SyncedMapping(8192L, (fun _ -> error))
        mapped.Track()
        let map = mapped.Mapping

        let fails () =
            try
                map.Persist(0L, 8L)
                failtest "nothing was thrown"
            with :? PmemException as e ->
                Expect.equal (e.ErrorName, e.ErrorNumber) ("ERROR_IO_DEVICE", 1117) "as Windows says it"
                Expect.stringContains e.Message "FlushViewOfFile or FlushFileBuffers" "what said so"
                Expect.equal (List.ofSeq e.NotDurable) [ ByteRange(0L, 4096L) ] "what may be lost"

        fails ()
        error <- 0
        fails ()
        let pointer = NativeInterop.NativePtr.toVoidPtr map.Pointer
        Expect.equal (LibPmem.Msync(pointer, 8un)) -1 "libpmem's msync hears it"
        Expect.equal (Marshal.GetLastPInvokeError()) 5 "as an errno"
        Expect.stringContains (LibPmem.ErrorMessage()) "ERROR_IO_DEVICE" "and with its name"

/// What the system was asked for, and what it answers.
type private Asked() =
    let calls = List<string>()

    member val FlushView = (fun (_: int) -> 0) with get, set
    member val FlushFile = (fun () -> 0) with get, set

    member _.Take() =
        let taken = List.ofSeq calls
        calls.Clear()
        taken

    interface IViewFlush with
        member asked.FlushView(start, lengthBytes) =
            calls.Add $"view {start} {lengthBytes}"
            asked.FlushView calls.Count

        member asked.FlushFile _ =
            calls.Add "file"
            asked.FlushFile()

        member _.Unsynced(address, _, next) =
            calls.Add $"nothing at {address}"
            next <- address + 4096n
            WinError.ERROR_INVALID_ADDRESS

        member _.Pause _ = calls.Add "pause"

let private withViews (views: (nativeint * nativeint * bool) list) test =
    let asked = Asked()
    let table = ViewTable(asked)

    for start, finish, isWritten in views do
        table.Add(ViewTable.View(start, finish, new SafeFileHandle(), isWritten))

    test table asked

let private both =
    testCase "a sync flushes the view, then the file, and either's error is told"
    <| fun () ->
        withViews [ 65536n, 131072n, true ] (fun table asked ->
            Expect.equal (table.Sync(69632n, 73728n)) 0 "both succeed"
            Expect.equal (asked.Take()) [ "view 69632 4096"; "file" ] "in this order"
            asked.FlushView <- fun _ -> WinError.ERROR_DISK_FULL
            Expect.equal (table.Sync(69632n, 73728n)) WinError.ERROR_DISK_FULL "the view's"
            Expect.equal (asked.Take()) [ "view 69632 4096" ] "the file is not asked any more"
            asked.FlushView <- fun _ -> 0
            asked.FlushFile <- fun () -> WinError.ERROR_IO_DEVICE
            Expect.equal (table.Sync(69632n, 73728n)) WinError.ERROR_IO_DEVICE "the file's")

let private pieces =
    testCase "a sync is of all views that the range lies in, and a hole is an error"
    <| fun () ->
        withViews [ 196608n, 200704n, true; 65536n, 73728n, true; 73728n, 77824n, false ] (fun table asked ->
            Expect.equal (table.Sync(69632n, 77824n)) 0 "two views side by side"
            Expect.equal (asked.Take()) [ "view 69632 4096"; "file" ] "what cannot be stored to is not flushed"
            Expect.equal (table.Sync(69632n, 200704n)) WinError.ERROR_INVALID_ADDRESS "a hole"
            Expect.contains (asked.Take()) "nothing at 77824" "where it begins"

            for address, start in [ 65535n, 0n; 65536n, 65536n; 73727n, 65536n; 73728n, 73728n; 200704n, 0n ] do
                let mutable next = 0n

                let found =
                    match table.At(address, &next) with
                    | null -> 0n
                    | view -> view.Start

                Expect.equal found start $"{address}")

let private again =
    testCase "ERROR_LOCK_VIOLATION is asked again, and is an error in the end"
    <| fun () ->
        withViews [ 65536n, 131072n, true ] (fun table asked ->
            asked.FlushView <- fun calls -> if calls < 30 then WinError.ERROR_LOCK_VIOLATION else 0
            Expect.equal (table.Sync(65536n, 69632n)) 0 "in the end it is written"
            Expect.equal (List.last (asked.Take())) "file" "and flushed"
            asked.FlushView <- fun _ -> WinError.ERROR_LOCK_VIOLATION
            Expect.equal (table.Sync(65536n, 69632n)) WinError.ERROR_LOCK_VIOLATION "not for ever"
            let calls = asked.Take()
            Expect.isFalse (List.contains "file" calls) "it was not written"
            Expect.contains calls "pause" "with pauses")

let private direct =
    testCase "persistent memory is what both the volume and the view say is direct"
    <| fun () ->
        let kindOf isPrivate flags isDirect =
            WindowsStorage.KindOf(isPrivate, flags, (fun () -> isDirect))

        Expect.equal (kindOf false FileApi.DaxVolume true) FileDax "a DAX volume"
        Expect.equal (kindOf false (FileApi.DaxVolume ||| 0xFFu) true) FileDax "with other flags"
        Expect.equal (kindOf false FileApi.DaxVolume false) PageCache "a file that is not mapped directly there"
        Expect.equal (kindOf false 0xFFu true) PageCache "another volume"
        Expect.equal (kindOf true FileApi.DaxVolume true) PrivateCopy "a private copy"

/// A consumer's analyzer (CA1416) reads these.
let private ways =
    testCase "each way in says on which systems it runs"
    <| fun () ->
        let systemsOf (isIn: Reflection.MemberInfo) =
            isIn.GetCustomAttributes(typeof<Runtime.Versioning.SupportedOSPlatformAttribute>, false)
            |> Seq.cast<Runtime.Versioning.SupportedOSPlatformAttribute>
            |> Seq.map _.PlatformName
            |> Seq.sort
            |> List.ofSeq

        let everyWay: Reflection.MemberInfo list =
            [
                for kind in
                    [
                        typeof<PmemMapping>
                        typeof<PmemSource>
                        typeof<AddressReservation>
                        typeof<TracedMemory>
                    ] do
                    for way in kind.GetMethods(Reflection.BindingFlags.Public ||| Reflection.BindingFlags.Static) do
                        if way.ReturnType = kind && not way.IsSpecialName then
                            way

                for name in [ "LibPmem"; "LibPmem2"; "MappedCrashCheck" ] do
                    nonNull (typeof<PmemMapping>.Assembly.GetType $"Pmem.{name}")
            ]

        Expect.isGreaterThan everyWay.Length 12 "ways in"

        for way in everyWay do
            Expect.equal (systemsOf way) [ "linux"; "macos"; "windows" ] way.Name

let tests =
    testList "Windows" [ names; apart; poisoned; both; pieces; again; direct; ways ]
