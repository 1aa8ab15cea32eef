/// A log that only grows. The tail is one word, which is never torn: what lies below it counts.
module Structures.AppendLog

open Pmem

//  0: the tail, as a number of records     64, 192, …: a record, two words on two lines

let private record index = 64L + 128L * index

let append twin (memory: IPersistentMemory) (value: int64) =
    let tail = memory.ReadInt64 0L
    memory.StoreInt64(record tail, value)
    memory.StoreInt64(record tail + 64L, value * value)

    match twin with
    // Drain 1: the record is durable before the tail says that it is there.
    | Right -> memory.Persist(record tail, 128L)
    // "It is all flushed in the end." The tail may be durable first.
    | Broken -> memory.Flush(record tail, 128L)

    memory.StoreInt64(0L, tail + 1L)
    // Drain 2: the tail is durable before the caller is told so.
    memory.Persist(0L, 8L)

let read (memory: IPersistentMemory) =
    [
        for index in 0L .. memory.ReadInt64 0L - 1L ->
            memory.ReadInt64(record index), memory.ReadInt64(record index + 64L)
    ]

let lesson =
    {
        Name = "append log"
        Image = Array.zeroCreate 512
        Workload =
            fun twin memory ->
                for value in 1L .. 3L do
                    append twin memory value
                    memory.Acknowledge value
        Recovery =
            fun _ memory ->
                let records = read memory

                records = [ for value in 1L .. int64 records.Length -> value, value * value ]
                && records.Length >= memory.Acknowledged.Count
        WrongUnder = Lesson.cached
    }
