(**
---
title: 2. Why flush
category: Learn
categoryindex: 1
index: 2
---
# 2. Why flush

A persist has two halves. The first is the *flush*: start writing the lines of a range back to memory. On x86-64 it is one
instruction a line: CLWB, or CLFLUSHOPT, or CLFLUSH on older processors. The library knows which.

A flush works on lines, not on variables. A record of twelve words that begins at 64 lies on two lines, from 64 to 128 and
from 128 to 192. This program flushes the place where the record begins:
*)
(*** hide ***)
#load "../../eng/site/Page.fsx"

(** *)
open Pmem

let store (memory: IPersistentMemory) =
    for i in 0L .. 11L do
        memory.StoreInt64(64L + 8L * i, i + 1L)

let save (memory: IPersistentMemory) =
    store memory
    memory.Flush(64L, 8L) // "A flush is a flush."
    memory.Drain()

let check (save: IPersistentMemory -> unit) =
    CrashCheck.run
        CrashCheckOptions.Default
        (Array.zeroCreate 256)
        (fun memory ->
            save memory
            memory.Acknowledge 1L)
        (fun memory ->
            memory.Acknowledged.Count = 0
            || List.forall (fun i -> memory.ReadInt64(64L + 8L * i) = i + 1L) [ 0L .. 11L ])

let report = check save

(** The second line was never written back: *)
(*** hide ***)
Page.picture (report.ToSvg())
(*** include-it-raw ***)

(** ## The repair: flush all that was stored *)
let saveAll (memory: IPersistentMemory) =
    store memory
    memory.Flush(64L, 96L)
    memory.Drain()

let repaired = check saveAll

(*** hide ***)
Page.text repaired
(*** include-it-raw ***)

(**
Nobody counts lines by hand. A `FlushPlan` is made of the ranges that were stored to; it flushes each line once, and it is a
value that can be printed:
*)
let plan = FlushPlan.ofRanges [ ByteRange.create 64L 96L; ByteRange.create 180L 8L ]

(*** hide ***)
Page.text plan
(*** include-it-raw ***)

(*** hide ***)
Page.csharp 2
(*** include-it-raw ***)

(** ## Exercise *)
(*** hide ***)
Page.exercise 2
(*** include-it-raw ***)
