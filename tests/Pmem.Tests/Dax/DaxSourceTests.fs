/// Sources, growth, reservations, private copies, adopted memory and copies through the kernel, on persistent memory.
module Pmem.Tests.DaxSource

open System
open System.IO
open System.Text.RegularExpressions
open Expecto
open FSharp.NativeInterop
open Pmem
open Pmem.Linux
open Pmem.Tests.DaxPlaces
open Pmem.Tests.NvdimmTests

#nowarn "9" // addresses are given and taken

let private page = int64 Environment.SystemPageSize

let private read path = File.ReadAllText(path: string).Trim()

/// The real path of a device in sysfs, and of the region that holds it.
let sysfsOf (path: string) =
    let device =
        if path.StartsWith("/dev/dax", StringComparison.Ordinal) then
            "/sys/bus/dax/devices/" + nonNull (Path.GetFileName path)
        else
            let mutable status = Unchecked.defaultof<SysStat.FileStatus>
            use file = File.OpenHandle path
            SysStat.Get(file, &status) |> ignore
            $"/sys/dev/block/{status.Holder}"

    let real = (Child.command "readlink" [ "-f"; device ]).Output.Trim()
    real, Regex.Match(real, @"^.*/region\d+").Value

/// What a source says of its NVDIMM, beside what sysfs says of the one that is mapped by its region.
let private saysItsNvdimm (source: PmemSource) path =
    let _, region = sysfsOf path
    let nvdimm = (read $"{region}/mapping0").Split(',')[0]

    let nfit name =
        $"/sys/bus/nd/devices/{nvdimm}/nfit/{name}"

    Expect.equal source.DeviceId (read (nfit "id")) "identifier"
    Expect.equal source.NumaNode (int (read $"{region}/numa_node")) "node"

    if File.Exists(nfit "dirty_shutdown") then
        Expect.equal source.UnsafeShutdownCount (int64 (read (nfit "dirty_shutdown"))) "unsafe shutdowns"
    else
        refused<PmemException> [ "dirty_shutdown" ] (fun () -> source.UnsafeShutdownCount |> ignore)

    Expect.isEmpty (source.FindBadBlocks()) "all blocks are good"

/// Copies through the kernel, and what they say of bytes that are not there.
let private copiesSafely (map: PmemMapping) =
    let bytes = Array.init 5000 (fun i -> byte (i * 3))
    let back = Array.zeroCreate<byte> 5000
    let mutable error: PmemException | null = null
    Expect.isTrue (map.TryWrite(4093L, ReadOnlySpan bytes, &error)) (string error)
    map.Persist(4093L, 5000L)
    Expect.isTrue (map.TryRead(4093L, Span back, &error)) (string error)
    Expect.equal back bytes "bytes"
    Expect.isTrue (map.GetReadOnlySpan(4093L, 5000).SequenceEqual(ReadOnlySpan bytes)) "in the mapping"

/// Memory that was mapped by somebody else, here with MAP_SYNC.
let private adopts (place: Place) path offset length sync =
    use file =
        File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite)

    let flags =
        if sync then
            SysMman.MapSharedValidate ||| SysMman.MapSync
        else
            SysMman.MapShared

    let address =
        SysMman.Map(0n, unativeint length, SysMman.ProtRead ||| SysMman.ProtWrite, flags, file, offset)

    Expect.notEqual address 0n "mmap"

    using (PmemMapping.Adopt(NativePtr.ofNativeInt address, length, place.Granularity)) (fun map ->
        Expect.equal (map.Granularity, map.Info.Facts.Kind) (place.Granularity, Adopted) (string map)
        map.Write(100L, 0x1234567L)
        map.DeepPersist(100L, 8L)
        copiesSafely map)

    use again =
        PmemMapping.Open(path, PmemOpenOptions(Offset = offset, Length = length))

    Expect.equal (again.Read<int64> 100L) 0x1234567L "in another mapping"
    SysMman.Unmap(address, unativeint length) |> ignore

