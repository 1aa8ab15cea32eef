/// Random persist programs and traces, with shrinking: what the crash properties draw from.
module Pmem.Tests.CrashGenerators

open System
open FsCheck
open FsCheck.FSharp
open Pmem

/// The memory that all of these are for, in bytes: two pages and a little, not whole lines.
let sizeBytes = 4096 + 100

/// Each element left out, then each made simpler.
let private shrinkList shrinkOne list =
    seq {
        if List.length list > 3 then
            yield List.truncate (List.length list / 2) list

        for i in 0 .. List.length list - 1 do
            yield List.removeAt i list

        for i in 0 .. List.length list - 1 do
            for simpler in shrinkOne (List.item i list) do
                yield List.updateAt i simpler list
    }

/// Few places, so that stores meet: words of two lines, at the end of a line, in another page, at the end of memory.
let private places = [ 0L; 4L; 8L; 16L; 56L; 64L; 72L; 4096L; 4104L; 4184L ]

let private bytesOf length =
    Gen.choose (1, 255) |> Gen.map byte |> Gen.arrayOfLength length

let private store =
    gen {
        let! offset = Gen.elements places

        let! length =
            Gen.frequency [ 6, Gen.constant 8; 2, Gen.elements [ 1; 4 ]; 1, Gen.constant 12 ]

        let! bytes = bytesOf length
        return offset, bytes
    }

let private range =
    gen {
        let! line = Gen.elements [ 0L; 64L; 4096L; 4160L ]
        let! length = Gen.frequency [ 4, Gen.constant 64L; 1, Gen.constant 128L ]
        return ByteRange.create line length
    }

let private writeBack =
    Gen.map2
        (fun kind range -> Execute(WriteBack(kind, range)))
        (Gen.frequency
            [
                4, Gen.constant Clwb
                1, Gen.constant ClflushOpt
                2, Gen.constant Clflush
                1, Gen.constant DcCvap
                1, Gen.constant NoWriteBack
            ])
        range

let private event =
    Gen.frequency
        [
            8, Gen.map Store store
            3, Gen.map StoreNonTemporal store
            4, writeBack
            3, Gen.constant (Execute Fence)
            1, Gen.map (fun range -> Execute(SyncPages(ByteRange.alignOut 4096L range))) range
            1, Gen.map (int64 >> Acknowledge) (Gen.choose (1, 3))
        ]

let private simplerStore make (offset: int64, bytes: byte[]) =
    seq {
        if bytes.Length > 8 then
            yield make (offset, Array.truncate 8 bytes)

        if offset > 0L then
            yield make (0L, bytes)

        if Array.exists ((<>) 1uy) bytes then
            yield make (offset, Array.create bytes.Length 1uy)
    }

let private simplerEvent event =
    match event with
    | Store(offset, bytes) -> simplerStore Store (offset, bytes)
    | StoreNonTemporal(offset, bytes) ->
        Seq.append [ Store(offset, bytes) ] (simplerStore StoreNonTemporal (offset, bytes))
    | Execute(WriteBack(kind, range)) when kind <> Clwb -> Seq.singleton (Execute(WriteBack(Clwb, range)))
    | _ -> Seq.empty

/// The words that an event stores to: what an enumeration of subsets is exponential in.
let wordCount event =
    match event with
    | Store(offset, bytes)
    | StoreNonTemporal(offset, bytes) -> int ((offset + int64 bytes.Length - 1L) / 8L - offset / 8L) + 1
    | _ -> 0

/// A trace that stores to at most 8 words.
type SmallTrace =
    | SmallTrace of PersistEvent list

    override trace.ToString() =
        let (SmallTrace events) = trace
        String.Join("; ", events)

let private bounded events =
    let step (kept, words) event =
        let words' = words + wordCount event
        if words' > 8 then kept, words else event :: kept, words'

    List.fold step ([], 0) events |> fst |> List.rev

/// What a random recovery does.
type RecoveryStep =
    | Read of int64
    /// Goes on only where a word read is this or less.
    | Unless of int64 * int64
    /// Stores a number, and more where the last word read was not 0.
    | StoreWord of int64 * int64 * isNonTemporal: bool
    | PersistLine of int64
    | FlushLine of int64
    | DrainAll
    | Promise of int64

let private recoveryStep =
    let word = Gen.elements [ 0L; 8L; 56L; 64L; 4096L; 4104L ]

    Gen.frequency
        [
            4, Gen.map Read word
            2, Gen.map2 (fun at most -> Unless(at, most)) word (Gen.elements [ 0L; 1L; 1L <<< 56 ])
            4,
            gen {
                let! at = word
                let! value = Gen.choose (1, 9)
                let! isNonTemporal = Gen.frequency [ 4, Gen.constant false; 1, Gen.constant true ]
                return StoreWord(at, int64 value, isNonTemporal)
            }
            2, Gen.map PersistLine word
            1, Gen.map FlushLine word
            1, Gen.constant DrainAll
            2, Gen.map (int64 >> Promise) (Gen.choose (4, 6))
        ]

let private boundedRecovery (steps: RecoveryStep list) =
    let isStore step =
        match step with
        | StoreWord _ -> true
        | _ -> false

    let step (kept, stores) step =
        if isStore step && stores = 3 then
            kept, stores
        else
            step :: kept, (if isStore step then stores + 1 else stores)

    List.fold step ([], 0) steps |> fst |> List.rev |> List.truncate 7

