(**
---
title: 9. Measuring it
category: Learn
categoryindex: 1
index: 9
---
# 9. Measuring it

A fence waits about 80 ns for the write-backs before it, and a write-back of a dirty line takes about 10 (measured as
[the benchmarks](../benchmarks.html) say). So an update costs what its drains cost: count them.

Four fields on four lines, none of which must be durable before another. This program is correct, and waits four times:
*)
(*** hide ***)
#load "../../eng/site/Page.fsx"

(** *)
open Pmem

let save (memory: IPersistentMemory) =
    for i in 0L .. 3L do
        memory.StoreInt64(64L * i, i + 1L)
        memory.Persist(64L * i, 8L)

let traced (save: IPersistentMemory -> unit) =
    let memory = RecordedMemory(Array.zeroCreate 256, PersistencyModel.X86)
    save memory
    memory.Trace

let drains trace =
    trace
    |> Seq.filter (fun (recorded: RecordedEvent) -> recorded.Event = Execute Fence)
    |> Seq.length

(*** hide ***)
Page.text $"{drains (traced save)} drains"
(*** include-it-raw ***)

(*** hide ***)
Page.picture ((traced save).ToSvg PersistencyModel.X86)
(*** include-it-raw ***)

(** ## The repair: flush each, drain once *)
let saveTogether (memory: IPersistentMemory) =
    for i in 0L .. 3L do
        memory.StoreInt64(64L * i, i + 1L)
        memory.Flush(64L * i, 8L)

    memory.Drain()

(*** hide ***)
Page.text $"{drains (traced saveTogether)} drain"
(*** include-it-raw ***)

(*** hide ***)
Page.picture ((traced saveTogether).ToSvg PersistencyModel.X86)
(*** include-it-raw ***)

(**
A plan or a persist program does this by itself: writes that no barrier parts share one drain. The linter finds what is done for
nothing, a line that is flushed twice for instance:
*)
let twice (memory: IPersistentMemory) =
    memory.StoreInt64(0L, 1L)
    memory.Persist(0L, 8L)
    memory.Persist(0L, 8L)

(*** hide ***)
PersistLint.check PersistencyModel.X86 (traced twice)
|> List.map string
|> String.concat "\n"
|> Page.text
(*** include-it-raw ***)

(**
## On a real machine

This is what the benchmarks draw, on the machine that ran them last: the time of a durable operation as a ratio to libpmem's,
over its size. Run them on yours: `dotnet run -c Release --project tests/Pmem.Benchmarks -- --quick`.

![Ratio to libpmem over size](../benchmarks.svg)
*)
(*** hide ***)
Page.csharp 9
(*** include-it-raw ***)

(** ## Exercise *)
(*** hide ***)
Page.exercise 9
(*** include-it-raw ***)