let private growth (place: Place) =
    testCase "a mapping grows behind its address, and all of it is what it was"
    <| fun () ->
        inPlace place (fun path ->
            use map =
                PmemMapping.Create(path, 5000L, PmemCreateOptions(ReserveLength = (8L <<< 20)))

            let start = NativePtr.toNativeInt map.Pointer
            let kind = map.Info.Facts.Kind

            for length in [ 5001L; 8192L; 100_000L; 4L <<< 20; (4L <<< 20) + 1L; 8L <<< 20 ] do
                map.Grow length
                map.Write(length - 8L, length)
                map.Persist(length - 8L, 8L)
                Expect.equal (NativePtr.toNativeInt map.Pointer, map.Length) (start, length) "where, and how long"
                Expect.equal (map.Granularity, map.IsPmem) (place.Granularity, place.IsPmem) (string map)
                let mapped = ByteRange(0L, length).AlignOut page
                let expected = if kind = FileDax then mapped.Length else 0L
                Expect.equal (synchronousBytes start mapped.Length) expected "MAP_SYNC"

            refused<PmemException> [ "are reserved" ] (fun () -> map.Grow((8L <<< 20) + 1L))

            Expect.equal
                (map.Read<int64>(100_000L - 8L), map.Read<int64>(4999L))
                (100_000L, 0L)
                "what was stored, and zeros"

            let bytes = File.ReadAllBytes path
            Expect.isTrue (map.ReadOnlySpan.SequenceEqual(ReadOnlySpan bytes)) "read(2)"
            copiesSafely map)

let private sideBySide (place: Place) =
    testCase "files lie side by side in a reservation"
    <| fun () ->
        inPlace place (fun first ->
            inPlace place (fun second ->
                for path in [ first; second ] do
                    (PmemMapping.Create(path, 2L * page)).Dispose()

                use reservation = AddressReservation.Create(8L * page)
                use low = reservation.Map(first, 0L)
                use high = reservation.Map(second, 2L * page)
                Expect.equal (low.Granularity, high.Granularity) (place.Granularity, place.Granularity) "granularity"
                Span<byte>(NativePtr.toVoidPtr reservation.Pointer, int (4L * page)).Fill 9uy
                reservation.Persist(100L, 4L * page - 200L)
                refused<PmemException> [ second; "taken" ] (fun () -> low.Grow(3L * page))
                high.Grow(6L * page)
                high.Write(6L * page - 8L, 8L)
                reservation.Persist(0L, 8L * page)
                Expect.all (File.ReadAllBytes first) ((=) 9uy) "first"
                Expect.equal (Array.findIndexBack ((=) 9uy) (File.ReadAllBytes second)) (int (2L * page) - 1) "second"))

let private privateCopy (place: Place) =
    testCase "a private copy never reaches the file"
    <| fun () ->
        inPlace place (fun path ->
            (PmemMapping.Create(path, 5000L)).Dispose()
            use map = PmemMapping.Open(path, PmemOpenOptions(Private = true))
            map.Write(0L, 99uy)
            map.DeepPersist(0L, map.Length)
            Expect.equal (map.IsPmem, map.Info.IsVolatile, map.Info.Facts.Kind) (false, true, PrivateCopy) (string map)
            Expect.isFalse (isSynchronous (NativePtr.toNativeInt map.Pointer)) "no MAP_SYNC"
            Expect.equal (File.ReadAllBytes(path)[0]) 0uy "the file")

let private survives (place: Place) =
    testCase "copies through the kernel survive a file that somebody shortened"
    <| fun () ->
        inPlace place (fun path ->
            use map = PmemMapping.Create(path, 20_000L)
            copiesSafely map
            using (File.OpenWrite path) (fun file -> file.SetLength 4096L)
            let buffer = Array.zeroCreate<byte> 100
            let mutable error: PmemException | null = null
            Expect.isFalse (map.TryRead(8192L, Span buffer, &error)) "read"
            Expect.equal (nonNull error).ErrorName "EFAULT" (string error)
            Expect.isFalse (map.TryWrite(8192L, ReadOnlySpan buffer, &error)) "write"
            Expect.equal (nonNull error).ErrorName "EFAULT" (string error)
            Expect.isTrue (map.TryRead(3996L, Span buffer, &error)) "what is there")

