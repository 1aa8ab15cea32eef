(**
---
title: 4. Torn writes
category: Learn
categoryindex: 1
index: 4
---
# 4. Torn writes

A power failure tears what is longer than a word. The only unit that is never torn is an aligned word of 8 bytes. Two words
may be durable one without the other, in any combination, even in one line, even if one instruction stored both.

These are the states that a store of two words can leave:
*)
(*** hide ***)
#load "../../eng/site/Page.fsx"

(** *)
open Pmem

let both = [| 3uy; 0uy; 0uy; 0uy; 0uy; 0uy; 0uy; 0uy; 4uy |]

let states =
    CrashStates.enumerate PersistencyModel.X86 (Array.zeroCreate 128) [ Store(64L, both) ]

(*** hide ***)
Page.picture (states.ToSvg())
(*** include-it-raw ***)

(**
So a loader that believes what it finds is wrong. Before the promise it may find nothing, or the pair; what it must never
find is half of one.
*)
let save (memory: IPersistentMemory) (low: int64, high: int64) =
    memory.StoreInt64(64L, low)
    memory.StoreInt64(72L, high)
    memory.Persist(64L, 16L)

let load (memory: IPersistentMemory) =
    Some(memory.ReadInt64 64L, memory.ReadInt64 72L)

let check save load =
    CrashCheck.run
        CrashCheckOptions.Default
        (Array.zeroCreate 128)
        (fun (memory: RecordedMemory) ->
            save (memory :> IPersistentMemory) (3L, 4L)
            memory.Acknowledge 1L)
        (fun memory ->
            match load (memory :> IPersistentMemory) with
            | Some pair -> pair = (3L, 4L)
            | None -> memory.Acknowledged.Count = 0)

let report = check save load

(*** hide ***)
Page.picture (report.ToSvg())
(*** include-it-raw ***)

(**
## The repair: a checksum

Store a third word that depends on both. Where it does not fit, nothing was saved. Memory that was never stored to is 0, so the
checksum of two zeros must not be 0.
*)
let sum (low: int64) (high: int64) =
    (low * 31L + high) * 0x2545F4914F6CDD1DL + 0x517CC1B727220A95L

let saveWithSum (memory: IPersistentMemory) (low: int64, high: int64) =
    memory.StoreInt64(64L, low)
    memory.StoreInt64(72L, high)
    memory.StoreInt64(80L, sum low high)
    memory.Persist(64L, 24L)

let loadWithSum (memory: IPersistentMemory) =
    let low, high = memory.ReadInt64 64L, memory.ReadInt64 72L
    if memory.ReadInt64 80L = sum low high then Some(low, high) else None

let repaired = check saveWithSum loadWithSum

(*** hide ***)
Page.text repaired
(*** include-it-raw ***)

(*** hide ***)
Page.csharp 4
(*** include-it-raw ***)

(** ## Exercise *)
(*** hide ***)
Page.exercise 4
(*** include-it-raw ***)
