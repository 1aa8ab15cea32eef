(**
---
title: 3. Why drain
category: Learn
categoryindex: 1
index: 3
---
# 3. Why drain

A flush only begins: the instruction ends long before the line has arrived. The second half of a persist is the *drain*: wait
until all that was flushed is durable. On x86-64 it is a fence, SFENCE.

This program flushes both of its lines, and does not wait:
*)
(*** hide ***)
#load "../../eng/site/Page.fsx"

(** *)
open Pmem

let save (memory: IPersistentMemory) =
    memory.StoreInt64(0L, 1L)
    memory.Flush(0L, 8L)
    memory.StoreInt64(64L, 2L)
    memory.Flush(64L, 8L)

let check (save: IPersistentMemory -> unit) =
    CrashCheck.run
        CrashCheckOptions.Default
        (Array.zeroCreate 128)
        (fun memory ->
            save memory
            memory.Acknowledge 1L)
        (fun memory ->
            memory.Acknowledged.Count = 0
            || (memory.ReadInt64 0L = 1L && memory.ReadInt64 64L = 2L))

let report = check save

(** The lines were on their way when power failed: *)
(*** hide ***)
Page.picture (report.ToSvg())
(*** include-it-raw ***)

(** ## The repair: one drain for both *)
let saveAndWait (memory: IPersistentMemory) =
    save memory
    memory.Drain()

let repaired = check saveAndWait

(*** hide ***)
Page.text repaired
(*** include-it-raw ***)

(**
In the picture of its trace a bar leads from each store to the fence that covers it:
*)
let memory = RecordedMemory(Array.zeroCreate 128, PersistencyModel.X86)
saveAndWait memory

(*** hide ***)
Page.picture (memory.Trace.ToSvg PersistencyModel.X86)
(*** include-it-raw ***)

(**
The wait is what a durable update costs: as much as ten flushes. So flush as you go, and drain once, before you promise.

*)
(*** hide ***)
Page.csharp 3
(*** include-it-raw ***)

(** ## Exercise *)
(*** hide ***)
Page.exercise 3
(*** include-it-raw ***)
