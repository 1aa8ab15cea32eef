/// A queue in a ring of slots. Head and tail count all that was ever taken and put; a slot is used again.
module Structures.RingBuffer

open Pmem

//  0: head     64: tail     128, 192, …: the slots

let private slots = 2L

let private slot (count: int64) = 128L + 64L * (count % slots)

let enqueue (memory: IPersistentMemory) (value: int64) =
    let tail = memory.ReadInt64 64L
    memory.StoreInt64(slot tail, value)
    // Drain 1: the value is durable before the tail says that it is there.
    memory.Persist(slot tail, 8L)
    memory.StoreInt64(64L, tail + 1L)
    // Drain 2: the tail is durable before the caller is told so.
    memory.Persist(64L, 8L)

let dequeue twin (memory: IPersistentMemory) =
    let head = memory.ReadInt64 0L
    let value = memory.ReadInt64(slot head)
    memory.StoreInt64(0L, head + 1L)

    match twin with
    // Drain 3: the head is durable before the slot is free for another value.
    | Right -> memory.Persist(0L, 8L)
    // "Worst case, it is taken twice." Worst case, what is taken is a later value in an earlier one's place.
    | Broken -> ()

    value

let read (memory: IPersistentMemory) =
    [
        for count in memory.ReadInt64 0L .. memory.ReadInt64 64L - 1L -> memory.ReadInt64(slot count)
    ]

let lesson =
    {
        Name = "ring buffer"
        Image = Array.zeroCreate 512
        Workload =
            fun twin memory ->
                enqueue memory 1L
                enqueue memory 2L
                memory.Acknowledge 2L

                for value in 3L .. 4L do
                    dequeue twin memory |> ignore
                    enqueue memory value
                    memory.Acknowledge value
        Recovery =
            fun _ memory ->
                let head, tail = memory.ReadInt64 0L, memory.ReadInt64 64L
                let promised = Seq.fold max 0L memory.Acknowledged

                head <= tail
                && tail - head <= slots
                && tail >= promised
                && read memory = [ head + 1L .. tail ]
        WrongUnder = Lesson.cached
    }
