module Pmem.Tests.MappingTests

open System
open System.IO
open System.Threading
open Expecto
open FsCheck
open FsCheck.FSharp
open Pmem
open Pmem.Testing

/// What a user does to one file, again and again.
type Step =
    | Write of offset: int * bytes: byte[]
    | Persist of offset: int * length: int
    | ExecutePlan of ByteRange list
    | Reopen
    | Resize of length: int

let private maxBytes = 3 * 4096

let private stepGen =
    let inFile next =
        gen {
            let! offset = Gen.choose (0, maxBytes - 1)
            let! length = Gen.choose (0, min 300 (maxBytes - offset))
            return! next offset length
        }

    Gen.frequency
        [
            6,
            inFile (fun offset length ->
                Gen.arrayOfLength length (Gen.choose (0, 255) |> Gen.map byte)
                |> Gen.map (fun bytes -> Write(offset, bytes)))
            3, inFile (fun offset length -> Gen.constant (Persist(offset, length)))
            2,
            Gen.listOf (inFile (fun offset length -> Gen.constant (ByteRange(int64 offset, int64 length))))
            |> Gen.map ExecutePlan
            2, Gen.constant Reopen
            1, Gen.choose (1, maxBytes) |> Gen.map Resize
        ]

type private Arbitraries =
    static member Steps() =
        Arb.fromGenShrink (
            Gen.listOf stepGen,
            fun steps -> seq { for i in 0 .. steps.Length - 1 -> List.removeAt i steps }
        )

/// Applies a step to the model: a plain array of bytes.
let private applyToModel (model: byte[]) step =
    match step with
    | Write(offset, bytes) when offset + bytes.Length <= model.Length ->
        let copy = Array.copy model
        bytes.CopyTo(copy, offset)
        copy
    | Resize length -> Array.init length (fun i -> if i < model.Length then model[i] else 0uy)
    | _ -> model

/// Applies a step to the file; what it promises to be durable must have been made so.
let private applyToFile (path: string) (observed: Observed) step =
    let map = observed.Mapping

    let fits offset length =
        int64 offset + int64 length <= map.Length

    observed.Take() |> ignore

    match step with
    | Write(offset, bytes) when fits offset bytes.Length ->
        bytes.CopyTo(map.GetSpan(int64 offset, bytes.Length))
        observed
    | Persist(offset, length) when fits offset length ->
        map.Persist(int64 offset, int64 length)
        Persisted.expect observed [ ByteRange(int64 offset, int64 length) ]
        observed
    | ExecutePlan ranges when ranges |> List.forall (fun range -> range.IsWithin map.Length) ->
        map.Execute(FlushPlan.ofRanges ranges)
        Persisted.expect observed ranges
        observed
    | Reopen ->
        map.Dispose()
        Observed.Open path
    | Resize length ->
        map.Dispose()
        Observed.Create(path, int64 length, PmemCreateOptions(Truncate = true))
    | _ -> observed

