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

            testCase "past the end" (fun () ->
                use twin = twin (platformWith 256 []) StoreGranularity.CacheLine true
                let map, length = twin.Mapping, twin.Mapping.Length

                let outside action =
                    refuses<ArgumentOutOfRangeException> [] action

                let ten = Array.zeroCreate<byte> 10
                outside (fun () -> map.Write(length - 9L, ReadOnlySpan ten))
                outside (fun () -> map.Write(-1L, ReadOnlySpan ten))
                outside (fun () -> map.Write(length - 7L, 1L))
                outside (fun () -> map.Read<int64>(length - 7L) |> ignore)
                outside (fun () -> map.Fill(1L, length, 0uy))
                outside (fun () -> map.Fill(0L, -1L, 0uy))
                outside (fun () -> map.Fill(Int64.MaxValue, 1L, 0uy))
                outside (fun () -> map.Move(0L, length - 9L, 10L))
                outside (fun () -> map.Move(length - 9L, 0L, 10L))
                outside (fun () -> map.Move(0L, -1L, 1L))
                Expect.isEmpty (twin.Recorder.Take()) "instructions")

            testCase "disposed" (fun () ->
                let twin = twin (platformWith 256 []) StoreGranularity.CacheLine true
                twin.Dispose()

                let disposed action =
                    refuses<ObjectDisposedException> [] action

                disposed (fun () -> twin.Mapping.Write(0L, ReadOnlySpan [| 1uy |]))
                disposed (fun () -> twin.Mapping.Write(0L, 1L))
                disposed (fun () -> twin.Mapping.Read<int64> 0L |> ignore)
                disposed (fun () -> twin.Mapping.Fill(0L, 1L, 0uy))
                disposed (fun () -> twin.Mapping.Move(0L, 1L, 1L)))

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
