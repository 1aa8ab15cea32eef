/// Random persist programs and traces, with shrinking: what the crash properties draw from.
module Pmem.Tests.CrashGenerators

open System
open FsCheck
open FsCheck.FSharp
open Pmem

/// The memory that all of these are for, in bytes: two pages and a little, not whole lines.
let sizeBytes = PmemArbitraries.MemoryBytes

let private package = ArbMap.defaults |> ArbMap.mergeWith<PmemArbitraries>
let private events = ArbMap.arbitrary<PersistEvent list> package
let private programs = PmemArbitraries.PersistProgram()

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
        let! events = Gen.resize 8 events.Generator
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

        for events in events.Shrinker case.Events do
            yield { case with Events = events }

        for i in 0 .. case.Recovery.Steps.Length - 1 do
            yield { case with CrashCase.Recovery.Steps = List.removeAt i case.Recovery.Steps }
    }

/// A program of a few short writes: few enough crash states to list.
type SmallProgram =
    | SmallProgram of PersistProgram

    member small.Program =
        let (SmallProgram program) = small
        program

    override small.ToString() = string small.Program

/// The same epochs with writes of at most 16 bytes, and at most 6 elements.
let private small program =
    let elements =
        [
            for epoch in PersistProgram.epochs program do
                for write in epoch.Writes do
                    if write.Range.Length <= 16L then
                        PersistProgram.write write.Range.Offset (write.Bytes.ToArray())

                PersistProgram.barrier
        ]

    SmallProgram(PersistProgram.concat (List.truncate 6 elements))

type CrashArbitraries =
    static member SmallProgram() =
        Arb.fromGenShrink (
            Gen.map small programs.Generator,
            fun (SmallProgram program) -> Seq.map small (programs.Shrinker program)
        )

    static member CrashCase() =
        Arb.fromGenShrink (crashCase, simplerCase)

    static member SmallTrace() =
        Arb.fromGenShrink (
            events.Generator |> Gen.resize 12 |> Gen.map (bounded >> SmallTrace),
            fun (SmallTrace trace) -> Seq.map SmallTrace (events.Shrinker trace)
        )

    static member PersistProgram() = programs
