/// What child processes of the tests do. Each prints what it found, and the test that started it judges.
module Pmem.Tests.Children

open System
open System.IO
open Pmem
open Pmem.Linux
open Pmem.Testing

/// Prints the kind and message of what the action throws, or "nothing".
let private tell (action: unit -> unit) =
    try
        action ()
        printfn "nothing"
    with e ->
        printfn "%s: %s" (e.GetType().Name) e.Message

let private map (path: string) (action: PmemMapping -> unit) =
    use map = PmemMapping.Create(path, 65536L)
    action map

/// Everything that a mapping says of itself, and that it works.
let private describe (path: string) =
    map path (fun map ->
        map.Span.Fill 9uy
        map.Persist(0L, map.Length)
        map.Execute(FlushPlan.Of(ByteRange(0L, 1L), ByteRange(9000L, 1L)))
        map.Flush(0L, 8L)
        map.Drain()
        map.DeepPersist(0L, 8L)
        printfn "%O" map
        printfn "%O" map.Granularity
        printfn "%s" (PmemPlatform.Describe()))

let private asNobody (action: string -> unit) path =
    Posix.DropPrivileges()
    action path

/// Persists between two marks, so that a trace shows the system calls of a persist.
let private persistBetweenMarks (path: string) =
    map path (fun map ->
        let plan = FlushPlan.Of(ByteRange(0L, 8L), ByteRange(4096L, 8L))

        let once () =
            map.Span[5000] <- 1uy
            map.Persist(5000L, 8L)

        // The first calls link what they call, each place of a call for itself: so the last one is made where the others were. Who
        // traces has the JIT compiler compile once, and nothing is compiled later.
        for turn in 1..10 do
            map.Execute plan
            Posix.Mark(if turn = 10 then "<begin>" else "warm")
            once ()
            Posix.Mark(if turn = 10 then "<end>" else "warm"))

/// A page unmapped behind the library's back makes msync fail. The mapping is not disposed: by then the hole may be
/// somebody else's memory. So it may be before the msync, which then succeeds: hence some tries.
let private persistOverAHole (path: string) =
    let fails () =
        let map = PmemMapping.Create(path, 3L * 4096L)
        Posix.Unmap(NativeInterop.NativePtr.toNativeInt map.Pointer + 4096n, 4096un)

        try
            map.Msync(0L, map.Length)
            false
        with e ->
            printfn "%s: %s" (e.GetType().Name) e.Message
            true

    Seq.exists (fun _ -> fails ()) (seq { 1..50 }) |> ignore

/// Adopts memory with a hole. What another thread maps there meanwhile makes it whole: hence some tries.
let private adoptAHole (_: string) =
    let isRefused () =
        let address =
            SysMman.MapAnonymous(3un * 4096un, SysMman.ProtRead ||| SysMman.ProtWrite)

        Posix.Unmap(address + 4096n, 4096un)
        let pointer = NativeInterop.NativePtr.ofNativeInt<byte> address

        try
            (PmemMapping.Adopt(pointer, 3L * 4096L, StoreGranularity.Byte)).Dispose()
            false
        with :? PmemException as e ->
            printfn "%s" e.Message
            true

    Seq.exists (fun _ -> isRefused ()) (seq { 1..50 }) |> ignore

/// Persists across two mappings of a reservation with a hole in each, and tells what failed first, and whether the second has
/// failed by then too: it must not be left out because the first failed, or had failed before. The hole of the second is filled
/// before it is asked. Another thread may fill a hole before: hence some tries.
let private persistAcrossHoles (path: string) =
    let messageOf (action: unit -> unit) =
        try
            action ()
            "nothing"
        with :? PmemException as e ->
            e.Message

    let tried () =
        let reservation = AddressReservation.Create(4L * 4096L)
        let start = NativeInterop.NativePtr.toNativeInt reservation.Pointer

        for name in [ "1"; "2" ] do
            (PmemMapping.Create(path + name, 2L * 4096L)).Dispose()

        reservation.Map(path + "1", 0L) |> ignore
        let second = reservation.Map(path + "2", 2L * 4096L)

        let persist () =
            messageOf (fun () -> reservation.Persist(0L, 4L * 4096L))

        // The first mapping fails, and from then on it refuses at once.
        Posix.Unmap(start + 4096n, 4096un)
        persist () |> ignore
        Posix.Unmap(start + 2n * 4096n, 4096un)
        let first = persist ()

        SysMman.MapAnonymous(4096un, SysMman.ProtRead, SysMman.MapFixedNoReplace, start + 2n * 4096n)
        |> ignore

        first, messageOf (fun () -> second.Persist(4096L, 8L))

    let outcomes = List.init 10 (fun _ -> tried ())

    let first, second =
        outcomes
        |> List.tryFind (fun (first, second) -> first.Contains(path + "1") && second <> "nothing")
        |> Option.defaultValue (List.last outcomes)

    printfn "%s\n%s" first second

/// Clears the first bad block of a source, and tells how it ended.
let private clearBadBlocks (path: string) =
    use source = PmemSource.Open path

    try
        source.ClearBadBlocks(source.FindBadBlocks()[0])
        printfn "cleared"
    with :? PmemException as e ->
        printfn "%s" e.Message

/// Stores to the second page of a file, and tells the kernel that this page is broken: the end of this process.
let private poison (path: string) =
    use map = PmemMapping.Open path
    map.Write(4096L, 7L, PmemCopyOptions.NoFlush)
    Posix.Poison(NativeInterop.NativePtr.toNativeInt map.Pointer + 4096n, 4096un)

