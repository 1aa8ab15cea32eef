/// What is stored is stored before it is written back, and written back before the fence: held on a machine that keeps what a
/// power failure would leave.
module Pmem.Tests.OrderTests

open System
open Expecto
open FsCheck.FSharp
open Pmem
open Pmem.Testing
open Pmem.Tests.CopyPlanTests

[<Literal>]
let private MemoryBytes = 16384

type Step =
    | Write of at: int * length: int
    | WriteWord of at: int
    | Fill of at: int * length: int
    | Move of at: int * from: int * length: int
    | Run of epochs: (int * int) list list
    | Persist of at: int * length: int

type Script = { Flags: PmemCopyOptions; Steps: Step list }

/// Whole lines half the time: the ways for them are others, and one in 4096 of random ranges is one.
let private rangeGen =
    gen {
        let! length = Gen.frequency [ 3, Gen.choose (1, 300); 1, Gen.choose (1, 6000) ]
        let! at = Gen.choose (0, MemoryBytes - 6100)
        let! isWhole = Gen.elements [ true; false ]
        return if isWhole then at / 64 * 64, (length + 63) / 64 * 64 else at, length
    }

let private stepGen =
    Gen.frequency
        [
            3, Gen.map Write rangeGen
            1, Gen.map (fst >> WriteWord) rangeGen
            3, Gen.map Fill rangeGen
            3, Gen.map2 (fun (at, length) (from, _) -> Move(at, from, length)) rangeGen rangeGen
            2, Gen.map Run (Gen.listOfLength 3 (Gen.listOfLength 2 rangeGen))
            1, Gen.map Persist rangeGen
        ]

type Arbitraries =
    static member Script() =
        Arb.fromGenShrink (
            gen {
                let! flags =
                    Gen.elements [ PmemCopyOptions.None; PmemCopyOptions.Temporal; PmemCopyOptions.NonTemporal ]

                let! steps = Gen.nonEmptyListOf stepGen
                return { Flags = flags; Steps = List.truncate 12 steps }
            },
            fun script ->
                seq {
                    for i in 0 .. script.Steps.Length - 1 do
                        { script with Steps = List.removeAt i script.Steps }
                }
        )

/// Bytes that no step before has stored.
let private bytesOf number length =
    Array.init length (fun i -> byte (i * 7 + number * 31 + 1))

let private programOf number epochs =
    let mutable program = PersistProgram.empty

    for i, writes in List.indexed epochs do
        for at, length in writes do
            program <- program.Write(int64 at, ReadOnlySpan(bytesOf (number + i) (min length 500)))

        program <- program.Barrier()

    program

/// After each epoch exactly what the program has stored up to it is durable.
let private runsInOrder (machine: ShadowMachine) (program: PersistProgram) =
    let before = machine.Memory.ToArray()
    machine.Begin()
    machine.Mapping.Run program

    let after =
        program.Epochs
        |> Seq.scan
            (fun (memory: byte[]) epoch ->
                let memory = Array.copy memory

                for write in epoch.Writes do
                    write.Bytes.Span.CopyTo(memory.AsSpan(int write.Range.Offset))

                memory)
            before
        |> Seq.tail
        |> List.ofSeq

    // By page one epoch can be several syncs: the last is the one that ends it.
    let states = List.ofSeq machine.States

    List.forall (fun memory -> List.contains memory states) after
    && List.last states = List.last after

let private act (machine: ShadowMachine) flags number step =
    let map = machine.Mapping

    match step with
    | Write(at, length) -> map.Write(int64 at, ReadOnlySpan(bytesOf number length), flags)
    | WriteWord at -> map.Write(int64 at, int64 number * 0x0101010101010101L + 1L, flags)
    | Fill(at, length) -> map.Fill(int64 at, int64 length, byte (number + 100), flags)
    | Move(at, from, length) -> map.Move(int64 at, int64 from, int64 length, flags)
    | Persist(at, length) ->
        (bytesOf number length).CopyTo(map.GetSpan(int64 at, length))
        map.Persist(int64 at, int64 length)
    | Run _ -> ()

let private isOrdered (machine: ShadowMachine) isPast script =
    script.Steps
    |> List.indexed
    |> List.forall (fun (number, step) ->
        match step with
        | Run epochs -> runsInOrder machine (programOf number epochs)
        | step ->
            machine.Begin()
            act machine script.Flags number step
            let now = machine.Memory.ToArray()
            // What goes past the cache no instruction shows; it must be stored before the fence.
            machine.AtFence = now && (isPast || machine.Durable = now))

let private property name platform kind isPast =
    let machine = lazy new ShadowMachine(MemoryBytes, platform, kind)

    Harness.propertyOf (Harness.cases 200 4000) name [ typeof<Arbitraries> ] (fun (script: Script) ->
        isOrdered machine.Value isPast script)

let private noMovnt = [ "PMEM_NO_MOVNT", "1" ]

let tests =
    // One machine serves all cases of a property.
    testSequenced
    <| testList
        "orders"
        [
            for bits in [ 128; 256 ] do
                property
                    $"through the cache, {bits} bits: stored, written back, fenced"
                    (platformWith bits noMovnt)
                    FileDax
                    false

                property
                    $"past the cache, {bits} bits: all is stored before the fence"
                    (platformWith bits [])
                    FileDax
                    true

            property "page by page: stored, then synced" (platformWith 256 []) PageCache false
        ]
