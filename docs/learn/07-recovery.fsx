(**
---
title: 7. Recovery that crashes
category: Learn
categoryindex: 1
index: 7
---
# 7. Recovery that crashes

Recovery stores too, and power fails again. So it must be *idempotent*: run on what an unfinished run of itself left, it
comes to the same.

A queue keeps its head at 0, and how many were taken at 64. Taking one changes both; so it leaves a note at 128 first, the number
that both are to have, and recovery does what the note says. This one takes the note back before it has done so:
*)
(*** hide ***)
#load "../../eng/site/Page.fsx"

(** *)
open Pmem

let put (memory: IPersistentMemory) (offset: int64) (value: int64) =
    memory.StoreInt64(offset, value)
    memory.Persist(offset, 8L)

let take (memory: RecordedMemory) =
    put memory 128L 1L
    put memory 0L 1L
    put memory 64L 1L
    put memory 128L 0L

let recover (memory: IPersistentMemory) =
    let note = memory.ReadInt64 128L

    if note <> 0L then
        put memory 128L 0L
        put memory 0L note
        put memory 64L note

let check recoveryCrashes (recover: IPersistentMemory -> unit) =
    CrashCheck.run
        (CrashCheckOptions.Default.WithRecoveryCrashes recoveryCrashes)
        (Array.zeroCreate 192)
        take
        (fun memory ->
            recover memory
            memory.ReadInt64 0L = memory.ReadInt64 64L)

(** Where only the program crashes, nothing is wrong with it: *)
let once = check 0 recover

(*** hide ***)
Page.text once
(*** include-it-raw ***)

(** Let recovery crash as well, which is what happens unless you say otherwise: *)
let report = check 1 recover

(*** hide ***)
Page.picture (report.ToSvg())
(*** include-it-raw ***)

(** ## The repair: the note goes last *)
let recoverAgain (memory: IPersistentMemory) =
    let note = memory.ReadInt64 128L

    if note <> 0L then
        put memory 0L note
        put memory 64L note
        put memory 128L 0L

let repaired = check 1 recoverAgain

(*** hide ***)
Page.text repaired
(*** include-it-raw ***)

(*** hide ***)
Page.csharp 7
(*** include-it-raw ***)

(** ## Exercise *)
(*** hide ***)
Page.exercise 7
(*** include-it-raw ***)
