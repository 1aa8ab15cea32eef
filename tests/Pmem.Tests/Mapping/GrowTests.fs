/// Mappings that grow where they are, and several of them side by side in one reservation.
module Pmem.Tests.GrowTests

open System
open System.IO
open System.Threading
open Expecto
open FSharp.NativeInterop
open FsCheck
open FsCheck.FSharp
open Pmem

#nowarn "9" // addresses are compared

let private address (map: PmemMapping) = NativePtr.toNativeInt map.Pointer

let private page = int64 Environment.SystemPageSize

let private growable (path: string) length reserved =
    PmemMapping.Create(path, length, PmemCreateOptions(ReserveLength = reserved))

let private refused<'E when 'E :> exn> (words: string list) action =
    let error = Expect.throwsC action id
    Expect.isTrue (error :? 'E) $"{error}"

    for word in words do
        Expect.stringContains error.Message word (string error)

let private lengthOf path = FileInfo(path: string).Length

let private grows =
    Parts.everywhere "a mapping grows behind its address" (fun directory ->
        let path = Path.Combine(directory, "f")
        use map = growable path 5000L (1L <<< 20)
        let start = address map
        let first = &map.Ref<int64> 8L
        first <- 42L
        map.Persist(0L, map.Length)

        for length in [ 5001L; 8192L; 100_000L; 100_008L; 1L <<< 20 ] do
            map.Grow length
            Expect.equal (map.Length, map.Info.LengthBytes, lengthOf path) (length, length, length) "length"
            Expect.equal (address map) start "address"
            Expect.equal (map.Read<byte>(length - 1L)) 0uy "what is new reads as zero"
            map.Write(length - 1L, 0uy, PmemCopyOptions.None)
            map.Write(length - 8L, length)
            map.Execute(FlushPlan.Of(ByteRange(0L, length)))

        Expect.equal first 42L "a reference stays valid"
        first <- 43L
        map.Persist(&first)
        use again = PmemMapping.Open path
        Expect.equal (again.Length, again.Read<int64> 8L) (1L <<< 20, 43L) "another mapping sees it"
        Expect.equal (again.Read<int64>(100_000L - 8L)) 100_000L "what was written at the end")

let private shorterIsNothing =
    testCase "a length that it has already changes nothing"
    <| fun () ->
        Harness.inDirectory (fun directory ->
            use map = growable (Path.Combine(directory, "f")) 5000L 10_000L
            map.Grow 4000L
            map.Grow 5000L
            Expect.equal map.Length 5000L "length"
            refused<ArgumentOutOfRangeException> [] (fun () -> map.Grow -1L))

let private refusals =
    testCase "growth that cannot be is refused, and nothing is changed"
    <| fun () ->
        Harness.inDirectory (fun directory ->
            let path = Path.Combine(directory, "f")
            let at = Path.Combine(directory, "g")

            using (growable path 5000L 10_000L) (fun map ->
                refused<PmemException> [ path; "12288"; "are reserved" ] (fun () -> map.Grow 12_289L)
                Expect.equal (map.Length, lengthOf path) (5000L, 5000L) "as it was"
                map.Grow 12_288L)

            using (PmemMapping.Open path) (fun map ->
                refused<PmemException> [ "ReserveLength" ] (fun () -> map.Grow 20_000L))

            using (PmemMapping.Open(path, PmemOpenOptions(Length = 4096L, ReserveLength = 8192L))) (fun map ->
                map.Grow 8192L
                Expect.equal (map.Length, lengthOf path) (8192L, 12_288L) "the file had these bytes")

            refused<ArgumentException> [ "ReadOnly"; "ReserveLength" ] (fun () ->
                PmemMapping.Open(path, PmemOpenOptions(ReadOnly = true, ReserveLength = 20_000L))
                |> ignore)

            refused<PmemException> [ "ReserveLength is 4096" ] (fun () -> growable at 8192L 4096L |> ignore)
            Expect.isFalse (File.Exists at) "nothing was made"
            let map = growable at 8192L 16384L
            map.Dispose()
            refused<ObjectDisposedException> [] (fun () -> map.Grow 9000L))

let private onFullDisk =
    Harness.needing "root and mount" (fun () -> Child.isRoot () && Child.hasCommand "mount") "a full disk" (fun () ->
        Parts.onTmpfs "1m" (fun directory ->
            let path = Path.Combine(directory, "f")
            let free () = DriveInfo(directory).AvailableFreeSpace
            use map = growable path 5000L (1L <<< 30)
            map.Write(0L, 7L)
            let before = free ()

            for _ in 1..3 do
                refused<PmemException> [ path; "ENOSPC" ] (fun () -> map.Grow(1L <<< 29))

            Expect.equal (map.Length, lengthOf path, free ()) (5000L, 5000L, before) "as it was"
            map.Grow 100_000L
            map.Write(99_992L, 8L)
            Expect.equal (map.Read<int64> 0L, map.Read<int64> 99_992L) (7L, 8L) "and it still grows"))

/// Readers, writers and persists go on while two threads grow the mapping; nobody sees a length that cannot be accessed.
let private concurrent =
    testCase "readers and persists go on"
    <| fun () ->
        Harness.inDirectory (fun directory ->
            let path = Path.Combine(directory, "f")
            let last = 400L * page
            use map = growable path page last
            let failures = Collections.Concurrent.ConcurrentQueue<exn>()

            let watched work () =
                try
                    while failures.IsEmpty && map.Length < last do
                        work ()
                with e ->
                    failures.Enqueue e

            let touch () =
                let length = map.Length
                map.Store(length - 8L, length)
                map.Persist(length - 8L, 8L)
                map.Read<int64>(length - 8L) |> ignore
                map.GetSpan(0L, int length)[int length - 1] |> ignore

            let mutable next = 1L

            let grow () =
                map.Grow(min last (Interlocked.Increment &next * page))

            let threads = [ for work in [ touch; touch; grow; grow ] -> Thread(watched work) ]

            threads |> List.iter _.Start()
            threads |> List.iter _.Join()
            Expect.isEmpty failures "failures"
            Expect.equal (map.Length, lengthOf path) (last, last) "length")

let private disposedMeanwhile =
    testCase "Dispose waits for growth, and unmaps all of it"
    <| fun () ->
        Harness.inDirectory (fun directory ->
            for round in 1..20 do
                let options =
                    PmemCreateOptions(ReserveLength = 64L * page, Address = Harness.freeAddress ())

                let map = PmemMapping.Create(Path.Combine(directory, $"f{round}"), 4096L, options)
                let start = map.Pointer

                let thread =
                    Thread(fun () ->
                        try
                            for pages in 2L .. 64L do
                                map.Grow(pages * page)
                        with :? ObjectDisposedException ->
                            ())

                thread.Start()
                map.Dispose()
                thread.Join()
                // The space is free again: a reservation finds room exactly there.
                use reservation = AddressReservation.Create(64L * page, start)
                Expect.equal reservation.Length (64L * page) "reserved")

/// Each system call of a growth fails in turn: then nothing is longer, and the mapping goes on.
let private eachCallFails =
    Harness.needing "strace" Strace.isThere "the length is synced before it is seen, and each call may fail" (fun () ->
        Harness.inDirectory (fun directory ->
            let path, log = Path.Combine(directory, "f"), Path.Combine(directory, "log")
            let outcome = Strace.strace "grow" log [] path
            Expect.equal (outcome.Output.Trim()) "20000 20000 20000" outcome.Error
            let calls = Strace.window log

            let order =
                calls
                |> List.map _.Name
                |> List.filter (fun name -> name = "fsync" || name = "mremap")

            Expect.equal order [ "fsync"; "mremap" ] "durable before it is moved in"

            for call in
                calls
                |> List.filter (fun call -> List.contains call.Name [ "fallocate"; "fsync"; "mmap"; "mremap" ]) do
                File.Delete path
                let outcome = Strace.strace "grow" log (Strace.injection call "error=ENOMEM") path

                if Strace.window log |> List.exists _.IsInjected then
                    Expect.stringContains outcome.Output "refused" $"{call.Text}: {outcome.Error}"
                    Expect.stringContains outcome.Output "4096 4096 4096" $"{call.Text}: {outcome.Output}"))

// Reservations

let private withFiles count length (test: string list -> unit) =
    Harness.inDirectory (fun directory ->
        let paths = [ for i in 1..count -> Path.Combine(directory, $"f{i}") ]

        for path in paths do
            (PmemMapping.Create(path, length)).Dispose()

        test paths)

let private sideBySide =
    testCase "files lie side by side, and a range across them persists"
    <| fun () ->
        withFiles 3 (2L * page) (fun paths ->
            use reservation = AddressReservation.Create(8L * page)

            let maps =
                [
                    for i, path in List.indexed paths -> reservation.Map(path, int64 i * 2L * page)
                ]

            let all = Span<byte>(NativePtr.toVoidPtr reservation.Pointer, int (6L * page))

            all.Fill 9uy
            reservation.Persist(page, 4L * page)
            reservation.Persist(0L, 6L * page)
            Expect.equal (List.ofSeq reservation.Mappings) maps "in order"
            Expect.equal (reservation.Find(2L * page - 1L, 2L)) maps[0] "the first that is touched"
            Expect.isNull (reservation.Find(6L * page, page)) "none there"
            refused<ArgumentOutOfRangeException> [ "24576" ] (fun () -> reservation.Persist(0L, 7L * page))

            for offset, length in [ -1L, 8L; 0L, 9L * page; Int64.MaxValue, 8L; 8L, Int64.MaxValue; 0L, -8L ] do
                refused<ArgumentOutOfRangeException> [] (fun () -> reservation.Persist(offset, length))

            refused<ArgumentOutOfRangeException> [] (fun () -> reservation.Find(-1L, 8L) |> ignore)
            Expect.isNull (reservation.Find(Int64.MaxValue - page, page)) "none there"
            refused<InvalidOperationException> [ "3 mappings" ] (fun () -> reservation.Dispose())
            maps[1].Dispose()
            refused<ArgumentOutOfRangeException> [ "8192" ] (fun () -> reservation.Persist(0L, 6L * page))
            use again = reservation.Map(paths[1], 2L * page)
            Expect.equal (again.Read<byte> 5L) 9uy "it can come back"
            maps[0].Dispose()
            maps[2].Dispose())

let private acrossFailures =
    testCase "a mapping that fails keeps nobody from persisting the others"
    <| fun () ->
        Harness.inDirectory (fun directory ->
            let path = Path.Combine(directory, "f")
            let outcome = Child.run "persist-across-holes" [ path ] []

            match outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries) with
            | [| first; second |] ->
                Expect.stringContains first (path + "1") "the first failure is told"
                Expect.stringContains second (path + "2") "the second has failed, and says so"
                Expect.stringContains second "ENOMEM" "why"
            | _ -> failtest (outcome.Output + outcome.Error))

