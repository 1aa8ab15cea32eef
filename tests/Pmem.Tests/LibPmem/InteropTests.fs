/// Files pass between this library, libpmem and fio in every direction, on whatever the tests run on.
module Pmem.Tests.Interop

open System
open System.IO
open Expecto
open Microsoft.FSharp.NativeInterop
open Pmem
open Pmem.Testing
open Pmem.Tests.DaxPlaces

#nowarn "9" // libpmem gives and takes addresses

[<Literal>]
let private CreateFlag = 1 // PMEM_FILE_CREATE, libpmem.h

let private places =
    match directories with
    | [] -> [ { Path = Harness.directory; Granularity = StoreGranularity.Page } ]
    | directories -> directories

let private content length =
    let bytes = Array.zeroCreate<byte> length
    Random(length).NextBytes bytes
    bytes

/// libpmem maps the file; the test says what to do with its bytes.
let private withLibPmem path length flags (work: nativeptr<byte> -> int -> bool -> unit) =
    let mutable mapped = 0un
    let mutable isPmem = 0

    let address =
        NativeLibPmem.MapFile(path, unativeint length, flags, 0o600u, &mapped, &isPmem)

    Expect.notEqual (NativePtr.toNativeInt address) 0n "pmem_map_file"

    try
        work address (int mapped) (isPmem <> 0)
    finally
        NativeLibPmem.Unmap(address, mapped) |> ignore

let private span address length =
    Span<byte>(NativePtr.toVoidPtr (address: nativeptr<byte>), length)

let private theyWriteWeRead (place: Place) =
    DaxPlaces.inPlace place (fun path ->
        let bytes = content 100_000

        withLibPmem path bytes.Length CreateFlag (fun address length isPmem ->
            bytes.CopyTo(span address length)

            if isPmem then
                NativeLibPmem.Persist(address, unativeint length)
            else
                Expect.equal (NativeLibPmem.Msync(address, unativeint length)) 0 "pmem_msync")

        use mapping = PmemMapping.Open path
        Expect.isTrue (mapping.Span.SequenceEqual(ReadOnlySpan bytes)) "bytes")

let private weWriteTheyRead (place: Place) =
    DaxPlaces.inPlace place (fun path ->
        let bytes = content 200_000

        using (PmemMapping.Create(path, int64 bytes.Length)) (fun mapping ->
            bytes.CopyTo mapping.Span
            mapping.Persist(0L, mapping.Length))

        withLibPmem path 0 0 (fun address length _ ->
            Expect.isTrue ((span address length).SequenceEqual(ReadOnlySpan bytes)) "bytes"))

let private bothAtOnce (place: Place) =
    DaxPlaces.inPlace place (fun path ->
        use mapping = PmemMapping.Create(path, 65536L)
        let memory = mapping :> IPersistentMemory

        withLibPmem path 0 0 (fun address length isPmem ->
            Expect.equal isPmem mapping.IsPmem "both say whether it is persistent memory"
            memory.StoreInt64(1000L, 0x1122334455667788L)
            Expect.equal (span address length).[1000] 0x88uy "they see what we store"
            (span address length).[2000] <- 99uy
            Expect.equal (memory.ReadByte 2000L) 99uy "we see what they store"))

let private fioWritesWeRead (place: Place) =
    DaxPlaces.inPlace place (fun path ->
        let pattern = Fio.pattern 1
        let length = 1 <<< 20
        Fio.write path length pattern (not place.IsPmem)
        use mapping = PmemMapping.Open path
        Expect.isTrue (mapping.Span.SequenceEqual(ReadOnlySpan(Fio.repeated pattern length))) "bytes")

let private weWriteFioVerifies (place: Place) =
    DaxPlaces.inPlace place (fun path ->
        let pattern = Fio.pattern 2
        let length = 1 <<< 20

        using (PmemMapping.Create(path, int64 length)) (fun mapping ->
            (Fio.repeated pattern length).CopyTo mapping.Span
            mapping.Persist(0L, mapping.Length))

        Expect.isTrue (Fio.verifies path length pattern (not place.IsPmem)) "fio finds what we wrote"

        using (PmemMapping.Open path) (fun mapping ->
            mapping.Span[123_456] <- mapping.Span[123_456] ^^^ 1uy
            mapping.Persist(123_456L, 1L))

        Expect.isFalse (Fio.verifies path length pattern (not place.IsPmem)) "fio finds the one bit that we changed")

let private testsOf (place: Place) =
    let libpmem = Harness.needing "libpmem.so.1" (fun () -> NativeLibPmem.IsThere)

    let fio =
        Harness.needing "fio with its libpmem engine" (fun () -> Fio.isThere.Value)

    testList
        place.Path
        [
            libpmem "libpmem writes, we read" (fun () -> theyWriteWeRead place)
            libpmem "we write, libpmem reads" (fun () -> weWriteTheyRead place)
            libpmem "both have it mapped" (fun () -> bothAtOnce place)
            fio "fio writes, we read" (fun () -> fioWritesWeRead place)
            fio "we write, fio verifies" (fun () -> weWriteFioVerifies place)
        ]

/// In every place that is named, else where the tests make their files.
let tests = testList "interop" (List.map testsOf places)
