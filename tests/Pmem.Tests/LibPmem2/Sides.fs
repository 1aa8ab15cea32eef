/// The two sides that are compared: LibPmem2, and Debian's libpmem2.
module Pmem.Tests.LibPmem2Sides

open System
open System.IO
open FSharp.NativeInterop
open Expecto
open Pmem
open Pmem.Testing

#nowarn "9" // both give and take addresses

let private page = 4096un

type Source =
    | OfFile of readOnly: bool
    | OfMemory of size: int

type Config =
    {
        Granularity: int
        Offset: int
        Length: int
        Sharing: int
        Protection: uint32
        At: int option
    }

/// What one side says of a mapping that it made.
type Made = { Code: int; Size: unativeint; Granularity: int }

let refused code =
    { Code = code; Size = 0un; Granularity = -1 }

/// The library under test, or the oracle: the same calls.
[<AbstractClass>]
type Side(path: string) =
    let written =
        File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite)

    let readOnly =
        File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite)

    member _.Descriptor isReadOnly =
        int ((if isReadOnly then readOnly else written).DangerousGetHandle())

    abstract Map: Source * Config -> Made * objnull
    abstract Address: objnull -> nativeptr<byte>
    abstract Delete: objnull -> int
    abstract Persist: objnull * nativeptr<byte> * unativeint -> unit
    abstract Move: objnull * nativeptr<byte> * nativeptr<byte> * unativeint * uint32 -> unit
    abstract Fill: objnull * nativeptr<byte> * int * unativeint * uint32 -> unit
    abstract DeepFlush: objnull * nativeptr<byte> * unativeint -> int
    abstract Shrink: unativeint * unativeint -> int
    abstract ReservationSize: unativeint
    abstract Find: unativeint * unativeint -> int * objnull
    abstract Copy: isRead: bool * byte[] * unativeint -> int
    abstract Close: unit -> int

    interface IDisposable with
        member _.Dispose() =
            written.Dispose()
            readOnly.Dispose()

type Theirs(path) =
    inherit Side(path)

    let mutable reservation =
        let mutable made = 0n
        NativeLibPmem2.ReservationNew(&made, NativePtr.nullPtr, 10un * page) |> ignore
        made

    let withSource (side: Side) source action =
        let mutable made = 0n

        let code =
            match source with
            | OfFile readOnly -> NativeLibPmem2.SourceFromFd(&made, side.Descriptor readOnly)
            | OfMemory size -> NativeLibPmem2.SourceFromAnon(&made, unativeint size)

        Expect.equal code 0 "their source"
        let result = action made
        NativeLibPmem2.SourceDelete &made |> ignore
        result

    override side.Map(source, config) =
        withSource side source (fun source ->
            let mutable made = 0n
            NativeLibPmem2.ConfigNew &made |> ignore

            // Each is called, as on the other side; the first that fails is told.
            let set =
                [
                    NativeLibPmem2.ConfigSetGranularity(made, config.Granularity)
                    NativeLibPmem2.ConfigSetOffset(made, unativeint config.Offset)
                    NativeLibPmem2.ConfigSetLength(made, unativeint config.Length)
                    NativeLibPmem2.ConfigSetSharing(made, config.Sharing)
                    NativeLibPmem2.ConfigSetProtection(made, config.Protection)
                ]
                |> List.tryFind ((<>) 0)

            match config.At with
            | Some at -> NativeLibPmem2.ConfigSetReservation(made, reservation, unativeint at) |> ignore
            | None -> ()

            let mutable map = 0n

            let code =
                match set with
                | Some code -> code
                | None -> NativeLibPmem2.MapNew(&map, made, source)

            NativeLibPmem2.ConfigDelete &made |> ignore

            if code <> 0 then
                refused code, null
            else
                {
                    Code = 0
                    Size = NativeLibPmem2.MapGetSize map
                    Granularity = NativeLibPmem2.MapGetGranularity map
                },
                box map)

    override _.Address map = NativeLibPmem2.MapGetAddress(unbox map)

    override _.Delete map =
        let mutable map: nativeint = unbox map
        NativeLibPmem2.MapDelete &map

    override _.Persist(map, address, length) =
        NativeLibPmem2.Persist(unbox map, address, length)

    override _.Move(map, target, origin, length, flags) =
        NativeLibPmem2.Move(unbox map, target, origin, length, flags)

    override _.Fill(map, target, value, length, flags) =
        NativeLibPmem2.Fill(unbox map, target, value, length, flags)

    override _.DeepFlush(map, address, length) =
        NativeLibPmem2.DeepFlush(unbox map, address, length)

    override _.Shrink(offset, size) =
        NativeLibPmem2.ReservationShrink(reservation, offset, size)

    override _.ReservationSize = NativeLibPmem2.ReservationGetSize reservation

    override _.Find(offset, length) =
        let mutable map = 0n
        let code = NativeLibPmem2.ReservationFind(reservation, offset, length, &map)
        code, (if code = 0 then box map else null)

    override side.Copy(isRead, bytes, offset) =
        withSource side (OfFile false) (fun source ->
            use pinned = fixed bytes
            let length = unativeint bytes.Length

            if isRead then
                NativeLibPmem2.SourcePread(source, pinned, length, offset)
            else
                NativeLibPmem2.SourcePwrite(source, pinned, length, offset))

    override _.Close() =
        NativeLibPmem2.ReservationDelete &reservation

