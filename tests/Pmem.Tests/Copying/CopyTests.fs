/// Write, Fill and Move: the right bytes, no others, never torn, and everything written made durable.
module Pmem.Tests.CopyTests

open System
open System.Collections.Generic
open Expecto
open FsCheck
open FsCheck.FSharp
open Pmem
open Pmem.Testing
open Pmem.Tests.CopyPlanTests

/// What this processor has. A wider platform is copied with what there is (VectorWidth.Widest), and tests nothing more.
let private widths =
    [ 128; 256; 512 ] |> List.filter (fun bits -> bits <= VectorWidth.Widest)

let private capped =
    match [ 128; 256; 512 ] |> List.except widths with
    | [] -> "none"
    | missing -> missing |> List.map string |> String.concat ", "

/// Two pages: room for the longest copy at every alignment, at both ends.
[<Literal>]
let internal TwinBytes = 8192

let internal twin platform granularity isRecorded =
    new CopyTwin(TwinBytes, platform, granularity, isRecorded)

let private withEadr platform =
    match Platform.Decide { platform.Facts with PersistenceDomains = [| "cpu_cache" |] } with
    | Ok platform -> platform
    | Error reason -> failwith (string reason)

type Operation =
    | Write of to': int * from: int * length: int
    | WriteOwn of to': int * from: int * length: int
    | Move of to': int * from: int * length: int
    | Fill of to': int * length: int * value: byte

    member operation.Range =
        match operation with
        | Write(at, _, length)
        | WriteOwn(at, _, length)
        | Move(at, _, length)
        | Fill(at, length, _) -> ByteRange(int64 at, int64 length)

type Case =
    {
        VectorBits: int
        Environment: (string * string) list
        Flags: PmemCopyOptions
        Operation: Operation
    }

/// Lengths around everything that a copy decides by: lines, blocks, pieces, thresholds.
let private lengthGen =
    let around length = Gen.choose (length - 9, length + 9)

    Gen.oneof
        [
            Gen.choose (0, 80)
            Gen.choose (0, 2048)
            Gen.oneof
                [
                    around 64
                    around 128
                    around 256
                    around 512
                    around 1000
                    around 4096
                    around 6000
                ]
        ]

let private operationGen =
    gen {
        let! length = lengthGen
        let! at = Gen.choose (0, TwinBytes - length)

        let! distance =
            Gen.oneof [ Gen.choose (-130, 130); Gen.choose (-TwinBytes, TwinBytes) ]

        let from = max 0 (min (TwinBytes - length) (at + distance))
        let! anywhere = Gen.choose (0, TwinBytes - length)
        let! value = Gen.choose (0, 255)

        return!
            Gen.elements
                [
                    Write(at, anywhere, length)
                    WriteOwn(at, from, length)
                    Move(at, from, length)
                    Fill(at, length, byte value)
                ]
    }

let private caseGen =
    gen {
        let! vectorBits = Gen.elements widths
        let! flags = Gen.elements goodFlags
        let! operation = operationGen

        let! environment =
            Gen.elements
                [
                    []
                    []
                    [ "PMEM_NO_MOVNT", "1" ]
                    [ "PMEM_MOVNT_THRESHOLD", "0" ]
                    [ "PMEM_MOVNT_THRESHOLD", "1000" ]
                ]

        return
            {
                VectorBits = vectorBits
                Environment = environment
                Flags = flags
                Operation = operation
            }
    }

let private shrinkOperation operation =
    let shorter length =
        [ 0; length / 2; length - 64; length - 8; length - 1 ]
        |> List.filter (fun less -> 0 <= less && less < length)

    match operation with
    | Write(at, from, length) -> [ for less in shorter length -> Write(at, from, less) ]
    | WriteOwn(at, from, length) -> [ for less in shorter length -> WriteOwn(at, from, less) ]
    | Move(at, from, length) -> [ for less in shorter length -> Move(at, from, less) ]
    | Fill(at, length, value) -> [ for less in shorter length -> Fill(at, less, value) ]

type Arbitraries =
    static member Case() =
        Arb.fromGenShrink (
            caseGen,
            fun case ->
                seq {
                    for operation in shrinkOperation case.Operation do
                        { case with Operation = operation }
                }
        )


