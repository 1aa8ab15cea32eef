(**
---
title: 6. Atomic updates
category: Learn
categoryindex: 1
index: 6
---
# 6. Atomic updates

A commit word adds something new. But what if two words that are already there must change together? Money moves from the
account at 0 to the account at 64. Whichever is durable first, a crash between them makes money or loses some:
*)
(*** hide ***)
#load "../../eng/site/Page.fsx"

(** *)
open Pmem

let move (memory: IPersistentMemory) (amount: int64) =
    persist {
        writeInt64 0L (memory.ReadInt64 0L - amount)
        barrier
        writeInt64 64L (memory.ReadInt64 64L + amount)
    }

let transfer (memory: IPersistentMemory) = (move memory 10L).RunOn memory

let range = ByteRange.create 1024L 1024L

let bank =
    let memory = RecordedMemory(Array.zeroCreate 2048, PersistencyModel.X86)
    Journal.Format(memory, range) |> ignore
    memory.StoreInt64(0L, 100L)
    memory.ToArray()

let check (transfer: IPersistentMemory -> unit) =
    CrashCheck.run
        CrashCheckOptions.Default
        bank
        (fun memory ->
            transfer memory
            memory.Acknowledge 1L)
        (fun memory ->
            Journal.Open(memory, range) |> ignore // recovers; empty so far
            memory.ReadInt64 0L + memory.ReadInt64 64L = 100L)

let report = check transfer

(*** hide ***)
Page.picture (report.ToSvg())
(*** include-it-raw ***)

(**
## The repair: say first what you will do

A *journal* makes any program atomic. It writes what the program will write into a range of its own, with a checksum (chapter 4),
and makes that durable: the commit. Then it does it. After a crash `Journal.Open` finds either a whole entry, and does it again, or
none, and then nothing had been changed. Doing it twice does no harm.
*)
let transferTogether (memory: IPersistentMemory) =
    Journal.Open(memory, range).Commit(move memory 10L)

let repaired = check transferTogether

(*** hide ***)
Page.text repaired
(*** include-it-raw ***)

(**
It costs three drains, whatever the length of the program: the entry, the words, and the entry's end. Where a value is
rewritten as a whole, two slots and a word that picks one need two: see the [worked structures](../structures.html).
*)
(*** hide ***)
Page.csharp 6
(*** include-it-raw ***)

(** ## Exercise *)
(*** hide ***)
Page.exercise 6
(*** include-it-raw ***)