/// In this directory.
let testsIn (place: Place) =
    [
        growth place
        sideBySide place
        privateCopy place
        survives place
        testCase "memory that somebody else mapped is adopted"
        <| fun () ->
            inPlace place (fun path ->
                let kind =
                    using (PmemMapping.Create(path, 4L * page)) (fun map -> map.Info.Facts.Kind)

                adopts place path 0L (4L * page) (kind = FileDax))

        if place.IsPmem then
            testCase "a source says which NVDIMM holds it"
            <| fun () ->
                inPlace place (fun path ->
                    (PmemMapping.Create(path, 5000L)).Dispose()
                    use source = PmemSource.Open path
                    Expect.equal (source.Length, source.Alignment, source.IsDevice) (5000L, page, false) "source"
                    saysItsNvdimm source path)
    ]

let private deviceIsRefused device =
    testCase "what a device cannot be is refused"
    <| fun () ->
        let opened (options: PmemOpenOptions) =
            (PmemMapping.Open((device: string), options)).Dispose()

        refused<ArgumentException> [ "Private"; "a device" ] (fun () -> opened (PmemOpenOptions(Private = true)))

        refused<ArgumentException> [ "ReserveLength"; "a device" ] (fun () ->
            opened (PmemOpenOptions(ReserveLength = (1L <<< 30))))

        use source = PmemSource.Open device
        let mutable error: PmemException | null = null
        let length = source.Length

        refused<PmemException> [ "regular file" ] (fun () ->
            let mutable error: PmemException | null = null
            source.TryRead(0L, Span(Array.zeroCreate<byte> 8), &error) |> ignore)

        use file =
            File.OpenHandle(device, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite)

        let mutable known: Pmem2Source | null = null
        let mutable config: Pmem2Config | null = null
        let mutable map: Pmem2Map | null = null
        Expect.equal (LibPmem2.SourceFromFd(&known, int (file.DangerousGetHandle()))) 0 (LibPmem2.ErrorMsg())
        LibPmem2.ConfigNew(&config) |> ignore
        let config, known = nonNull config, nonNull known

        LibPmem2.ConfigSetRequiredStoreGranularity(config, Pmem2Granularity.Page)
        |> ignore

        LibPmem2.ConfigSetSharing(config, Pmem2Sharing.Private) |> ignore
        Expect.equal (LibPmem2.MapNew(&map, config, known)) Pmem2Error.SourceDevDaxPrivate (LibPmem2.ErrorMsg())
        Expect.equal source.Length length "as it was"

let private deviceParts (place: Place) =
    testCase "parts lie side by side in a reservation, and do not grow"
    <| fun () ->
        use source = PmemSource.Open place.Path
        let unit = source.Alignment
        use reservation = AddressReservation.Create(4L * unit)

        let part (number: int64) at =
            reservation.Map(place.Path, at, PmemOpenOptions(Offset = number * unit, Length = unit))

        refused<PmemException> [ "no multiple of" ] (fun () -> (part 0L page).Dispose())
        // In the other order than on the device.
        use second = part 1L 0L
        use first = part 0L unit
        Expect.equal (first.Granularity, second.Granularity) (place.Granularity, place.Granularity) "granularity"
        Span<byte>(NativePtr.toVoidPtr (NativePtr.add reservation.Pointer (int unit - 100)), 200).Fill 5uy
        reservation.Persist(unit - 100L, 200L)
        refused<PmemException> [ "a device has one length" ] (fun () -> first.Grow(2L * unit))
        Expect.equal (first.Length, source.Length % unit) (unit, 0L) "as it was"
        use all = PmemMapping.Open place.Path
        Expect.equal (all.Read<byte> 99L, all.Read<byte>(2L * unit - 100L)) (5uy, 5uy) "where they lie on the device"

/// On this device.
let testsOn (place: Place) =
    [
        deviceIsRefused place.Path
        deviceParts place
        testCase "a source says which NVDIMM it is"
        <| fun () ->
            use source = PmemSource.Open place.Path
            let device, _ = sysfsOf place.Path
            Expect.equal source.Length (int64 (read $"{device}/size")) "length"
            Expect.equal (source.Alignment, source.IsDevice) (int64 (read $"{device}/align"), true) "unit"
            saysItsNvdimm source place.Path
        testCase "is copied through the kernel, and adopted"
        <| fun () ->
            using (PmemMapping.Open place.Path) copiesSafely
            use source = PmemSource.Open place.Path
            adopts place place.Path source.Alignment source.Alignment false
    ]