let tests =
    testList
        "mapping"
        [
            Harness.propertyOf
                (Harness.cases 60 600)
                "is a byte array that survives being closed, and every persist makes durable"
                [ typeof<Arbitraries> ]
                (fun (steps: Step list) ->
                    let mutable agrees = true

                    Harness.inDirectory (fun directory ->
                        let path = Path.Combine(directory, "f")
                        let mutable model = Array.zeroCreate<byte> maxBytes
                        let mutable file = Observed.Create(path, int64 maxBytes)

                        try
                            for step in steps do
                                model <- applyToModel model step
                                file <- applyToFile path file step
                                agrees <- agrees && file.Mapping.ReadOnlySpan.SequenceEqual(ReadOnlySpan model)
                        finally
                            file.Dispose()

                        agrees <- agrees && Harness.bytesOf(path).AsSpan().SequenceEqual(ReadOnlySpan model))

                    agrees)

            testCase "what was persisted is there after it is opened again"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let path = Path.Combine(directory, "f")

                    do
                        use file = Observed.Create(path, 10_000L)
                        file.Mapping.Span[9_999] <- 42uy
                        file.Mapping.Persist(9_999L, 1L)
                        Persisted.expect file [ ByteRange(9_999L, 1L) ]

                    use map = PmemMapping.Open path
                    Expect.equal map.Length 10_000L "length"
                    Expect.equal map.Span[9_999] 42uy "byte")

            testCase "maps a part of a file"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let path = Path.Combine(directory, "f")
                    let granule = Harness.granule
                    File.WriteAllBytes(path, Array.init (4 * granule) (fun i -> byte (i / granule)))
                    let offset, length = int64 (2 * granule), int64 granule + 904L
                    use map = PmemMapping.Open(path, PmemOpenOptions(Offset = offset, Length = length))
                    Expect.equal map.Length length "length"
                    Expect.equal map.Span[0] 2uy "first"
                    Expect.equal map.Span[int length - 1] 3uy "last"
                    map.Span[0] <- 9uy
                    map.Persist(0L, 1L)
                    Expect.equal ((Harness.bytesOf path)[2 * granule]) 9uy "in the file")

            testCase "extends, cuts, and leaves the bytes"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let path = Path.Combine(directory, "f")
                    File.WriteAllBytes(path, Array.create 5000 7uy)

                    do
                        use map = PmemMapping.Create(path, 9000L)
                        Expect.equal map.Span[4999] 7uy "old byte"
                        Expect.equal map.Span[5000] 0uy "new byte"

                    Expect.equal (FileInfo(path).Length) 9000L "extended"
                    (PmemMapping.Create(path, 100L, PmemCreateOptions(Truncate = true))).Dispose()
                    Expect.equal (Harness.bytesOf path) (Array.create 100 7uy) "cut")

            Harness.onLinux "reserves storage unless it is to be sparse"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let blocks name sparse =
                        let path = Path.Combine(directory, name)
                        (PmemMapping.Create(path, 1L <<< 20, PmemCreateOptions(Sparse = sparse))).Dispose()
                        (Child.command "stat" [ "-c"; "%b"; path ]).Output.Trim() |> int64

                    Expect.isGreaterThanOrEqual (blocks "full" false) 2048L "blocks of 512 bytes"
                    Expect.isLessThan (blocks "sparse" true) 64L "blocks of 512 bytes")

            Harness.onLinux "gives a new file to its owner alone, unless told otherwise"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let modeOf name options =
                        let path = Path.Combine(directory, name)
                        (PmemMapping.Create(path, 1L, options)).Dispose()
                        File.GetUnixFileMode path

                    let ownerOnly = UnixFileMode.UserRead ||| UnixFileMode.UserWrite
                    Expect.equal (modeOf "a" (PmemCreateOptions())) ownerOnly "default"

                    let shared = ownerOnly ||| UnixFileMode.GroupRead
                    Expect.equal (modeOf "b" (PmemCreateOptions(UnixFileMode = shared))) shared "asked for")

            Harness.onLinux "a temporary file has no name and its own bytes"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    use map = PmemMapping.CreateTemporary(directory, 5000L)
                    map.Span.Fill 3uy
                    map.Persist(0L, map.Length)
                    Expect.isEmpty (Directory.EnumerateFileSystemEntries directory) "no name")

            Harness.onLinux "reads through a read-only mapping, and refuses to hand out a span to store to"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let path = Path.Combine(directory, "f")
                    File.WriteAllBytes(path, [| 1uy; 2uy; 3uy |])
                    File.SetUnixFileMode(path, UnixFileMode.UserRead)
                    use map = PmemMapping.Open(path, PmemOpenOptions(ReadOnly = true))
                    Expect.equal (map.ReadOnlySpan.ToArray()) [| 1uy; 2uy; 3uy |] "bytes"
                    map.Persist(0L, 3L)
                    Expect.throwsT<InvalidOperationException> (fun () -> map.Span.Clear()) "span"
                    Expect.throwsT<InvalidOperationException> (fun () -> map.Memory |> ignore) "memory"

                    Expect.throwsT<InvalidOperationException>
                        (fun () -> (map :> IPersistentMemory).StoreInt32(0L, 1))
                        "store")

            testCase "places a large mapping at an address for huge pages, not always the same"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let addressOf length =
                        use map =
                            PmemMapping.CreateTemporary(directory, length, PmemCreateOptions(Sparse = true))

                        int64 (NativeInterop.NativePtr.toNativeInt map.Pointer)

                    let addresses = List.init 8 (fun _ -> addressOf (5L <<< 20))

                    for address in addresses do
                        Expect.equal (address % (2L <<< 20)) 0L "2 MiB"

                    Expect.isGreaterThan (List.distinct addresses).Length 1 "random"
                    Expect.equal (addressOf ((1L <<< 30) + 4096L) % (1L <<< 30)) 0L "1 GiB")

            testCase "is memory for asynchronous code, until it is disposed"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let map = PmemMapping.CreateTemporary(directory, 8192L)
                    let memory = map.GetMemory(4096L, 100)
                    memory.Span[0] <- 5uy
                    Expect.equal map.Span[4096] 5uy "the same bytes"

                    do
                        use handle = memory.Slice(1).Pin()
                        NativeInterop.NativePtr.write (NativeInterop.NativePtr.ofVoidPtr<byte> handle.Pointer) 6uy

                    Expect.equal map.Span[4097] 6uy "pinned"
                    map.Dispose()
                    Expect.throwsT<ObjectDisposedException> (fun () -> memory.Span.Clear()) "after Dispose")

            Harness.needing
                "Linux without an emulator's own mappings"
                (fun () -> OperatingSystem.IsLinux() && not Harness.isEmulator)
                "leaks no mapping and no descriptor"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    // Alone in its process: other tests map and open things too.
                    let outcome =
                        Child.run "map-a-thousand-times" [ Path.Combine(directory, "cycle") ] []

                    let counts = outcome.Output.Trim().Split ' ' |> Array.map int
                    Expect.equal counts[0] 0 "mappings of the file"
                    // The runtime maps some dozens for itself; a leak would be a thousand.
                    Expect.isLessThan counts[1] 100 "more mappings of any kind"
                    Expect.equal counts[2] 0 "descriptors")

            testCase "maps over nothing that other threads map meanwhile"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let outcome = Child.run "map-beside-others" [ Path.Combine(directory, "f") ] []
                    Expect.equal (outcome.ExitCode, outcome.Output.Trim()) (0, "0 of 4194304") outcome.Error)

            testCase "a name that is given last is refused where somebody took it, and theirs stays"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let path = Path.Combine(directory, "f")

                    let create length =
                        try
                            use map = PmemMapping.Create(path, length, PmemCreateOptions(Exclusive = true))
                            map.Span[0] <- 1uy
                            1
                        with :? PmemException as e when e.ErrorName = Harness.here "EEXIST" "ERROR_FILE_EXISTS" ->
                            0

                    for _ in 1..50 do
                        let winners = Array.Parallel.map create [| 4096L; 8192L; 12288L; 16384L |]
                        Expect.equal (Array.sum winners) 1 "one made it"
                        Expect.equal ((Harness.bytesOf path)[0]) 1uy "and has it"
                        File.Delete path)

            testCase "eight threads persist disjoint ranges"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    use map = PmemMapping.CreateTemporary(directory, 8L * 8192L)

                    let work (thread: int) =
                        let first = int64 thread * 8192L

                        for i in 0..199 do
                            let offset = first + int64 (i * 41 % 8000)
                            map.GetSpan(offset, 8).Fill(byte thread)
                            map.Persist(offset, 8L)

                    let threads = [ for i in 0..7 -> Thread(fun () -> work i) ]
                    threads |> List.iter (fun thread -> thread.Start())
                    threads |> List.iter (fun thread -> thread.Join())

                    for thread in 0..7 do
                        let bytes = map.GetSpan(int64 thread * 8192L, 8192).ToArray()
                        Expect.isTrue (bytes |> Array.forall (fun b -> b = 0uy || b = byte thread)) $"thread {thread}")

            testCase "is disposed safely while other threads persist"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    for round in 1..200 do
                        let map = PmemMapping.Create(Path.Combine(directory, "f"), 65536L)
                        let mutable surprise: exn | null = null
                        let plan = FlushPlan.Of(ByteRange(0L, 4096L), ByteRange(20_000L, 100L))
                        use started = new CountdownEvent(2)

                        let persist () =
                            started.Signal() |> ignore

                            try
                                while true do
                                    map.Persist(4096L, 64L)
                                    map.Execute plan
                                    (map :> IPersistentMemory).StoreInt64(0L, 1L)
                            with
                            | :? ObjectDisposedException -> ()
                            | e -> surprise <- e

                        let threads = [ for _ in 1..2 -> Thread persist ]
                        threads |> List.iter (fun thread -> thread.Start())
                        started.Wait()
                        Thread.SpinWait(round * 50)
                        map.Dispose()
                        threads |> List.iter (fun thread -> thread.Join())
                        Expect.isNull surprise "only ObjectDisposedException")

            testCase "allocates nothing to persist, flush, drain or execute"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    use map = PmemMapping.CreateTemporary(directory, 65536L)
                    let plan = FlushPlan.Of([| for i in 0L .. 15L -> ByteRange(i * 4096L, 8L) |])

                    let all () =
                        map.Persist(0L, 8L)
                        map.Flush(64L, 8L)
                        map.Drain()
                        map.Execute plan
                        map.DeepFlush(0L, 8L)

                    for _ in 1..50 do
                        all ()

                    let before = GC.GetAllocatedBytesForCurrentThread()

                    for _ in 1..200 do
                        all ()

                    Expect.equal (GC.GetAllocatedBytesForCurrentThread()) before "bytes")
        ]