[<Literal>]
let private MapsBesideOthers = 2000

/// Maps a file again and again while other threads map memory of their own, and looks whether theirs is left alone.
let private mapBesideOthers (path: string) =
    use file = PmemMapping.Create(path, 4L <<< 20, PmemCreateOptions(Sparse = true))
    let mutable isOver = false
    let mutable foreign = 0

    let mapOwn () =
        let bytes = 2un <<< 20

        while not (Threading.Volatile.Read &isOver) do
            let address = TestMemory.Map(int64 bytes)
            let memory = Span<byte>(address.ToPointer(), int bytes)
            memory[0] <- 77uy
            memory[1 <<< 20] <- 77uy
            Threading.Thread.SpinWait 200

            if memory[0] <> 77uy || memory[1 <<< 20] <> 77uy then
                Threading.Interlocked.Increment &foreign |> ignore

            TestMemory.Unmap(address, int64 bytes)

    let threads = [ for _ in 1..4 -> Threading.Thread mapOwn ]
    threads |> List.iter (fun thread -> thread.Start())

    for _ in 1..MapsBesideOthers do
        (PmemMapping.Open path).Dispose()

    Threading.Volatile.Write(&isOver, true)
    threads |> List.iter (fun thread -> thread.Join())
    printfn "%d of %O" foreign file.Length

/// Prints how many mappings of the file, of anything, and how many descriptors of the file or its directory a thousand cycles
/// left behind.
let private mapAThousandTimes (path: string) =
    let mappings (part: string) =
        File.ReadLines "/proc/self/maps"
        |> Seq.filter (fun line -> line.Contains part)
        |> Seq.length

    let ours = nonNull (Path.GetDirectoryName path)

    let descriptors () =
        FileChildren.descriptors ()
        |> Seq.filter (fun target -> target.StartsWith ours)
        |> Seq.length

    let once () =
        use map = PmemMapping.Create(path, 1L <<< 21)
        map.Span[0] <- 1uy
        map.Persist(0L, 1L)

    once ()
    let before = mappings ""

    for _ in 1..1000 do
        once ()

    printfn "%d %d %d" (mappings path) (mappings "" - before) (descriptors ())

/// Copies and fills whole lines past the cache.
let private copyLines (path: string) =
    map path (fun map ->
        map.Write(0L, ReadOnlySpan(Array.zeroCreate<byte> 4096), PmemCopyOptions.NonTemporal)
        map.Fill(0L, 4096L, 1uy, PmemCopyOptions.NonTemporal))

/// Grows between the marks, and tells the lengths of mapping, file and what can be stored to.
let private grow (path: string) =
    use map =
        PmemMapping.Create(path, 4096L, PmemCreateOptions(ReserveLength = 40_000L))
    // The runtime compiles meanwhile, and calls for itself: so once before.
    using (PmemMapping.Create(path + "2", 4096L, PmemCreateOptions(ReserveLength = 40_000L))) (fun map ->
        map.Grow 20_000L)

    Posix.Mark "<begin>"

    try
        map.Grow 20_000L
    with :? PmemException as e ->
        printfn "refused %s" e.ErrorName

    Posix.Mark "<end>"
    map.Fill(0L, map.Length, 1uy)
    printfn "%d %d %d" map.Length (IO.FileInfo(path).Length) (map.Length)

let private table: Map<string, string -> unit> =
    Map
        [
            "describe", describe
            "copy-lines", copyLines
            "race", FileChildren.race
            "traced", FileChildren.traced
            "opened", FileChildren.opened
            "limited", FileChildren.limited
            "without-proc", FileChildren.withoutProc
            "libpmem-recorded", MachineChildren.libPmemRecorded
            "libpmem-real", MachineChildren.libPmemReal
            "libpmem-both", MachineChildren.libPmemBoth
            "cut", MachineChildren.cut
            "dispose", MachineChildren.dispose
            "deep-persist", MachineChildren.deepPersist
            "compile", MachineChildren.compile
            "lines-first", MachineChildren.linesFirst
            "two-addresses", FileChildren.twoAddresses
            "is-pmem", FileChildren.isPmem
            "create", fun path -> map path ignore
            "platform", fun _ -> tell (fun () -> PmemPlatform.Current |> ignore)
            "address",
            fun (path: string) ->
                map path (fun map -> printfn "0x%x" (int64 (NativeInterop.NativePtr.toNativeInt map.Pointer)))
            "open-as-nobody", asNobody (fun path -> tell (fun () -> PmemMapping.Open(path).Dispose()))
            "domains-as-nobody",
            asNobody (fun path -> printfn "%s" (Doubles.PersistenceDomains path |> String.concat ","))
            "create-as-nobody", asNobody (fun path -> tell (fun () -> PmemMapping.Create(path, 4096L).Dispose()))
            "persist-between-marks", persistBetweenMarks
            "persist-over-a-hole", persistOverAHole
            "map-a-thousand-times", mapAThousandTimes
            "map-beside-others", mapBesideOthers
            "grow", grow
            "adopt-a-hole", adoptAHole
            "persist-across-holes", persistAcrossHoles
            "clear-bad-blocks", clearBadBlocks
            "poison", poison
            "libpmem2-calls", LibPmem2Calls.run
        ]

let run name path =
    table[name] path
    0
