/// The F# of docs/properties.md, compiled and run. A test holds each block of it against this file.
module Structures.FSharp

open System.IO
open FsCheck
open Pmem

type Operation = Append of byte

let append (item: byte) (memory: IPersistentMemory) =
    let count = memory.ReadInt64 0L
    memory.StoreInt64(64L + 8L * count, int64 item)
    memory.Persist(64L + 8L * count, 8L) // without this line the property fails
    memory.StoreInt64(0L, count + 1L)
    memory.Persist(0L, 8L)

let recover (memory: IPersistentMemory) =
    [
        for index in 0L .. memory.ReadInt64 0L - 1L -> memory.ReadInt64(64L + 8L * index)
    ]

let log =
    DurableStructure<Operation, int64 list>(
        image = Array.zeroCreate 1024,
        initial = [],
        apply = (fun (Append item) memory -> append item memory),
        model = (fun (Append item) items -> items @ [ int64 item ]),
        recover = (fun memory -> recover memory)
    )

let check () = Check.QuickThrowOnFailure log.IsDurable

let survives (path: string) =
    log.SurvivesReopening(
        (fun () ->
            File.Delete path
            PmemMapping.Create(path, 4096L)),
        (fun () -> PmemMapping.Open path)
    )

let laws (myMemory: byte[] -> IPersistentMemory) =
    [
        PlanLaws.BuildsPlan(fun ranges -> FlushPlan.Of ranges)
        ProgramLaws.Composes(fun first second -> first + second)
        LoweringLaws.Executes(fun platform granularity plan -> Lowering.ofPlan platform granularity plan)
        MemoryLaws.Remembers(fun image -> myMemory image)
        MemoryLaws.RunsPrograms(fun image -> myMemory image)
    ]

let config = Config.Quick.WithArbitrary [ typeof<PmemArbitraries> ]
