(**
---
title: 1. What a store is
category: Learn
categoryindex: 1
index: 1
---
# 1. What a store is

Persistent memory is memory that keeps its contents without power. A program maps a file of it and stores to it as to any
memory: no read, no write, no system call.

But a store does not go to memory. It goes to a cache of the processor, 64 bytes at a time, a *cache line*. Every thread
sees it at once: it is *visible*. It is not *durable*: when power fails, the caches are lost.

Here a game saves a score and tells the player so. `IPersistentMemory` is the memory that it stores to: a mapped file in the
program, a simulated one in this page. `Acknowledge` is the promise: from here on the score must be there.
*)
(*** hide ***)
#load "../../eng/site/Page.fsx"

(** *)
open Pmem

let save (memory: IPersistentMemory) (score: int64) =
    memory.StoreInt64(0L, score)

let check save =
    CrashCheck.run
        CrashCheckOptions.Default
        (Array.zeroCreate 64)
        (fun memory ->
            save memory 42L
            memory.Acknowledge 1L) // "Saved", the player is told.
        (fun memory -> memory.Acknowledged.Count = 0 || memory.ReadInt64 0L = 42L)

let report = check save

(**
`CrashCheck` runs the first function, lets power fail wherever it matters, and asks the second one whether what is left is
right. It is not:
*)
(*** hide ***)
Page.text report
(*** include-it-raw ***)

(** The same as a picture. Time runs down; a column is a cache line; what was lost is struck out. *)
(*** hide ***)
Page.picture (report.ToSvg())
(*** include-it-raw ***)

(**
## Not durable does not mean lost

A cache writes lines back when it needs room, at any time. So the store *may* be durable. These are all the states that a
power failure can leave:
*)
let states =
    CrashStates.enumerate PersistencyModel.X86 (Array.zeroCreate 64) [ Store(0L, [| 42uy |]) ]

(*** hide ***)
Page.picture (states.ToSvg())
(*** include-it-raw ***)

(**
A test that pulls the plug would mostly find the right one. That is why such mistakes live long, and why this library
enumerates states instead.

## The repair

*Persist* makes a range durable before it returns.
*)
let saveForGood (memory: IPersistentMemory) (score: int64) =
    memory.StoreInt64(0L, score)
    memory.Persist(0L, 8L)

let repaired = check saveForGood

(*** hide ***)
Page.text repaired
(*** include-it-raw ***)

(*** hide ***)
Page.csharp 1
(*** include-it-raw ***)

(** ## Exercise *)
(*** hide ***)
Page.exercise 1
(*** include-it-raw ***)