type Ours(path) =
    inherit Side(path)

    let mutable reservation =
        let mutable made: Pmem2VmReservation | null = null

        LibPmem2.VmReservationNew(&made, NativePtr.toVoidPtr (NativePtr.nullPtr: nativeptr<byte>), 10un * page)
        |> ignore

        nonNull made

    let withSource (side: Side) source action =
        let mutable made: Pmem2Source | null = null

        let code =
            match source with
            | OfFile readOnly -> LibPmem2.SourceFromFd(&made, side.Descriptor readOnly)
            | OfMemory size -> LibPmem2.SourceFromAnon(&made, unativeint size)

        Expect.equal code 0 (LibPmem2.ErrorMsg())
        action (nonNull made)

    override side.Map(source, config) =
        withSource side source (fun source ->
            let mutable made: Pmem2Config | null = null
            LibPmem2.ConfigNew &made |> ignore
            let made = nonNull made

            let set =
                [
                    LibPmem2.ConfigSetRequiredStoreGranularity(made, enum<Pmem2Granularity> config.Granularity)
                    LibPmem2.ConfigSetOffset(made, unativeint config.Offset)
                    LibPmem2.ConfigSetLength(made, unativeint config.Length)
                    LibPmem2.ConfigSetSharing(made, enum<Pmem2Sharing> config.Sharing)
                    LibPmem2.ConfigSetProtection(made, LanguagePrimitives.EnumOfValue config.Protection)
                ]
                |> List.tryFind ((<>) 0)

            config.At
            |> Option.iter (fun at -> LibPmem2.ConfigSetVmReservation(made, reservation, unativeint at) |> ignore)

            let mutable map: Pmem2Map | null = null

            let code =
                match set with
                | Some code -> code
                | None -> LibPmem2.MapNew(&map, made, source)

            match map with
            | null -> refused code, null
            | map ->
                {
                    Code = code
                    Size = LibPmem2.MapGetSize map
                    Granularity = int (LibPmem2.MapGetStoreGranularity map)
                },
                box map)

    override _.Address map = LibPmem2.MapGetAddress(unbox map)

    override _.Delete map =
        let mutable map: Pmem2Map | null = unbox map
        LibPmem2.MapDelete &map

    override _.Persist(map, address, length) =
        LibPmem2.GetPersistFn(unbox map).Invoke(NativePtr.toVoidPtr address, length)

    override _.Move(map, target, origin, length, flags) =
        LibPmem2
            .GetMemMoveFn(unbox map)
            .Invoke(NativePtr.toVoidPtr target, NativePtr.toVoidPtr origin, length, enum (int flags))
        |> ignore

    override _.Fill(map, target, value, length, flags) =
        LibPmem2.GetMemSetFn(unbox map).Invoke(NativePtr.toVoidPtr target, value, length, enum (int flags))
        |> ignore

    override _.DeepFlush(map, address, length) =
        LibPmem2.DeepFlush(unbox map, NativePtr.toVoidPtr address, length)

    override _.Shrink(offset, size) =
        LibPmem2.VmReservationShrink(reservation, offset, size)

    override _.ReservationSize = LibPmem2.VmReservationGetSize reservation

    override _.Find(offset, length) =
        let mutable map: Pmem2Map | null = null
        let code = LibPmem2.VmReservationMapFind(reservation, offset, length, &map)
        code, box map

    override side.Copy(isRead, bytes, offset) =
        withSource side (OfFile false) (fun source ->
            use pinned = fixed bytes
            let at, length = NativePtr.toVoidPtr pinned, unativeint bytes.Length

            if isRead then
                LibPmem2.SourcePreadMcsafe(source, at, length, offset)
            else
                LibPmem2.SourcePwriteMcsafe(source, at, length, offset))

    override _.Close() =
        LibPmem2.VmReservationDelete &reservation
