(**
---
title: 8. Property-based checking
category: Learn
categoryindex: 1
index: 8
---
# 8. Property-based checking

So far each check ran one program that we thought of. A structure has many. *Property-based* checking generates them: lists of
operations, performed one after the other, crashed everywhere, recovered, and compared with a *model*, a plain immutable value.

The demand is *durable linearizability*: what is recovered is the model after all operations that were promised, or after these
and the one that was in flight.
*)
(*** hide ***)
#load "../../eng/site/Page.fsx"

(** *)
open FsCheck
open Pmem

type Operation = Append of byte

let append (Append item) (memory: IPersistentMemory) =
    let count = memory.ReadInt64 0L
    memory.StoreInt64(0L, count + 1L) // the count first
    memory.Persist(0L, 8L)
    memory.StoreInt64(64L + 8L * count, int64 item)
    memory.Persist(64L + 8L * count, 8L)

let log append =
    DurableStructure<Operation, int64 list>(
        image = Array.zeroCreate 1024,
        initial = [],
        apply = (fun operation memory -> append operation memory),
        model = (fun (Append item) items -> items @ [ int64 item ]),
        recover = (fun memory -> [ for i in 0L .. memory.ReadInt64 0L - 1L -> memory.ReadInt64(64L + 8L * i) ])
    )

let config =
    Config.QuickThrowOnFailure.WithReplay(Some { Rnd = Rnd(20260UL, 40521UL); Size = None })

let found =
    try
        Check.One(config, (log append).IsDurable)
        failwith "nothing was found"
    with error ->
        error.Message

(** FsCheck makes the list shorter until nothing can be left out: *)
(*** hide ***)
Page.text found
(*** include-it-raw ***)

(** The list that was found is a test from then on, and its failure has the report, which can be drawn: *)
let report =
    try
        (log append).Check [ Append 7uy ]
        failwith "it was not found again"
    with :? DurabilityException as failure ->
        failure.Report

(*** hide ***)
match report with
| null -> failwith "the failure has no report"
| report -> Page.picture (report.ToSvg())
(*** include-it-raw ***)

(** ## The repair: the item first *)
let appendInOrder (Append item) (memory: IPersistentMemory) =
    let count = memory.ReadInt64 0L
    memory.StoreInt64(64L + 8L * count, int64 item)
    memory.Persist(64L + 8L * count, 8L)
    memory.StoreInt64(0L, count + 1L)
    memory.Persist(0L, 8L)

Check.One(config, (log appendInOrder).IsDurable)
(*** include-output ***)

(**
[Test your structure in ten minutes](../properties.html) says the rest.
*)
(*** hide ***)
Page.csharp 8
(*** include-it-raw ***)

(** ## Exercise *)
(*** hide ***)
Page.exercise 8
(*** include-it-raw ***)
