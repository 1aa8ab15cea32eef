/// Random sequences of calls of LibPmem2 and of Debian's libpmem2, which must have the same outcome, granularity and bytes.
module Pmem.Tests.LibPmem2Calls

open System
open System.IO
open FSharp.NativeInterop
open Expecto
open FsCheck
open FsCheck.FSharp
open Pmem
open Pmem.Testing
open Pmem.Tests.LibPmem2Sides

#nowarn "9" // both give and take addresses

[<Literal>]
let private FileBytes = 20_000

type Call =
    | Map of Source * Config
    | Delete of int
    | Persist of int * offset: int * length: int
    | Move of int * offset: int * length: int * flags: int
    | Fill of int * offset: int * length: int * flags: int
    | DeepFlush of int * offset: int * length: int
    | Shrink of offset: int * size: int
    | Find of offset: int * length: int
    | Read of offset: int * length: int
    | Write of offset: int * length: int

let private about =
    Gen.elements [ 0; 1; 100; 4096; 5000; 8192; 12288; 16384; 20000; 20480; 24576 ]

let private pages = Gen.choose (0, 9) |> Gen.map ((*) 4096)

let private source =
    Gen.frequency
        [
            4, Gen.constant (OfFile false)
            1, Gen.constant (OfFile true)
            2, Gen.map OfMemory (Gen.elements [ 0; 4096; 16384 ])
        ]

let private config =
    gen {
        let! granularity =
            Gen.frequency [ 8, Gen.constant 2; 1, Gen.choose (0, 1); 1, Gen.elements [ 3; -1 ] ]

        let! offset = Gen.frequency [ 3, Gen.constant 0; 1, about ]
        let! length = Gen.frequency [ 2, Gen.constant 0; 2, pages; 1, about ]

        let! sharing =
            Gen.frequency [ 4, Gen.constant 0; 2, Gen.constant 1; 1, Gen.constant 5 ]

        let! protection =
            Gen.frequency
                [
                    5, Gen.constant (3u <<< 30)
                    1, Gen.elements [ 0u; 1u <<< 30; 1u <<< 31; 7u <<< 29; 1u; 5u <<< 29 ]
                ]

        let! at =
            Gen.frequency [ 1, Gen.constant None; 1, Gen.map Some (Gen.oneof [ pages; about ]) ]

        return
            {
                Granularity = granularity
                Offset = offset
                Length = length
                Sharing = sharing
                Protection = protection
                At = at
            }
    }

let private call =
    let which = Gen.choose (0, 3)
    let flags = Gen.choose (0, 63)

    Gen.frequency
        [
            5, Gen.map2 (fun source config -> Map(source, config)) source config
            1, Gen.map Delete which
            2, Gen.map3 (fun map offset length -> Persist(map, offset, length)) which about about
            2, Gen.map4 (fun map offset length flags -> Move(map, offset, length, flags)) which about about flags
            2, Gen.map4 (fun map offset length flags -> Fill(map, offset, length, flags)) which about about flags
            1, Gen.map3 (fun map offset length -> DeepFlush(map, offset, length)) which about about
            1,
            Gen.map2 (fun offset size -> Shrink(offset, size)) (Gen.oneof [ pages; about ]) (Gen.oneof [ pages; about ])
            1, Gen.map2 (fun offset length -> Find(offset, length)) pages (Gen.choose (1, 9) |> Gen.map ((*) 4096))
            1, Gen.map2 (fun offset length -> Read(offset, length)) about about
            1, Gen.map2 (fun offset length -> Write(offset, length)) about about
        ]

type private Arbitraries =
    static member Calls() =
        Arb.fromGenShrink (
            Gen.listOfLength 15 call,
            fun calls -> seq { for i in 0 .. calls.Length - 1 -> List.removeAt i calls }
        )

type private Slot =
    {
        Size: int
        IsReadable: bool
        IsWritable: bool
        Theirs: objnull
        Ours: objnull
    }

let private content length =
    Array.init length (fun i -> byte (i * 7 + i / 256))

let private at (side: Side) map offset = NativePtr.add (side.Address map) offset

/// What is done with a range of a mapping, where both have one there.
let private inside (slots: Slot option array) map offset length isNeeded action =
    match slots[map] with
    | Some slot when isNeeded slot && offset + length <= slot.Size -> action slot
    | _ -> ()

let private isWritable slot = slot.IsWritable && slot.IsReadable

let private map (theirs: Side) (ours: Side) (slots: Slot option array) source config =
    let their, theirMap = theirs.Map(source, config)
    let our, ourMap = ours.Map(source, config)
    Expect.equal our their $"{source} {config}: {LibPmem2.ErrorMsg()}"

    if their.Code = 0 then
        let slot =
            {
                Size = int their.Size
                IsReadable = config.Protection &&& (1u <<< 30) <> 0u
                IsWritable = config.Protection &&& (1u <<< 31) <> 0u
                Theirs = theirMap
                Ours = ourMap
            }

        match Array.tryFindIndex Option.isNone slots with
        | Some free -> slots[free] <- Some slot
        | None -> Expect.equal (ours.Delete ourMap) (theirs.Delete theirMap) "delete"