let private takenSpace =
    testCase "overlapping places are refused, and growth stops at the next mapping"
    <| fun () ->
        withFiles 2 (2L * page) (fun paths ->
            use reservation = AddressReservation.Create(6L * page, Harness.freeAddress ())
            use first = reservation.Map(paths[0], 0L)
            let second = reservation.Map(paths[1], 3L * page)

            for at in [ page; 2L * page; 4L * page ] do
                refused<PmemException> [ paths[0]; "taken" ] (fun () -> reservation.Map(paths[0], at) |> ignore)

            refused<PmemException> [ "not in the reservation" ] (fun () ->
                reservation.Map(paths[0], 5L * page) |> ignore)

            refused<PmemException> [ "multiple" ] (fun () -> reservation.Map(paths[0], 100L) |> ignore)
            first.Grow(3L * page)
            refused<PmemException> [ paths[1]; "taken" ] (fun () -> first.Grow(3L * page + 1L))
            Expect.equal (first.Length, lengthOf paths[0]) (3L * page, 3L * page) "as it was"
            second.Dispose()
            first.Grow(6L * page)
            refused<PmemException> [ "reserved" ] (fun () -> first.Grow(6L * page + 1L))
            reservation.Extend page
            first.Grow(6L * page + 1L))

let private reservations =
    testCase "a reservation is extended, shrunk, refused"
    <| fun () ->
        withFiles 1 page (fun paths ->
            use reservation = AddressReservation.Create(4L * page, Harness.freeAddress ())
            let start = NativePtr.toNativeInt reservation.Pointer

            refused<PmemException> [ "something is mapped" ] (fun () ->
                AddressReservation.Create(2L * page, NativePtr.ofNativeInt (start + nativeint page))
                |> ignore)

            refused<ArgumentOutOfRangeException> [] (fun () -> AddressReservation.Create 100L |> ignore)
            refused<ArgumentOutOfRangeException> [] (fun () -> AddressReservation.Create 0L |> ignore)

            refused<PmemException> [ "bytes of address space: ENOMEM" ] (fun () ->
                AddressReservation.Create(1L <<< 50) |> ignore)

            use map = reservation.Map(paths[0], 2L * page)
            refused<ArgumentOutOfRangeException> [] (fun () -> reservation.Shrink(page, page))
            refused<ArgumentOutOfRangeException> [] (fun () -> reservation.Shrink(0L, 4L * page))
            refused<InvalidOperationException> [ "mapping lies there" ] (fun () -> reservation.Shrink(0L, 3L * page))
            reservation.Shrink(0L, page)

            Expect.equal
                (NativePtr.toNativeInt reservation.Pointer, reservation.Length)
                (start + nativeint page, 3L * page)
                "cut"

            Expect.equal (reservation.Find(page, 1L)) map "it is where it was"
            reservation.Shrink(2L * page, page)

            use behind =
                AddressReservation.Create(page, NativePtr.ofNativeInt (start + 3n * nativeint page))

            refused<PmemException> [ "something is mapped" ] (fun () -> reservation.Extend page)
            Expect.equal reservation.Length (2L * page) "as it was")

