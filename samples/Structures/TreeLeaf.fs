/// A leaf of a B+-tree: places in any order, and a bitmap in one word that says which count. So an insert moves nothing.
module Structures.TreeLeaf

open Pmem

//  0: the bitmap     64, 128, …: places, a line each: key, value

let private places = 4

let private place (index: int) = 64L + 64L * int64 index

let private isUsed (bitmap: int64) (index: int) = (bitmap >>> index) &&& 1L = 1L

let insert twin (memory: IPersistentMemory) (key: int64) (value: int64) =
    let bitmap = memory.ReadInt64 0L
    let free = List.find (fun index -> not (isUsed bitmap index)) [ 0 .. places - 1 ]

    let store () =
        memory.StoreInt64(place free, key)
        memory.StoreInt64(place free + 8L, value)
        memory.Persist(place free, 16L)

    let publish () =
        memory.StoreInt64(0L, bitmap ||| (1L <<< free))
        memory.Persist(0L, 8L)

    match twin with
    | Right ->
        // Drain 1: key and value are durable before the bitmap counts them.
        store ()
        // Drain 2: the bitmap is durable before the caller is told so.
        publish ()
    // Both drains are there, in the wrong order.
    | Broken ->
        publish ()
        store ()

let remove (memory: IPersistentMemory) (key: int64) =
    let bitmap = memory.ReadInt64 0L

    let index =
        List.find (fun index -> isUsed bitmap index && memory.ReadInt64(place index) = key) [ 0 .. places - 1 ]

    memory.StoreInt64(0L, bitmap &&& ~~~(1L <<< index))
    // Drain 3: the place is free, durably, before another key is stored there.
    memory.Persist(0L, 8L)

let read (memory: IPersistentMemory) =
    let bitmap = memory.ReadInt64 0L

    List.sort
        [
            for index in List.filter (isUsed bitmap) [ 0 .. places - 1 ] ->
                memory.ReadInt64(place index), memory.ReadInt64(place index + 8L)
        ]

let lesson =
    {
        Name = "B+-tree leaf"
        Image = Array.zeroCreate 512
        Workload =
            fun twin memory ->
                insert twin memory 5L 50L
                insert twin memory 3L 30L
                memory.Acknowledge 1L
                remove memory 5L
                insert twin memory 4L 40L
                memory.Acknowledge 2L
        Recovery =
            fun _ memory ->
                let three, four, five = (3L, 30L), (4L, 40L), (5L, 50L)
                let states = [ []; [ five ]; [ three; five ]; [ three ]; [ three; four ] ]
                let promised = [ 0; 2; 4 ][memory.Acknowledged.Count]
                List.contains (read memory) (List.skip promised states)
        WrongUnder = Lesson.everywhere
    }