/// Stores and flushes: nothing is returned, the bytes are compared in the end.
let private store (theirs: Side) (ours: Side) slots call =
    match call with
    | Persist(map, offset, length) ->
        inside slots map offset length _.IsReadable (fun slot ->
            theirs.Persist(slot.Theirs, at theirs slot.Theirs offset, unativeint length)
            ours.Persist(slot.Ours, at ours slot.Ours offset, unativeint length))
    | Move(map, offset, length, flags) ->
        use bytes = fixed (content (length + 1))

        inside slots map offset length isWritable (fun slot ->
            theirs.Move(slot.Theirs, at theirs slot.Theirs offset, bytes, unativeint length, uint32 flags)
            ours.Move(slot.Ours, at ours slot.Ours offset, bytes, unativeint length, uint32 flags))
    | Fill(map, offset, length, flags) ->
        inside slots map offset length isWritable (fun slot ->
            theirs.Fill(slot.Theirs, at theirs slot.Theirs offset, offset, unativeint length, uint32 flags)
            ours.Fill(slot.Ours, at ours slot.Ours offset, offset, unativeint length, uint32 flags))
    | _ -> ()

let private find (theirs: Side) (ours: Side) (slots: Slot option array) offset length =
    let their, theirMap = theirs.Find(unativeint offset, unativeint length)
    let our, ourMap = ours.Find(unativeint offset, unativeint length)
    Expect.equal our their "find"

    let index pick (map: objnull) =
        slots
        |> Array.tryFindIndex (fun slot -> slot.IsSome && Object.Equals(pick slot.Value, map))

    Expect.equal (index _.Ours ourMap) (index _.Theirs theirMap) "find"

/// libpmem2 1.12 subtracts without looking: behind the end of the file it reads nothing, writes, and says 0. Here it is refused.
let private copyBehindEnd (ours: Side) isRead offset length =
    let code = if length = 0 then 0 else Pmem2Error.LengthOutOfRange
    Expect.equal (ours.Copy(isRead, content length, unativeint offset)) code $"{isRead} {offset} {length}"

let private copy (theirs: Side) (ours: Side) isRead offset length =
    let their, our = content length, content length
    let code = theirs.Copy(isRead, their, unativeint offset)
    Expect.equal (ours.Copy(isRead, our, unativeint offset)) code $"{isRead} {offset} {length}: {LibPmem2.ErrorMsg()}"

    if code = 0 then
        Expect.equal our their "copy"

/// One call on both sides; the slots hold the mappings that both have.
let private step (theirs: Side) (ours: Side) (slots: Slot option array) call =
    match call with
    | Map(source, config) -> map theirs ours slots source config
    | Delete map ->
        slots[map]
        |> Option.iter (fun slot -> Expect.equal (ours.Delete slot.Ours) (theirs.Delete slot.Theirs) "delete")

        slots[map] <- None
    | Persist _
    | Move _
    | Fill _ -> store theirs ours slots call
    | DeepFlush(map, offset, length) ->
        inside slots map 0 0 _.IsReadable (fun slot ->
            let their =
                theirs.DeepFlush(slot.Theirs, at theirs slot.Theirs offset, unativeint length)

            Expect.equal (ours.DeepFlush(slot.Ours, at ours slot.Ours offset, unativeint length)) their $"{call}")
    | Shrink(offset, size) ->
        let their = theirs.Shrink(unativeint offset, unativeint size)
        Expect.equal (ours.Shrink(unativeint offset, unativeint size)) their $"{call}: {LibPmem2.ErrorMsg()}"
        Expect.equal ours.ReservationSize theirs.ReservationSize "size of the reservation"
    | Find(offset, length) -> find theirs ours slots offset length
    | Read(offset, length) when offset > FileBytes -> copyBehindEnd ours true offset length
    | Write(offset, length) when offset > FileBytes -> copyBehindEnd ours false offset length
    | Read(offset, length) -> copy theirs ours true offset length
    | Write(offset, length) -> copy theirs ours false offset length

let private sameOutcome (calls: Call list) =
    Harness.inDirectory (fun directory ->
        let paths =
            [ "theirs"; "ours" ] |> List.map (fun name -> Path.Combine(directory, name))

        for path in paths do
            File.WriteAllBytes(path, content FileBytes)

        use theirs = new Theirs(paths[0])
        use ours = new Ours(paths[1])
        let slots: Slot option array = Array.create 4 None
        calls |> List.iter (step theirs ours slots)

        for slot in Seq.choose id slots do
            if slot.IsReadable then
                let bytes (side: Side) map =
                    Span<byte>(NativePtr.toVoidPtr (side.Address map), slot.Size).ToArray()

                Expect.equal (bytes ours slot.Ours) (bytes theirs slot.Theirs) "bytes of a mapping"

            Expect.equal (ours.Delete slot.Ours) (theirs.Delete slot.Theirs) "delete"

        Expect.equal (ours.Close()) (theirs.Close()) "delete of the reservation"
        Expect.equal (File.ReadAllBytes paths[1]) (File.ReadAllBytes paths[0]) "bytes of the files")

/// Tries them on this many cases from Harness.freshSeed on, in a process where nothing else is mapped meanwhile: pmem2_map_new
/// reserves space, and maps the file there by MAP_FIXED with MAP_SYNC and, where that is refused, without. The refusal leaves a hole
/// (Linux unmaps what was there before it asks the file system), and what another thread has mapped in it by then is overwritten.
let run (count: string) =
    let config =
        Config.QuickThrowOnFailure
            .WithMaxTest(int count)
            .WithReplay(Some(Harness.replayOf Harness.freshSeed))
            .WithArbitrary([ typeof<Arbitraries> ])

    Check.One(config, sameOutcome)