type Move =
    | MapAt of file: int * at: int
    | Unmap of int
    | GrowBy of int * pages: int

let private moves =
    Gen.oneof
        [
            Gen.map2 (fun file at -> MapAt(file, at)) (Gen.choose (0, 3)) (Gen.choose (0, 15))
            Gen.map Unmap (Gen.choose (0, 3))
            Gen.map2 (fun file pages -> GrowBy(file, pages)) (Gen.choose (0, 3)) (Gen.choose (1, 4))
        ]

type private Arbitraries =
    static member Moves() = Arb.fromGen (Gen.listOfLength 20 moves)

/// Whatever is mapped, unmapped and grown: nothing overlaps, every byte is its file's own, what is refused changes nothing.
let private neverOverlap (moves: Move list) =
    withFiles 4 (2L * page) (fun paths ->
        use reservation = AddressReservation.Create(16L * page)
        let maps: PmemMapping option array = Array.create 4 None

        let tried action =
            try
                action ()
            with :? PmemException ->
                ()

        let live () =
            [
                for file, map in Seq.indexed maps do
                    if map.IsSome then
                        file, map.Value
            ]

        for move in moves do
            match move with
            | MapAt(file, at) when maps[file].IsNone ->
                tried (fun () -> maps[file] <- Some(reservation.Map(paths[file], int64 at * page)))
            | Unmap file ->
                maps[file] |> Option.iter _.Dispose()
                maps[file] <- None
            | GrowBy(file, pages) ->
                maps[file]
                |> Option.iter (fun map -> tried (fun () -> map.Grow(map.Length + int64 pages * page)))
            | MapAt _ -> ()

            for file, map in live () do
                map.Fill(0L, map.Length, byte (file + 1))
                let at = address map - NativePtr.toNativeInt reservation.Pointer
                reservation.Persist(int64 at, map.Length)

            for file, map in live () do
                let bytes = File.ReadAllBytes paths[file] |> Seq.truncate (int map.Length)
                Expect.all bytes ((=) (byte (file + 1))) "own bytes"

        for _, map in live () do
            map.Dispose())

let tests =
    testList
        "growing"
        [
            grows
            shorterIsNothing
            refusals
            onFullDisk
            concurrent
            disposedMeanwhile
            eachCallFails
            sideBySide
            acrossFailures
            takenSpace
            reservations
            Harness.propertyOf
                (Harness.cases 10 60)
                "mappings in a reservation never overlap"
                [ typeof<Arbitraries> ]
                neverOverlap
        ]
