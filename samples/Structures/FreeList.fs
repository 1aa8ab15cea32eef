/// An allocator: free blocks in a list. To take one changes two words, the list's head and the owner's, and no order of
/// two stores is right: one leaks the block, the other gives it to two. So both go through a journal.
module Structures.FreeList

open Pmem

//  0: the first free block     64, 128: owners, each with the offset of its block or 0
//  256, 320, …: blocks: where free, the next free one     1024: the journal

let private journal = ByteRange(1024L, 256L)

let private blocks = [ 256L; 320L; 384L ]

let format (memory: IPersistentMemory) =
    for block, next in List.pairwise (blocks @ [ 0L ]) do
        memory.StoreInt64(block, next)

    memory.StoreInt64(0L, List.head blocks)
    memory.Persist(0L, 1024L)
    Journal.Format(memory, journal) |> ignore

let allocate twin (memory: IPersistentMemory) (owner: int64) =
    let block = memory.ReadInt64 0L

    let take =
        persist {
            writeInt64 owner block
            barrier
            writeInt64 0L (memory.ReadInt64 block)
        }

    match twin with
    // Three drains in the journal, and both words or none.
    | Right -> Journal.Open(memory, journal).Commit take
    // Two drains, in an order that seems safe. After a crash between them the block is owned, and free.
    | Broken -> take.RunOn memory

    block

let private freeBlocks (memory: IPersistentMemory) =
    memory.ReadInt64 0L
    |> List.unfold (fun block -> if block = 0L then None else Some(block, memory.ReadInt64 block))

let lesson =
    {
        Name = "free-list allocator"
        Image =
            let memory = RecordedMemory(Array.zeroCreate 1280, PersistencyModel.X86)
            format memory
            memory.ToArray()
        Workload =
            fun twin memory ->
                allocate twin memory 64L |> ignore
                memory.Acknowledge 1L
                allocate twin memory 128L |> ignore
                memory.Acknowledge 2L
        Recovery =
            fun _ memory ->
                Journal.Open(memory, journal) |> ignore
                let owned = List.filter ((<>) 0L) [ memory.ReadInt64 64L; memory.ReadInt64 128L ]
                // Each block is owned once or free once.
                List.sort (owned @ freeBlocks memory) = blocks
                && owned.Length >= memory.Acknowledged.Count
        WrongUnder = Lesson.everywhere
    }
