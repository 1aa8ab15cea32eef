/// What only a machine with real persistent memory can show; tests/vm gives one to every machine.
module Pmem.Tests.Dax

open System
open System.IO
open Expecto
open Pmem
open Pmem.Testing
open Pmem.Tests.DaxPlaces
open Pmem.Tests.Harness

[<Literal>]
let private HugePage = 0x200000L

let private length = 4L * HugePage

/// What a persist of these bytes must be told to the machine.
let private lowered (mapping: PmemMapping) (plan: FlushPlan) =
    let lowered = Lowering.ofPlan mapping.Info.Facts.Platform mapping.Granularity plan

    if mapping.Granularity = StoreGranularity.Page then
        ExecutorTests.joined lowered
    else
        lowered

let private rangesOf (seed: int) =
    let random = Random seed

    [
        for _ in 0 .. random.Next 6 -> ByteRange.create (random.NextInt64(length - 9000L)) (1L + random.NextInt64 9000L)
    ]

/// The same on a file and on a device.
let private sameOnBoth (place: Place) (opened: unit -> Observed) =
    [
        testCase "is what it was said to be"
        <| fun () ->
            use observed = opened ()
            Expect.equal observed.Mapping.Granularity place.Granularity (string observed.Mapping)
            Expect.equal observed.Mapping.IsPmem place.IsPmem (string observed.Mapping)

        testCase "lies where huge pages can be used, or where PMEM_MMAP_HINT says"
        <| fun () ->
            use observed = opened ()
            let address = int64 observed.Address

            match PmemPlatform.Current.Environment.MmapHint with
            | 0L -> Expect.equal (address % HugePage) 0L (observed.Address.ToString "x")
            | hint -> Expect.equal address hint "address"

        testCase "executes what the core decided, and nothing else"
        <| fun () ->
            use observed = opened ()

            for seed in 1..50 do
                let plan = FlushPlan.ofRanges (rangesOf seed)

                for range in FlushPlan.ranges plan do
                    observed.Mapping.GetSpan(range.Offset, int range.Length).Fill(byte seed)

                observed.Mapping.Execute plan
                Expect.equal (List.ofSeq (observed.Take())) (lowered observed.Mapping plan) (string plan)

        testCase "copies, fills and moves as an array does, also when it is opened again"
        <| fun () ->
            let model = Array.zeroCreate<byte> 300_000
            let random = Random 7
            let anywhere length = random.Next(model.Length - length)

            let change (map: PmemMapping) how length =
                let source = Array.init length (fun _ -> byte (random.Next 256))
                let written, moved, filled = anywhere length, anywhere length, anywhere length
                source.CopyTo(model, written)
                map.Write(int64 written, ReadOnlySpan source, how)
                Array.Copy(model, written, model, moved, length)
                map.Move(int64 moved, int64 written, int64 length, how)
                Array.Fill(model, byte length, filled, length)
                map.Fill(int64 filled, int64 length, byte length, how)

            using (opened ()) (fun observed ->
                observed.Mapping.Fill(0L, model.LongLength, 0uy)

                for how in
                    [
                        PmemCopyOptions.None
                        PmemCopyOptions.NonTemporal
                        PmemCopyOptions.Temporal
                        PmemCopyOptions.NoDrain
                    ] do
                    for length in [ 1; 8; 63; 64; 300; 4096; 70_000 ] do
                        change observed.Mapping how length

                observed.Mapping.Drain())

            use again = opened ()
            Expect.isTrue (again.Mapping.GetReadOnlySpan(0L, model.Length).SequenceEqual(ReadOnlySpan model)) "bytes"

        testCase "keeps what was persisted"
        <| fun () ->
            let bytes = Array.init 70_000 (fun i -> byte (i * 7))

            using (opened ()) (fun observed ->
                bytes.CopyTo(observed.Mapping.GetSpan(12_345L, bytes.Length))
                observed.Take() |> ignore
                observed.Mapping.Persist(12_345L, int64 bytes.Length)
                Persisted.expect observed [ ByteRange(12_345L, int64 bytes.Length) ])

            use observed = opened ()

            Expect.isTrue
                (observed.Mapping.GetReadOnlySpan(12_345L, bytes.Length).SequenceEqual(ReadOnlySpan bytes))
                "bytes"
    ]

let private noSyncOf (instructions: Instruction seq) =
    instructions
    |> Seq.forall (function
        | SyncPages _ -> false
        | _ -> true)

/// A persist of one word, as instructions.
let private persistOfAWord (place: Place) (opened: unit -> Observed) =
    testCase "persists a word with"
    <| fun () ->
        use observed = opened ()
        (observed.Mapping :> IPersistentMemory).StoreInt64(4096L, 42L)
        observed.Mapping.Persist(4096L, 8L)
        let issued = observed.Take() |> Seq.map string |> String.concat ", "

        let expected =
            match place.Granularity with
            | StoreGranularity.Byte -> "fence"
            | StoreGranularity.CacheLine -> $"{PmemPlatform.Current.WriteBack} 4096+64, fence"
            | StoreGranularity.Page -> "msync 4096+4096"

        Expect.equal issued expected (string observed.Mapping)

