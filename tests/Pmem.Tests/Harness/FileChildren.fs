/// What child processes do with files: make one name at once, and make, persist and dispose under a tracer.
module Pmem.Tests.FileChildren

open System
open System.IO
open System.Threading
open Pmem
open Pmem.Testing

let private number name =
    Environment.GetEnvironmentVariable name |> nonNull |> Int32.Parse

[<Literal>]
let LengthBytes = 65536L

/// Waits until every process has come to this step; the word is shared by all.
let private meet (gate: PmemMapping) (everybody: int) (step: int) =
    let rec arrive () =
        let before = gate.Read<int64> 0L

        if gate.CompareExchange(0L, before + 1L, before) <> before then
            arrive ()

    arrive ()

    let started = Environment.TickCount64

    while gate.Read<int64> 0L < int64 everybody * int64 step do
        Thread.Sleep 0

        if Environment.TickCount64 - started > 60_000L then
            failwith $"somebody did not come to step {step}"

/// Each process makes the same names as all others, at once: first exclusively, then shared, and stores its own word.
let race (gatePath: string) =
    use gate = PmemMapping.Open gatePath

    let me, everybody, rounds =
        number "PMEM_ME", number "PMEM_EVERYBODY", number "PMEM_ROUNDS"

    let directory = Environment.GetEnvironmentVariable "PMEM_PLACE" |> nonNull

    let store (map: PmemMapping) =
        let offset = int64 me * 8L
        map.Store(offset, int64 (me + 1))
        map.Persist(offset, 8L)

    for round in 0 .. rounds - 1 do
        let at (kind: string) =
            Path.Combine(directory, $"{kind}{round}")

        meet gate everybody (2 * round + 1)

        try
            use map =
                PmemMapping.Create(at "exclusive", LengthBytes, PmemCreateOptions(Exclusive = true))

            store map
            printfn "won %d" round
        with :? PmemException as e when e.ErrorName = "EEXIST" ->
            ()

        meet gate everybody (2 * round + 2)

        use map =
            PmemMapping.Create(at "shared", LengthBytes, PmemCreateOptions(Sparse = (me % 3 = 0)))

        store map

/// Makes, persists and disposes between two marks, and tells how far it came. The same was done before, elsewhere, so that
/// nothing but the library's own system calls lies between the marks.
let traced (path: string) =
    let mutable stage = "nothing"

    let all (path: string) =
        use map = PmemMapping.Create(path, LengthBytes)
        stage <- "created"
        map.Span[5000] <- 1uy
        map.Persist(5000L, 1L)
        stage <- "persisted"

    // The console makes calls of its own when it is first written to.
    Console.Out.WriteLine()
    let warm = path + ".warm"

    for _ in 1..3 do
        all warm
        File.Delete warm

    stage <- "nothing"
    Posix.Mark "<begin>"

    try
        all path
        stage <- "disposed"
        Posix.Mark "<end>"
        printfn "%s" stage
    with e ->
        Posix.Mark "<end>"
        printfn "%s; %s: %s" stage (e.GetType().Name) e.Message

/// What came of one step, in a line.
let private step (name: string) (action: unit -> unit) =
    try
        action ()
        $"{name}: done"
    with
    | :? PmemException as e -> $"{name}: {e.ErrorName} {e.Message}"
    | e -> $"{name}: {e.GetType().Name} {e.Message}"

/// What this process's descriptors lead to.
let descriptors () =
    // The listing lists its own descriptor too, which is closed by now.
    let target (link: string) =
        try
            File.ResolveLinkTarget(link, false) |> Option.ofObj |> Option.map _.FullName
        with :? FileNotFoundException ->
            None

    Directory.GetFileSystemEntries "/proc/self/fd" |> Seq.choose target

/// Opens between two marks, persists twice, disposes twice; tells what came of each step, and how many mappings and
/// descriptors of the file are left. The same was done before, elsewhere.
let opened (path: string) =
    let heldIn (names: string seq) =
        names |> Seq.filter (fun name -> name.EndsWith path) |> Seq.length

    let all (path: string) =
        let mutable map: PmemMapping | null = null

        let isOpen =
            step "open" (fun () -> map <- PmemMapping.Open(path, PmemOpenOptions(Reserve = true, Prefault = true)))

        match map with
        | null -> [ isOpen ]
        | map ->
            let persist name =
                step name (fun () ->
                    map.Span[5000] <- 1uy
                    map.Persist(5000L, 1L))

            let first = persist "persist"
            let again = persist "persist again"
            let disposed = step "dispose" map.Dispose
            [ isOpen; first; again; disposed; step "dispose again" map.Dispose ]

    let warm = path + ".warm"
    File.Copy(path, warm)

    for _ in 1..3 do
        all warm |> ignore

    File.Delete warm
    Posix.Mark "<begin>"
    let said = all path
    Posix.Mark "<end>"
    said |> List.iter (printfn "%s")
    printfn "left: %d %d" (heldIn (File.ReadLines "/proc/self/maps")) (heldIn (descriptors ()))

/// Where two mappings lie, of 4 MiB and 64 KiB.
let twoAddresses (path: string) =
    use first = PmemMapping.Create(path, 4L <<< 20, PmemCreateOptions(Sparse = true))
    use second = PmemMapping.Create(path + "2", LengthBytes)

    let address (map: PmemMapping) =
        int64 (NativeInterop.NativePtr.toNativeInt map.Pointer)

    printfn "0x%x 0x%x" (address first) (address second)

/// Whether one byte, and none, are persistent memory by libpmem's function.
let isPmem (path: string) =
    use map = PmemMapping.Create(path, LengthBytes)
    let address = NativeInterop.NativePtr.toVoidPtr map.Pointer
    printfn "%O %O" (LibPmem.IsPmem(address, 1un)) (LibPmem.IsPmem(address, 0un))

/// A file longer than the process may make.
let limited (path: string) =
    Posix.LimitFileSize 8192L

    let tell (length: int64) options =
        try
            PmemMapping.Create(path, length, options).Dispose()
            printfn "made %d" length
        with e ->
            printfn "%s: %s" (e.GetType().Name) e.Message

    tell 65536L (PmemCreateOptions())
    tell 65536L (PmemCreateOptions(Sparse = true))
    tell 8192L (PmemCreateOptions())

/// Makes and opens files where there is no /proc, as nobody: linkat(2) may then have no way to give a file its name.
let withoutProc (path: string) =
    let length = 4096L

    let tell name (action: unit -> PmemMapping) =
        printfn "%s" (step name (fun () -> action().Dispose()))

    tell "before" (fun () -> PmemMapping.Create(path + ".before", length))
    Posix.HideProc()
    Posix.DropPrivileges()
    tell "created" (fun () -> PmemMapping.Create(path, length))
    tell "exclusive" (fun () -> PmemMapping.Create(path, length, PmemCreateOptions(Exclusive = true)))
    tell "another" (fun () -> PmemMapping.Create(path + "2", length, PmemCreateOptions(Exclusive = true)))
    tell "grown" (fun () -> PmemMapping.Create(path, 2L * length))
    tell "opened" (fun () -> PmemMapping.Open path)
    tell "linked" (fun () -> PmemMapping.Create(path + ".link", length))
    tell "nowhere" (fun () -> PmemMapping.Create(path + "/none/f", length))
    tell "missing" (fun () -> PmemMapping.Create((nonNull (Path.GetDirectoryName path)) + "/none/f", length))
