/// Durability of structures as one property: what is right passes, what is wrong is found, soon and in words.
module Pmem.Tests.DurabilityTests

open System
open System.Collections.Generic
open System.IO
open System.Threading.Tasks
open Expecto
open FsCheck
open FsCheck.FSharp
open Pmem
open Pmem.Tests.Structures

/// A structure whose operations are numbers; each part can be replaced by a wrong one.
let private counter apply model recover =
    DurableStructure<int64, int64>(
        image = Array.zeroCreate 64,
        initial = 0L,
        apply = Action<int64, IPersistentMemory> apply,
        model = Func<int64, int64, int64> model,
        recover = Func<IPersistentMemory, int64> recover
    )

let private add (value: int64) (memory: IPersistentMemory) =
    memory.StoreInt64(0L, memory.ReadInt64 0L + value)
    memory.Persist(0L, 8L)

let private sum = (+)
let private read (memory: IPersistentMemory) = memory.ReadInt64 0L

let private config =
    Config.QuickThrowOnFailure.WithReplay(Some(Harness.replayOf Harness.fixedSeed))

let private holds name (property: Property) = Harness.holds config name property

/// The message with which the property fails.
let private failureOf (property: Property) =
    try
        Check.One(config, property)
        failtest "nothing was found"
    with
    | :? AssertException -> reraise ()
    | error -> error.ToString()

[<Literal>]
let private MegabytesToFind = 1000L

let private finds name (property: Property) (words: string list) =
    testCase name (fun () ->
        let mutable failure = ""
        Harness.isCheap MegabytesToFind (fun () -> failure <- failureOf property)

        for part in words do
            Expect.stringContains failure part "words")

let private refuses name (structure: DurableStructure<int64, int64>) operations words =
    testCase name (fun () ->
        let failure =
            Expect.throwsC (fun () -> structure.Check operations) (fun error ->
                Expect.isTrue (error :? DurabilityException) "its own exception"
                error.Message)

        for part in words do
            Expect.stringContains failure part "words")

let private structures =
    testList
        "structures"
        [
            holds "a stack is durable" (Stack.structure Stack.NoMistake).IsDurable

            for mistake in [ Stack.ItemNotPersisted; Stack.CountFirst; Stack.CountNotPersisted ] do
                finds
                    $"a stack: {mistake}"
                    (Stack.structure mistake).IsDurable
                    [ "Not durable"; "Push"; "Structures.fs:"; "expected"; "found" ]

            holds "a ring is durable" (Ring.structure Ring.NoMistake).IsDurable

            for mistake in [ Ring.TailFirst; Ring.NoteNotPersisted; Ring.NoteTakenBackFirst ] do
                finds
                    $"a ring: {mistake}"
                    (Ring.structure mistake).IsDurable
                    [ "Not durable"; "Enqueue"; "Recovery threw" ]

            holds "a hash table is durable" (HashTable.structure HashTable.NoMistake).IsDurable

            for mistake in [ HashTable.KeyFirst; HashTable.SwitchEarly; HashTable.LosesMoved ] do
                finds $"a hash table: {mistake}" (HashTable.structure mistake).IsDurable [ "Set"; "expected"; "found" ]
        ]

let private variants =
    testList
        "variants"
        [
            let lazily value (memory: IPersistentMemory) =
                memory.StoreInt64(0L, memory.ReadInt64 0L + value)

            finds "promised too early" (counter lazily sum read).IsDurable [ "Not durable" ]
            holds "buffered: a prefix is enough" ((counter lazily sum read).Buffered()).IsDurable

            finds
                "buffered: what is no prefix is found"
                ((counter
                    (fun value memory ->
                        add 1L memory
                        add (value - 1L) memory)
                    sum
                    read)
                    .Buffered())
                    .IsDurable
                [ "Not durable" ]

            finds
                "a recovery that finds something else the second time"
                (counter add sum (fun memory ->
                    let value = read memory
                    add 1L memory
                    value))
                    .IsDurable
                [ "recovered twice in a row" ]

            finds
                "an invariant"
                ((counter add sum read).WithInvariant(fun _ state -> state < 3L)).IsDurable
                [ "the invariant does not hold" ]

            testCase "each model of persistency" (fun () ->
                for model in [ PersistencyModel.Eadr; PersistencyModel.PageCache; PersistencyModel.Relaxed ] do
                    let options = CrashCheckOptions.Default.WithBudget(500L).WithModel(model)
                    Check.One(config, (counter add sum read).WithOptions(options).IsDurable))

            testCase "C#'s collections are compared by their elements" (fun () ->
                let structure =
                    DurableStructure<byte, List<int64>>(
                        image = Array.zeroCreate 64,
                        initial = List(),
                        apply = (fun value memory -> add (int64 value) memory),
                        model = (fun value state -> List [ int64 value + Seq.sum state ]),
                        recover = (fun memory -> if read memory = 0L then List() else List [ read memory ])
                    )

                structure.Check [ 1uy; 2uy ])
        ]

