/// Copies that are refused, and copies of nothing.
module Pmem.Tests.CopyRefusalTests

open System
open Expecto
open Pmem
open Pmem.Testing
open Pmem.Tests.CopyPlanTests
open Pmem.Tests.CopyTests

let private refuses<'e when 'e :> exn> words action =
    let failure = Expect.throwsC action id

    match failure with
    | :? 'e -> ()
    | other -> failtestf "%O" other

    for word: string in words do
        Expect.stringContains failure.Message word "message"

let private ten = Array.zeroCreate<byte> 10

let private pastTheEnd (map: PmemMapping) =
    let length = map.Length
    let before = map.ReadOnlySpan.ToArray()

    for offset in [ length - 7L; length; length + 1L; -1L; Int64.MinValue; Int64.MaxValue ] do
        for action in
            [
                (fun () -> map.Write(offset, ReadOnlySpan ten))
                (fun () -> map.Write(offset, 1L))
                (fun () -> map.Store(offset, 1L))
                (fun () -> map.Read<int64> offset |> ignore)
                (fun () -> map.Fill(offset, 10L, 0uy))
                (fun () -> map.Persist(offset, 10L))
                (fun () -> map.Move(0L, offset, 10L))
                (fun () -> map.Move(offset, 0L, 10L))
            ] do
            refuses<ArgumentOutOfRangeException> [ $"{offset}" ] action

    for length in [ length; -1L; Int64.MinValue; Int64.MaxValue ] do
        for action in
            [
                (fun () -> map.Fill(1L, length, 0uy))
                (fun () -> map.Persist(1L, length))
                (fun () -> map.Move(1L, 0L, length))
            ] do
            refuses<ArgumentOutOfRangeException> [ $"{length}" ] action

    Expect.equal (map.ReadOnlySpan.ToArray()) before "bytes"

let private pastTheEndRecorded () =
    use twin = twin (platformWith 256 []) StoreGranularity.CacheLine true
    pastTheEnd twin.Mapping
    Expect.isEmpty (twin.Recorder.Take()) "instructions"

let private pastTheEndByMachineCode () =
    use memory = new GuardedMemory(3 * Environment.SystemPageSize)
    use map = ShortCallTesting.InTheMiddle memory
    pastTheEnd map
    Expect.isFalse (memory.Span.ContainsAnyExcept 0uy) "nor beside it"

let private disposed isRecorded () =
    let twin = twin (platformWith 256 []) StoreGranularity.CacheLine isRecorded
    let map = twin.Mapping
    twin.Dispose()

    for action in
        [
            (fun () -> map.Write(0L, ReadOnlySpan ten))
            (fun () -> map.Write(0L, 1L))
            (fun () -> map.Store(0L, 1L))
            (fun () -> map.Read<int64> 0L |> ignore)
            (fun () -> map.Fill(0L, 1L, 0uy))
            (fun () -> map.Persist(0L, 1L))
            (fun () -> map.Move(0L, 1L, 1L))
        ] do
        refuses<ObjectDisposedException> [ map.Path ] action

let private readOnlyLines () =
    use memory = new GuardedMemory(4096)
    use map = ShortCallTesting.ReadOnly memory

    for action in
        [
            (fun () -> map.Write(0L, ReadOnlySpan [| 1uy |]))
            (fun () -> map.Write(0L, 1L))
            (fun () -> map.Store(0L, 1L))
            (fun () -> map.Fill(0L, 1L, 1uy))
            (fun () -> map.Move(0L, 1L, 1L))
        ] do
        refuses<InvalidOperationException> [ "read-only" ] action

    map.Persist(0L, 8L)
    Expect.isFalse (memory.Span.ContainsAnyExcept 0uy) "bytes"

let tests =
    testSequenced
    <| testList
        "refused copies"
        [
            testCase "a contradiction names both flags, and nothing is written" (fun () ->
                use twin = twin (platformWith 256 []) StoreGranularity.CacheLine true
                let before = twin.Mapping.ReadOnlySpan.ToArray()
                let both = PmemCopyOptions.Temporal ||| PmemCopyOptions.NonTemporal
                let words = [ "Temporal"; "NonTemporal" ]
                refuses<ArgumentException> words (fun () -> twin.Mapping.Write(0L, ReadOnlySpan before, both))
                refuses<ArgumentException> words (fun () -> twin.Mapping.Write(0L, 1L, both))
                refuses<ArgumentException> words (fun () -> twin.Mapping.Fill(0L, 100L, 1uy, both))
                refuses<ArgumentException> words (fun () -> twin.Mapping.Move(0L, 100L, 100L, both))

                refuses<ArgumentException> [ "0x40" ] (fun () ->
                    twin.Mapping.Fill(0L, 1L, 1uy, enum<PmemCopyOptions> 64))

                refuses<ArgumentException> [] (fun () -> twin.Mapping.Fill(0L, 1L, 1uy, enum<PmemCopyOptions> -1))
                Expect.equal (twin.Mapping.ReadOnlySpan.ToArray()) before "bytes"
                Expect.isEmpty (twin.Recorder.Take()) "instructions")

            testCase "past the end" pastTheEndRecorded
            testCase "past the end, by the machine's own code" pastTheEndByMachineCode
            testCase "disposed" (disposed true)
            testCase "disposed, by the machine's own code" (disposed false)
            testCase "read-only, of lines" readOnlyLines

            testCase "read-only" (fun () ->
                Harness.inDirectory (fun directory ->
                    let path = IO.Path.Combine(directory, "file")
                    (PmemMapping.Create(path, 4096L)).Dispose()
                    use map = PmemMapping.Open(path, PmemOpenOptions(ReadOnly = true))

                    let readOnly action =
                        refuses<InvalidOperationException> [ "read-only" ] action

                    readOnly (fun () -> map.Write(0L, ReadOnlySpan [| 1uy |]))
                    readOnly (fun () -> map.Write(0L, 1L))
                    readOnly (fun () -> map.Fill(0L, 1L, 0uy))
                    readOnly (fun () -> map.Move(0L, 1L, 1L))
                    Expect.equal (map.Read<int64> 8L) 0L "reading is allowed"))

            testCase "a copy of nothing drains, and touches nothing" (fun () ->
                use twin = twin (platformWith 256 []) StoreGranularity.CacheLine true

                for flags in goodFlags do
                    Expect.isTrue (twin.Write(TwinBytes, 0, 0, flags)) "write"
                    Expect.isTrue (twin.Fill(0, 0, 1uy, flags)) "fill"
                    Expect.isTrue (twin.Move(0, TwinBytes, 0, flags)) "move"

                    for instruction in twin.Recorder.Take() do
                        Expect.equal instruction Fence (string flags))

            testCase "a copy of nothing drains, whatever the threshold and the alignment" (fun () ->
                for threshold in [ []; [ "PMEM_MOVNT_THRESHOLD", "0" ]; [ "PMEM_NO_MOVNT", "1" ] ] do
                    use twin = twin (platformWith 256 threshold) StoreGranularity.CacheLine true

                    for at in [ 0; 8; 13; 64 ] do
                        Expect.isTrue (twin.Write(at, 0, 0, PmemCopyOptions.None)) "write"
                        Expect.equal (List.ofSeq (twin.Recorder.Take())) [ Fence ] $"write at {at}"
                        Expect.isTrue (twin.Fill(at, 0, 1uy, PmemCopyOptions.None)) "fill"
                        Expect.equal (List.ofSeq (twin.Recorder.Take())) [ Fence ] $"fill at {at}")
        ]
