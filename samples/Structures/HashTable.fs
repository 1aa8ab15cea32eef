/// A hash table that grows: a larger table is filled beside the old one, and one word switches to it.
module Structures.HashTable

open Pmem

//  0: where the table is     at a table: its capacity     64 bytes further: places, a line each: key, value

let private place table (index: int64) = table + 64L + 64L * index

/// The place that holds the key, or the empty one where it belongs.
let private find (memory: IPersistentMemory) table (key: int64) =
    let capacity = memory.ReadInt64 table

    seq { key .. key + capacity - 1L }
    |> Seq.map (fun probe -> place table (probe % capacity))
    |> Seq.find (fun place -> memory.ReadInt64 place = key || memory.ReadInt64 place = 0L)

let format (memory: IPersistentMemory) table capacity =
    memory.StoreInt64(table, capacity)
    memory.Persist(table, 8L)
    memory.StoreInt64(0L, table)
    memory.Persist(0L, 8L)

let insert (memory: IPersistentMemory) (key: int64) (value: int64) =
    let place = find memory (memory.ReadInt64 0L) key
    memory.StoreInt64(place + 8L, value)
    // Drain 1: the value is durable before the key says that it is there.
    memory.Persist(place + 8L, 8L)
    memory.StoreInt64(place, key)
    // Drain 2: the key is durable before the caller is told so.
    memory.Persist(place, 8L)

/// The new table's range must be zero.
let grow twin (memory: IPersistentMemory) table capacity =
    let old = memory.ReadInt64 0L
    memory.StoreInt64(table, capacity)

    for index in 0L .. memory.ReadInt64 old - 1L do
        let from = place old index
        let key = memory.ReadInt64 from

        if key <> 0L then
            let target = find memory table key
            memory.StoreInt64(target + 8L, memory.ReadInt64(from + 8L))
            memory.StoreInt64(target, key)

    match twin with
    // Drain 1, one for all that was copied: the new table is durable before anything points to it.
    | Right -> memory.Persist(table, 64L + 64L * capacity)
    // The head of the table alone.
    | Broken -> memory.Persist(table, 64L)

    memory.StoreInt64(0L, table)
    // Drain 2: the switch is durable before the old table may be used for something else.
    memory.Persist(0L, 8L)

let tryFind (memory: IPersistentMemory) (key: int64) =
    let place = find memory (memory.ReadInt64 0L) key

    if memory.ReadInt64 place = key then
        Some(memory.ReadInt64(place + 8L))
    else
        None

let lesson =
    {
        Name = "hash table with resize"
        Image =
            let memory = RecordedMemory(Array.zeroCreate 1024, PersistencyModel.X86)
            format memory 64L 3L
            memory.ToArray()
        Workload =
            fun twin memory ->
                insert memory 4L 40L
                insert memory 7L 70L
                memory.Acknowledge 1L
                grow twin memory 512L 6L
                memory.Acknowledge 2L
                insert memory 5L 50L
                memory.Acknowledge 3L
        Recovery =
            fun _ memory ->
                let promised = memory.Acknowledged.Count

                let isRight key value from =
                    match tryFind memory key with
                    | Some found -> found = value
                    | None -> promised < from

                isRight 4L 40L 1 && isRight 7L 70L 1 && isRight 5L 50L 3
        WrongUnder = Lesson.cached
    }