let private badInput =
    testList
        "bad input"
        [
            refuses
                "a model that throws"
                (counter add (fun _ _ -> failwith "no such state") read)
                [ 1L; 2L ]
                [ "The model threw at operation 1 (1): no such state" ]

            refuses
                "an apply that throws"
                (counter (fun _ _ -> failwith "no room") sum read)
                [ 1L ]
                [ "apply threw: no room" ]

            refuses
                "a recovery that is wrong from the start"
                (counter add sum (fun memory -> read memory + 1L))
                [ 1L ]
                [ "Wrong without any crash: expected 0 after 0 operations; found 1" ]

            refuses
                "a model that is wrong without any crash"
                (counter add (fun _ state -> state) read)
                [ 1L ]
                [ "Wrong without any crash: expected 0 after 1 operation; found 1"; "1. 1" ]

            testCase "an apply that is not deterministic" (fun () ->
                let mutable calls = 0L

                let apply value (memory: IPersistentMemory) =
                    calls <- calls + 1L
                    memory.StoreInt64(8L, calls)
                    add value memory

                let failure =
                    Expect.throwsC (fun () -> (counter apply sum read).Check [ 1L ]) (fun error -> error.Message)

                Expect.stringContains failure "not deterministic" "words")

            testCase "a model that changes the state that it is given" (fun () ->
                let structure =
                    DurableStructure<byte, List<byte>>(
                        image = Array.zeroCreate 64,
                        initial = List(),
                        apply = (fun value memory -> add (int64 value) memory),
                        model =
                            (fun value state ->
                                state.Add value
                                state),
                        recover = (fun _ -> List())
                    )

                let failure =
                    Expect.throwsC (fun () -> structure.Check [ 1uy ]) (fun error -> error.Message)

                Expect.stringContains failure "changed the state that it was given" "words")

            refuses
                "an apply that stores on another thread"
                (counter
                    (fun value memory ->
                        // A wait for the task itself may run it on this thread.
                        let work = Task.Run(fun () -> add value memory)
                        (work :> IAsyncResult).AsyncWaitHandle.WaitOne() |> ignore
                        work.GetAwaiter().GetResult())
                    sum
                    read)
                [ 1L ]
                [ "thread" ]

            testCase "a recovery that is not deterministic" (fun () ->
                let mutable calls = 0L

                let recover (memory: IPersistentMemory) =
                    calls <- calls + 1L

                    if calls % 2L = 0L then
                        memory.ReadInt64 8L |> ignore

                    read memory

                let failure =
                    Expect.throwsC (fun () -> (counter add sum recover).Check [ 1L; 2L ]) (fun error -> error.Message)

                Expect.stringContains failure "not deterministic" "words")

            testCase "a recovery that throws on reopened memory is told with the steps" (fun () ->
                let memory () =
                    RecordedMemory(Array.zeroCreate 64, PersistencyModel.X86) :> IPersistentMemory

                let structure = counter add sum (fun _ -> failwith "no header")
                let failure = failureOf (structure.SurvivesReopening(memory, memory))

                Expect.stringContains failure "recover threw, closed and opened again after" "words"
                Expect.stringContains failure "no header" "the cause")

            testCase "a state that is a task" (fun () ->
                let failure =
                    Expect.throwsC
                        (fun () ->
                            DurableStructure<byte, Task<int>>(
                                image = [||],
                                initial = Task.FromResult 1,
                                apply = (fun _ _ -> ()),
                                model = (fun _ state -> state),
                                recover = (fun _ -> Task.FromResult 1)
                            )
                            |> ignore)
                        (fun error -> error.Message)

                Expect.stringContains failure "is a task" "words")

            testCase "a recovery that stores is crashed as well" (fun () ->
                // It rolls forward and clears its note, each durable by itself, in the wrong order.
                Expect.throwsT<DurabilityException>
                    (fun () -> (Ring.structure Ring.NoteTakenBackFirst).Check [ Ring.Enqueue 1uy; Ring.Dequeue ])
                    "found")
        ]

let private reopened =
    testList
        "reopened files"
        [
            let onFile directory (structure: DurableStructure<_, _>) =
                let path = Path.Combine(directory, "structure.pmem")

                structure.SurvivesReopening(
                    (fun () ->
                        File.Delete path
                        PmemMapping.Create(path, 16384L)),
                    (fun () -> PmemMapping.Open path)
                )

            testCase "the three structures survive" (fun () ->
                Harness.inDirectory (fun directory ->
                    let config = config.WithMaxTest 20
                    Check.One(config, onFile directory (Stack.structure Stack.NoMistake))
                    Check.One(config, onFile directory (Ring.structure Ring.NoMistake))
                    Check.One(config, onFile directory (HashTable.structure HashTable.NoMistake))))

            testCase "what is lost by growing is found" (fun () ->
                Harness.inDirectory (fun directory ->
                    let failure =
                        failureOf (onFile directory (HashTable.structure HashTable.LosesMoved))

                    Expect.stringContains failure "Closed and opened again after" "words"))
        ]

let tests = testList "durability" [ structures; variants; badInput; reopened ]