let private property count name test =
    Harness.propertyOf count name [ typeof<Arbitraries> ] test

/// The same memory serves all cases of a platform in one property: what one leaves is where the next begins.
let private twinsFor isRecorded =
    let twins = Dictionary<struct (int * (string * string) list), CopyTwin>()

    fun (case: Case) ->
        let key = struct (case.VectorBits, case.Environment)

        match twins.TryGetValue key with
        | true, twin -> twin
        | _ ->
            let made =
                twin (platformWith case.VectorBits case.Environment) StoreGranularity.CacheLine isRecorded

            twins[key] <- made
            made

let private idleTwin = twinsFor false
let private recordedTwin = twinsFor true

let private run (twin: CopyTwin) flags operation =
    match operation with
    | Write(at, from, length) -> twin.Write(at, from, length, flags)
    | WriteOwn(at, from, length) -> twin.WriteOwn(at, from, length, flags)
    | Move(at, from, length) -> twin.Move(at, from, length, flags)
    | Fill(at, length, value) -> twin.Fill(at, length, value, flags)

/// What a store past the cache may leave out of the write-backs: whole lines, and with the flags that ask for it, whole
/// words of 4 bytes.
let private isPastCache (case: Case) (at: int64) =
    let range = case.Operation.Range

    let isWithin unitBytes =
        let first = at - at % unitBytes
        range.Offset <= first && first + unitBytes <= range.End

    let overlaps =
        match case.Operation with
        | WriteOwn(to', from, length)
        | Move(to', from, length) -> abs (to' - from) < length
        | _ -> false

    let isWhole = range.Offset % 64L = 0L && range.Length % 64L = 0L && not overlaps

    match PastCache.shortest case.Environment case.Flags isWhole with
    | Some shortest when range.Length >= shortest -> isWithin 64L || (PastCache.isHinted case.Flags && isWithin 4L)
    | _ -> false

/// Everything written is in a line that was written back, or went past the cache; then comes the fence, if any.
let private isDurable (case: Case) (issued: IReadOnlyList<Instruction>) =
    let writtenBack =
        [
            for instruction in issued do
                match instruction with
                | WriteBack(Clwb, range) -> range
                | _ -> ()
        ]

    let isCovered at =
        isPastCache case at
        || writtenBack |> List.exists (fun range -> range.Contains(ByteRange(at, 1L)))

    let range = case.Operation.Range
    let isFlushed = not (case.Flags.HasFlag PmemCopyOptions.NoFlush)
    let isFenced = isFlushed && not (case.Flags.HasFlag PmemCopyOptions.NoDrain)
    let lines = writtenBack |> List.sumBy (fun range -> range.Length / 64L)
    let fences = Seq.filter ((=) Fence) issued |> Seq.length

    (not isFlushed || Seq.forall isCovered (seq { range.Offset .. range.End - 1L }))
    && writtenBack
       |> List.forall (fun written -> (CacheLine.cover range).Contains written)
    && lines <= CacheLine.countOf range
    && fences = (if isFenced then 1 else 0)
    && (not isFenced || issued[issued.Count - 1] = Fence)
    && (isFlushed || issued.Count = 0)

let private sweep granularity platform flags () =
    use twin = twin platform granularity false
    // The source takes its alignments in turn: one for each length and alignment of the destination; in CI sixteen.
    let step = Harness.cases 64 4
    let longest = if Harness.isEmulated then 320 else 2048
    Expect.isNull (twin.Sweep(longest, flags, step)) "first difference"

/// Whole lines moved up and down by less than they are long: which end comes first decides whether a source is still there.
let private linesOverThemselves bits () =
    use twin = twin (platformWith bits []) StoreGranularity.CacheLine false

    for length in [ 64..64..1024 ] @ [ 4096 ] do
        for distance in [ 8; 64; 100; 192; 256; 448; 1000 ] do
            for flags in [ PmemCopyOptions.None; PmemCopyOptions.NonTemporal; PmemCopyOptions.Temporal ] do
                Expect.isTrue
                    (twin.Move(1024, 1024 - distance, length, flags))
                    $"{length} bytes up by {distance}, {flags}"

                Expect.isTrue
                    (twin.Move(1024, 1024 + distance, length, flags))
                    $"{length} bytes down by {distance}, {flags}"

let private sweeps =
    [
        for bits in widths do
            let platform = platformWith bits []

            testCase
                $"{bits} bits, as the library chooses"
                (sweep StoreGranularity.CacheLine platform PmemCopyOptions.None)

            testCase
                $"{bits} bits, past the cache"
                (sweep StoreGranularity.CacheLine platform PmemCopyOptions.NonTemporal)

            testCase
                $"{bits} bits, through the cache"
                (sweep StoreGranularity.CacheLine platform PmemCopyOptions.Temporal)

            testCase $"{bits} bits, whole lines over themselves" (linesOverThemselves bits)

        testCase "eADR" (sweep StoreGranularity.Byte (withEadr (platformWith 256 [])) PmemCopyOptions.None)
    ]

/// Around a threshold that no small copy reaches: with eADR, 4 MiB.
let private largeCopies () =
    let platform = withEadr (platformWith 512 [])
    let threshold = int CopyPlan.AutoFlushThresholdBytes
    use twin = new CopyTwin(threshold + 65536, platform, StoreGranularity.Byte, false)

    for length in [ threshold - 1; threshold; threshold + 1; threshold + 63 ] do
        Expect.isTrue (twin.Write(13, 5, length, PmemCopyOptions.None)) $"write {length}"
        Expect.isTrue (twin.Move(700, 5, length, PmemCopyOptions.None)) $"move up {length}"
        Expect.isTrue (twin.Move(5, 700, length, PmemCopyOptions.None)) $"move down {length}"
        Expect.isTrue (twin.Fill(77, length, 9uy, PmemCopyOptions.None)) $"fill {length}"

let private byPage () =
    let platform = platformWith 256 []
    use twin = twin platform StoreGranularity.Page true
    let taken () = twin.Recorder.Take() |> List.ofSeq
    Expect.isTrue (twin.Write(4090, 0, 10, PmemCopyOptions.None)) "bytes"
    Expect.equal (taken ()) [ SyncPages(ByteRange(0L, 8192L)) ] "both pages"
    Expect.isTrue (twin.Fill(100, 5000, 1uy, PmemCopyOptions.NonTemporal ||| PmemCopyOptions.NoDrain)) "bytes"
    Expect.equal (taken ()) [] "NoDrain leaves it to the drain"
    twin.Mapping.Drain()
    Expect.equal (taken ()) [ SyncPages(ByteRange(0L, 8192L)) ] "which syncs it once"
    twin.Mapping.Drain()
    Expect.equal (taken ()) [] "and not again"
    Expect.isTrue (twin.Move(0, 64, 640, PmemCopyOptions.NoFlush)) "bytes"
    Expect.isTrue (twin.Write(5, 5, 0, PmemCopyOptions.None)) "nothing"
    Expect.equal (taken ()) [] "NoFlush, or nothing written: no msync"
    twin.Recorder.SyncError <- 5

    let failure =
        Expect.throwsC (fun () -> twin.Write(0, 0, 1, PmemCopyOptions.None) |> ignore) id

    Expect.stringContains (string failure) "may be lost" "a failed msync is told"

let private torn length flags () =
    use twin = twin (platformWith 512 []) StoreGranularity.CacheLine false
    // As many words for a short range as for a long one.
    let times = Harness.cases 500_000 5_000_000 / (length / 8)
    Expect.equal (TornWords.Look(twin.Mapping, length, flags, times)) 0UL "a half-written word"

let private readOnly (span: Span<byte>) : ReadOnlySpan<byte> = Span.op_Implicit span

let private allocatesNothing () =
    use twin = twin (platformWith 512 []) StoreGranularity.CacheLine false
    let map = twin.Mapping

    let lengths = [| 0; 8; 64; 100; 256; 5000 |]

    let all () =
        for length in lengths do
            map.Write(3L, readOnly (twin.Source.Slice(0, length)))
            map.Fill(7L, int64 length, 1uy, PmemCopyOptions.NonTemporal)
            map.Move(64L, 0L, int64 length, PmemCopyOptions.Temporal)

        map.Write(8L, map.Read<int64> 16L)

    all ()
    let before = GC.GetAllocatedBytesForCurrentThread()
    all ()
    Expect.equal (GC.GetAllocatedBytesForCurrentThread() - before) 0L "bytes"

let private typed () =
    use twin = twin (platformWith 512 []) StoreGranularity.CacheLine true
    let map = twin.Mapping
    map.Write(8L, 0x1122334455667788L)
    Expect.equal (map.Read<int64> 8L) 0x1122334455667788L "word"
    Expect.equal (map.Read<byte> 8L) 0x88uy "little-endian"

    Expect.equal
        (List.ofSeq (twin.Recorder.Take()))
        [ WriteBack(Clwb, ByteRange(0L, 64L)); Fence ]
        "its line, then the fence"

    map.Write(62L, 12345678, PmemCopyOptions.NoDrain)
    Expect.equal (map.Read<int> 62L) 12345678 "across lines"
    Expect.equal (List.ofSeq (twin.Recorder.Take())) [ WriteBack(Clwb, ByteRange(0L, 128L)) ] "both lines"
    map.Write(1L, Guid.Empty, PmemCopyOptions.NoFlush)
    Expect.equal (map.Read<Guid> 1L) Guid.Empty "16 bytes"
    Expect.isEmpty (twin.Recorder.Take()) "only stored"

/// The mapping as memory for a data structure: stores are stores, and one past the cache needs only the drain.
let private asMemory () =
    use twin = twin (platformWith 512 []) StoreGranularity.CacheLine true
    let memory = twin.Mapping :> IPersistentMemory
    let bytes = Array.init 200 byte
    memory.Store(10L, ReadOnlySpan bytes, "", 0)
    Expect.isEmpty (twin.Recorder.Take()) "a store is no flush"
    memory.StoreNonTemporal(300L, ReadOnlySpan bytes, "", 0)
    let issued = twin.Recorder.Take()
    Expect.isFalse (Seq.contains Fence issued) "no fence"
    Expect.isTrue (twin.Mapping.ReadOnlySpan.Slice(10, 200).SequenceEqual(ReadOnlySpan bytes)) "bytes"
    Expect.isTrue (twin.Mapping.ReadOnlySpan.Slice(300, 200).SequenceEqual(ReadOnlySpan bytes)) "bytes"

let tests =
    // Alone, because they make many mappings, and other tests count those.
    testSequenced
    <| testList
        "copies"
        [
            testList "every length at every alignment" sweeps
            testCase "a width that the processor lacks is never used" (fun () ->
                // Vectors of the software are copied by halves: this one move lost bytes.
                printfn
                    $"copies: widest vector {VectorWidth.Widest} bits; not on this processor, and so capped: {capped}"

                use twin = twin (platformWith 512 []) StoreGranularity.CacheLine false
                Expect.isTrue (twin.Move(13, 8, 257, PmemCopyOptions.Temporal)) "overlapping by less than a vector"
                Expect.isTrue (twin.Move(13, 8, 40, PmemCopyOptions.Temporal)) "a short one")
            property (Harness.cases 4000 100_000) "the bytes of Span.CopyTo and Fill, and no others" (fun case ->
                run (idleTwin case) case.Flags case.Operation)
            property (Harness.cases 4000 100_000) "everything written becomes durable, and no line twice" (fun case ->
                let twin = recordedTwin case
                let isRight = run twin case.Flags case.Operation
                let issued = twin.Recorder.Take()
                isRight && isDurable case issued)
            testCase "around the threshold of eADR" largeCopies
            testCase "page granularity is msync" byPage
            testCase "8 bytes are never torn" (torn 8 PmemCopyOptions.None)
            testCase "72 bytes in one call of machine code: no word is torn" (torn 72 PmemCopyOptions.None)
            testCase "72 bytes through the cache: no word is torn" (torn 72 PmemCopyOptions.Temporal)
            testCase "72 bytes past the cache: no word is torn" (torn 72 PmemCopyOptions.NonTemporal)
            testCase "a page: no word is torn" (torn 4096 PmemCopyOptions.None)
            testCase "a page through the cache: no word is torn" (torn 4096 PmemCopyOptions.Temporal)
            testCase "nothing is allocated" allocatesNothing
            testCase "values" typed
            testCase "as memory of a data structure" asMemory
        ]
