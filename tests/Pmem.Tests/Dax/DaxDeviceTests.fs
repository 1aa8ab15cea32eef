/// Device DAX: the rules of pmem_map_file(3).
module Pmem.Tests.DaxDevice

open System
open System.IO
open Expecto
open Pmem

let private sysfs device name =
    let path =
        Path.Combine("/sys/bus/dax/devices", nonNull (Path.GetFileName(device: string)), name)

    Int64.Parse(File.ReadAllText(path).Trim())

let private sizeOf device = sysfs device "size"
let private alignOf device = sysfs device "align"

let private opened (device: string) offset length =
    PmemMapping.Open(device, PmemOpenOptions(Offset = offset, Length = length))

let private refuses<'E when 'E :> exn> message action =
    Expect.throwsT<'E> (fun () -> (action (): PmemMapping).Dispose()) message

/// The rules, on this device.
let tests device =
    [
        testCase "has the length that the kernel gives"
        <| fun () ->
            let size = sizeOf device
            use mapping = PmemMapping.Open device
            Expect.equal mapping.Length size "length"
            Expect.equal mapping.Info.Facts.Kind DeviceDax "kind"

        testCase "can be created with its own length, or 0"
        <| fun () ->
            let size = sizeOf device

            for length in [ 0L; size ] do
                use mapping = PmemMapping.Create(device, length)
                Expect.equal mapping.Length size "length"

        testCase "cannot be created with another length, or exclusively, or as a temporary file"
        <| fun () ->
            let size = sizeOf device
            let align = alignOf device

            for length in [ 1L; size - align; size + align ] do
                refuses<ArgumentOutOfRangeException> $"{length}" (fun () -> PmemMapping.Create(device, length))

            refuses<PmemException> "exclusive" (fun () ->
                PmemMapping.Create(device, size, PmemCreateOptions(Exclusive = true)))

            refuses<PmemException> "temporary" (fun () -> PmemMapping.CreateTemporary(device, size))

        testCase "is mapped in part by whole units"
        <| fun () ->
            let align = alignOf device
            use mapping = opened device align align
            use all = PmemMapping.Open device
            mapping.Span[7] <- 77uy
            mapping.Persist(7L, 1L)
            Expect.equal mapping.Length align "length"
            Expect.equal (all.GetSpan(align + 7L, 1)[0]) 77uy "the same byte"

        testCase "is not mapped in part by anything else"
        <| fun () ->
            let size = sizeOf device
            let align = alignOf device
            refuses<ArgumentOutOfRangeException> "offset" (fun () -> opened device 4096L align)
            refuses<ArgumentOutOfRangeException> "length" (fun () -> opened device 0L 4096L)
            refuses<ArgumentOutOfRangeException> "beyond" (fun () -> opened device align size)

        testCase "is mapped by LibPmem too"
        <| fun () ->
            let size = sizeOf device
            let mutable length = 0un
            let mutable isPmem = false
            let address = LibPmem.MapFile(device, 0un, PmemFileModes.None, 0, &length, &isPmem)
            Expect.equal (int64 length) size (LibPmem.ErrorMessage())
            Expect.isTrue isPmem "is pmem"
            Expect.equal (LibPmem.Unmap(address, length)) 0 "unmap"
    ]
