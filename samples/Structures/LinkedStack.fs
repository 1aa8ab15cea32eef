/// A stack of linked nodes. The head is one word: a push is there when it points to the node.
module Structures.LinkedStack

open Pmem

//  0: the head, the offset of a node or 0     64, 192, …: nodes: the next node; and on the next line the value

let push twin (memory: IPersistentMemory) (node: int64) (value: int64) =
    memory.StoreInt64(node, memory.ReadInt64 0L)
    memory.StoreInt64(node + 64L, value)

    match twin with
    // Drain 1: the node is durable before anything points to it.
    | Right -> memory.Persist(node, 128L)
    // The link is made durable, and the value forgotten.
    | Broken -> memory.Persist(node, 8L)

    memory.StoreInt64(0L, node)
    // Drain 2: the head is durable before the caller is told so.
    memory.Persist(0L, 8L)

let pop (memory: IPersistentMemory) =
    let node = memory.ReadInt64 0L
    memory.StoreInt64(0L, memory.ReadInt64 node)
    // Drain 3: the head is durable before the node may be used again.
    memory.Persist(0L, 8L)
    memory.ReadInt64(node + 64L)

let read (memory: IPersistentMemory) =
    memory.ReadInt64 0L
    |> List.unfold (fun node ->
        if node = 0L then
            None
        else
            Some(memory.ReadInt64(node + 64L), memory.ReadInt64 node))

let lesson =
    {
        Name = "linked stack"
        Image = Array.zeroCreate 512
        Workload =
            fun twin memory ->
                push twin memory 64L 1L
                push twin memory 192L 2L
                memory.Acknowledge 1L
                pop memory |> ignore
                push twin memory 320L 3L
                memory.Acknowledge 2L
        Recovery =
            fun _ memory ->
                let states = [ []; [ 1L ]; [ 2L; 1L ]; [ 1L ]; [ 3L; 1L ] ]
                let promised = [ 0; 2; 4 ][memory.Acknowledged.Count]
                List.contains (read memory) (List.skip promised states)
        WrongUnder = Lesson.cached
    }
