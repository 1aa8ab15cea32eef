(**
---
title: 5. Ordering with a commit word
category: Learn
categoryindex: 1
index: 5
---
# 5. Ordering with a commit word

A word is never torn. So let one word say whether the rest counts: a flag, a count, a pointer. Store the message, then the
*commit word*. Readers look at the commit word first, and believe the message only if it says so.

This program stores them in that order, and makes both durable at once:
*)
(*** hide ***)
#load "../../eng/site/Page.fsx"

(** *)
open Pmem

let send (memory: IPersistentMemory) (message: int64) =
    memory.StoreInt64(64L, message)
    memory.StoreInt64(0L, 1L) // the commit word: there is a message
    memory.Persist(0L, 72L) // "It is all flushed in the end."

let check send =
    CrashCheck.run
        CrashCheckOptions.Default
        (Array.zeroCreate 128)
        (fun (memory: RecordedMemory) ->
            send (memory :> IPersistentMemory) 42L
            memory.Acknowledge 1L)
        (fun memory ->
            if memory.ReadInt64 0L = 0L then
                memory.Acknowledged.Count = 0
            else
                memory.ReadInt64 64L = 42L)

let report = check send

(**
The order of stores is the order in which other *threads* see them. It is not the order in which lines become durable: the
cache wrote the line of the commit word back first, and power failed before the other.
*)
(*** hide ***)
Page.text report
(*** include-it-raw ***)

(*** hide ***)
Page.picture (report.ToSvg())
(*** include-it-raw ***)

(**
The report says what would rule this state out: *persist the message before the commit word*.

## The repair: a drain between the two

What must not be durable before something else is stored only after a drain of that. Two drains: the first is for the order,
the second for the promise.
*)
let sendInOrder (memory: IPersistentMemory) (message: int64) =
    memory.StoreInt64(64L, message)
    memory.Persist(64L, 8L) // the message is durable ...
    memory.StoreInt64(0L, 1L) // ... before anything says that it is there
    memory.Persist(0L, 8L)

let repaired = check sendInOrder

(*** hide ***)
Page.text repaired
(*** include-it-raw ***)

(**
A log works like this: records, and a count of them. Record number `count` is stored where the next one goes, made durable, and
only then is `count + 1` stored and made durable. All records below the count are whole at any time.

As a persist program, which is a value that runs on any memory, a drain for order is a `barrier`:
*)
let asProgram =
    persist {
        writeInt64 64L 42L
        barrier
        writeInt64 0L 1L
    }

(*** hide ***)
Page.text asProgram
(*** include-it-raw ***)

(*** hide ***)
Page.csharp 5
(*** include-it-raw ***)

(** ## Exercise *)
(*** hide ***)
Page.exercise 5
(*** include-it-raw ***)