/// A random recovery, and by which hash of what it sees it rejects.
type RandomRecovery =
    {
        Steps: RecoveryStep list
        Modulus: int
    }

    /// Runs it. It rejects where a hash of what it read, and of what was promised, is 0.
    member recovery.Run(memory: IPersistentMemory, promised: int64 list) =
        let mutable sum = 7L
        let mutable last = 0L

        let read at =
            last <- memory.ReadInt64 at
            sum <- sum * 31L + last

        for promise in promised do
            sum <- sum * 37L + promise

        let rec run steps =
            match steps with
            | [] -> ()
            | Unless(at, most) :: _ when
                (read at
                 last > most)
                ->
                ()
            | step :: rest ->
                match step with
                | Read at -> read at
                | Unless _ -> ()
                | StoreWord(at, value, isNonTemporal) ->
                    let bytes = BitConverter.GetBytes(value + (if last <> 0L then 16L else 0L))

                    if isNonTemporal then
                        memory.StoreNonTemporal(at, ReadOnlySpan bytes)
                    else
                        memory.Store(at, ReadOnlySpan bytes)
                | PersistLine at -> memory.Persist(at, 8L)
                | FlushLine at -> memory.Flush(at, 8L)
                | DrainAll -> memory.Drain()
                | Promise operation -> memory.Acknowledge operation

                run rest

        run recovery.Steps
        (abs sum) % int64 recovery.Modulus <> 0L

/// A workload, a recovery, and how often it is crashed.
type CrashCase = { Events: PersistEvent list; Recovery: RandomRecovery; Crashes: int }

let private crashCase =
    gen {
        let! events = Gen.listOf event |> Gen.resize 8
        let! steps = Gen.listOf recoveryStep |> Gen.resize 8
        let! modulus = Gen.elements [ 2; 5; 17; 61; 251 ]
        let! crashes = Gen.frequency [ 1, Gen.constant 0; 4, Gen.constant 1 ]

        return
            {
                Events = bounded events |> List.truncate 8
                Recovery = { Steps = boundedRecovery steps; Modulus = modulus }
                Crashes = crashes
            }
    }

let private simplerCase case =
    seq {
        if case.Crashes > 0 then
            yield { case with Crashes = case.Crashes - 1 }

        for events in shrinkList simplerEvent case.Events do
            yield { case with Events = events }

        for steps in shrinkList (fun _ -> Seq.empty) case.Recovery.Steps do
            yield { case with CrashCase.Recovery.Steps = steps }
    }

/// A write of a persist program, or a barrier.
type ProgramStep =
    | Write of int64 * byte[]
    | Barrier

let private programStep =
    Gen.frequency
        [
            3,
            gen {
                let! offset = Gen.choose64 (0L, int64 sizeBytes - 100L)
                let! offset = Gen.elements (offset :: places)
                let! length = Gen.elements [ 0; 1; 8; 16; 50; 100 ]
                let! bytes = bytesOf (min length (sizeBytes - int offset))
                return Write(offset, bytes)
            }
            1, Gen.constant Barrier
        ]

let private simplerStep step =
    match step with
    | Write(offset, bytes) ->
        seq {
            if bytes.Length > 0 then
                yield Write(offset, Array.truncate (bytes.Length / 2) bytes)

            if offset > 0L then
                yield Write(0L, bytes)
        }
    | Barrier -> Seq.empty

/// A program and the steps that it was built from.
type ProgramSteps =
    | ProgramSteps of ProgramStep list

    member steps.Program =
        let (ProgramSteps list) = steps

        let element step =
            match step with
            | Write(offset, bytes) -> PersistProgram.write offset bytes
            | Barrier -> PersistProgram.barrier

        PersistProgram.concat (List.map element list)

    override steps.ToString() = string steps.Program

/// A program of a few short writes: few enough crash states to list.
type SmallProgram =
    | SmallProgram of ProgramStep list

    member small.Program =
        let (SmallProgram steps) = small
        (ProgramSteps steps).Program

    override small.ToString() = string small.Program

let private isShort step =
    match step with
    | Write(_, bytes) -> bytes.Length <= 16
    | Barrier -> true

type CrashArbitraries =
    static member SmallProgram() =
        Arb.fromGenShrink (
            Gen.listOf programStep
            |> Gen.resize 8
            |> Gen.map (List.filter isShort >> List.truncate 6 >> SmallProgram),
            fun (SmallProgram steps) -> shrinkList simplerStep steps |> Seq.map SmallProgram
        )

    static member CrashCase() =
        Arb.fromGenShrink (crashCase, simplerCase)

    static member SmallTrace() =
        Arb.fromGenShrink (
            Gen.listOf event |> Gen.resize 12 |> Gen.map (bounded >> SmallTrace),
            fun (SmallTrace events) -> shrinkList simplerEvent events |> Seq.map SmallTrace
        )

    static member ProgramSteps() =
        Arb.fromGenShrink (
            Gen.listOf programStep |> Gen.resize 12 |> Gen.map ProgramSteps,
            fun (ProgramSteps steps) -> shrinkList simplerStep steps |> Seq.map ProgramSteps
        )