/// The region's deep_flush is 0 on an emulated NVDIMM: there is nothing to write, and no reason for msync.
let private deepPersist (place: Place) (opened: unit -> Observed) =
    testCase "deep-persists as its region says"
    <| fun () ->
        use observed = opened ()
        observed.Mapping.GetSpan(100L, 1000).Fill 3uy
        observed.Mapping.DeepPersist(100L, 1000L)
        let issued = observed.Take() |> Seq.map string |> String.concat ", "

        let expected =
            if place.IsPmem then
                $"{PmemPlatform.Current.DeepWriteBack} 64+1088, fence"
            else
                "msync 0+4096"

        Expect.equal issued expected (string observed.Mapping)

let private mapSync (place: Place) =
    testCase "has MAP_SYNC if it is DAX"
    <| fun () ->
        inPlace place (fun path ->
            use observed = Observed.Create(path, length)
            let kind = observed.Mapping.Info.Facts.Kind
            Expect.equal (isSynchronous observed.Address) (kind = FileDax) (string observed.Mapping)

            if place.IsPmem then
                Expect.equal kind FileDax "kind")

let private hugePages (place: Place) =
    testCase "is in huge pages"
    <| fun () ->
        inPlace place (fun path ->
            use observed = Observed.Create(path, length)
            let faults = faultsToFill observed.Mapping
            Expect.isLessThan faults 64L "faults for 8 MiB, which are 4 huge pages or 2048 small ones")

let private options granularity =
    PmemCreateOptions(RequiredGranularity = granularity)

let private requires (place: Place) =
    testCase "a required granularity is honoured, or refused with what was found"
    <| fun () ->
        for required in [ StoreGranularity.Byte; StoreGranularity.CacheLine; StoreGranularity.Page ] do
            inPlace place (fun path ->
                let create () =
                    PmemMapping.Create(path, 65536L, options required)

                if place.Granularity <= required then
                    use mapping = create ()
                    Expect.equal mapping.Granularity place.Granularity (string required)
                else
                    let error = Expect.throwsC (fun () -> create().Dispose()) id
                    Expect.isTrue (error :? PmemException) (string error)
                    Expect.stringContains error.Message $"one {required} was required" "what was asked"
                    Expect.stringContains error.Message $"it is one {place.Granularity}" "what was found"
                    Expect.isFalse (File.Exists path) "nothing is left behind")

let private readsBack (place: Place) =
    testCase "is the file that others read"
    <| fun () ->
        inPlace place (fun path ->
            let bytes = Array.init 100_000 (fun i -> byte (i * 13))

            using (PmemMapping.Create(path, int64 bytes.Length)) (fun mapping ->
                bytes.CopyTo mapping.Span
                mapping.Persist(0L, mapping.Length))

            Expect.isTrue (bytes.AsSpan().SequenceEqual(ReadOnlySpan(File.ReadAllBytes path))) "read(2)")

let private inDirectoryOf (place: Place) =
    let opened () =
        let path = Path.Combine(place.Path, "pmem-dax-test")

        if File.Exists path && FileInfo(path).Length = length then
            Observed.Open path
        else
            Observed.Create(path, length)

    testSequenced (
        testList
            place.Path
            [
                yield! sameOnBoth place opened
                persistOfAWord place opened
                deepPersist place opened
                mapSync place
                requires place
                readsBack place
                yield! DaxSource.testsIn place
                if place.IsPmem then
                    hugePages place
            ]
    )

let private onDevice (place: Place) =
    let opened () = Observed.Open place.Path

    testSequenced (
        testList
            place.Path
            [
                yield! sameOnBoth place opened
                persistOfAWord place opened
                deepPersist place opened
                yield! DaxDevice.tests place.Path
                yield! DaxSource.testsOn place
                testCase "never uses msync"
                <| fun () ->
                    use observed = opened ()
                    observed.Mapping.Persist(0L, 4096L)
                    observed.Mapping.Flush(0L, 4096L)
                    observed.Mapping.DeepPersist(0L, 4096L)
                    Expect.isTrue (noSyncOf (observed.Take())) "instructions"
                    Expect.throwsT<PmemException> (fun () -> observed.Mapping.Msync(0L, 4096L)) "msync"
            ]
    )

let private platform =
    testList
        "platform"
        [
            needing
                "the name of the write-back in PMEM_TESTS_WRITE_BACK"
                (fun () -> writeBack.IsSome)
                "flushes with"
                (fun () ->
                    Expect.equal (string PmemPlatform.Current.WriteBack) writeBack.Value (PmemPlatform.Describe()))
        ]

/// With PMEM_IS_PMEM_FORCE=0 no write-back may be used, and msync does nothing on a device.
let private refuses (device: string) =
    testCase $"{device} is refused"
    <| fun () ->
        let error = Expect.throwsC (fun () -> PmemMapping.Open(device).Dispose()) id
        Expect.isTrue (error :? PmemException) (string error)
        Expect.stringContains error.Message "msync does nothing on device DAX" "why"
        Expect.stringContains error.Message "PMEM_IS_PMEM_FORCE is 0" "because of what"

/// Where no place is named, there is nothing to show, and a line says so.
let tests =
    if List.isEmpty all && List.isEmpty (readOnlyFiles @ badBlockPlaces) then
        testList
            "dax"
            [
                testCase "places" (fun () -> skiptest "PMEM_TESTS_PLACES names no place; tests/vm/run does")
            ]
    else
        testList
            "dax"
            [
                platform
                yield! List.map inDirectoryOf directories
                yield! List.map onDevice devices
                yield! List.map DaxReadOnly.testsOf readOnlyFiles
                yield! List.map refuses refusedDevices
                DaxBadBlock.tests
            ]
