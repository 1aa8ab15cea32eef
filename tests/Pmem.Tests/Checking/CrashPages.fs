/// More structures with mistakes: those that write pages, blocks and nodes.
module Pmem.Tests.CrashPages

open Pmem
open Pmem.Tests.CrashStructures

/// A list that grows at its head: the node first, then the pointer to it.
let linkedList =
    let node operation = 64L * operation

    {
        Name = "linked list"
        Mistakes =
            [
                "node not flushed"
                "linked before the node"
                "link not flushed"
                "next not flushed"
            ]
        SizeBytes = fun count -> 64 * (count + 8)
        Workload =
            fun mistake count memory ->
                for operation in 1L .. int64 count do
                    let at = node operation
                    let next = get memory 8L

                    let link () =
                        set memory 8L at

                        if mistake <> "link not flushed" then
                            persist memory 8L

                    if mistake = "linked before the node" then
                        link ()

                    set memory at operation
                    set memory (at + 16L) (operation * 3L)

                    if mistake <> "node not flushed" then
                        memory.Persist(at, 24L)

                    set memory (at + 8L) next

                    if mistake <> "next not flushed" && mistake <> "node not flushed" then
                        persist memory (at + 8L)

                    if mistake <> "linked before the node" then
                        link ()

                    memory.Acknowledge operation
        Recovery =
            fun _ _ memory ->
                let last = promised memory

                let rec isRight at expected =
                    if at = 0L then
                        expected = 0L
                    else
                        get memory at = expected
                        && get memory (at + 16L) = expected * 3L
                        && isRight (get memory (at + 8L)) (expected - 1L)

                let head = get memory 8L
                let newest = if head = 0L then 0L else get memory head
                (newest = last || newest = last + 1L) && isRight head newest
    }

/// A tree of two levels that is never changed in place: a leaf and the root page are written anew, then the root turns.
let copyOnWrite =
    let fanout = 4L
    let page i = 64L * (1L + i)

    {
        Name = "copy-on-write tree"
        Mistakes =
            [
                "leaf not flushed"
                "node not flushed"
                "root before the pages"
                "root not flushed"
            ]
        SizeBytes = fun count -> 64 * (2 * count + 16)
        Workload =
            fun mistake count memory ->
                let mutable free = 0L

                for operation in 1L .. int64 count do
                    let root = get memory 0L
                    let child = operation % fanout
                    let leaf, node = page free, page (free + 1L)
                    free <- free + 2L

                    if mistake = "root before the pages" then
                        put memory 0L node

                    set memory leaf operation
                    set memory (leaf + 8L) (operation * 5L)

                    if mistake <> "leaf not flushed" then
                        memory.Persist(leaf, 16L)

                    for i in 0L .. fanout - 1L do
                        set
                            memory
                            (node + 8L * i)
                            (if i = child then leaf
                             elif root = 0L then 0L
                             else get memory (root + 8L * i))

                    set memory (node + 8L * fanout) operation

                    if mistake <> "node not flushed" then
                        memory.Persist(node, 64L)

                    if mistake <> "root before the pages" then
                        set memory 0L node

                        if mistake <> "root not flushed" then
                            persist memory 0L

                    memory.Acknowledge operation
        Recovery =
            fun _ _ memory ->
                let root = get memory 0L
                let last = promised memory

                if root = 0L then
                    last = 0L
                else
                    let version = get memory (root + 8L * fanout)

                    version >= last
                    && version <= last + 1L
                    && Seq.forall
                        (fun i ->
                            let leaf = get memory (root + 8L * i)
                            // The last operation up to this version that went to this child.
                            let expected = version - (version - i + fanout) % fanout

                            if expected <= 0L then
                                leaf = 0L
                            else
                                leaf <> 0L
                                && get memory leaf = expected
                                && get memory (leaf + 8L) = expected * 5L)
                        (seq { 0L .. fanout - 1L })
    }

/// Two copies of a block, the older of which is written anew; a checksum over all of it says whether it is whole.
let superblock =
    let words = 24L
    let slot i = 64L + 256L * i

    let sum mistake (memory: IPersistentMemory) at =
        let from = if mistake = "sum without the version" then 1L else 0L

        Seq.fold (fun sum i -> (sum + get memory (at + 8L * i)) * 31L + 17L) 7L (seq { from .. words - 2L })
        ||| 1L

    let isWhole mistake memory at =
        get memory (at + 8L * (words - 1L)) = sum mistake memory at

    {
        Name = "superblock"
        Mistakes = [ "sum without the version"; "always the first copy"; "not flushed"; "no sum" ]
        SizeBytes = fun _ -> 1024
        Workload =
            fun mistake count memory ->
                for operation in 1L .. int64 count do
                    let at =
                        if mistake = "always the first copy" then slot 0L else slot (operation % 2L)

                    set memory at operation

                    for i in 1L .. words - 2L do
                        set memory (at + 8L * i) (operation * 100L + i)

                    set memory (at + 8L * (words - 1L)) (sum mistake memory at)

                    if mistake <> "not flushed" then
                        memory.Persist(at, 8L * words)

                    memory.Acknowledge operation
        Recovery =
            fun mistake _ memory ->
                let versions =
                    [
                        for i in 0L .. 1L do
                            if
                                mistake = "no sum" && get memory (slot i) > 0L
                                || isWhole mistake memory (slot i)
                            then
                                get memory (slot i), slot i
                    ]

                let last = promised memory

                match versions with
                | [] -> last = 0L
                | _ ->
                    let version, at = List.max versions

                    (version = last || version = last + 1L)
                    && Seq.forall (fun i -> get memory (at + 8L * i) = version * 100L + i) (seq { 1L .. words - 2L })
    }

/// Objects in slots of a line: a bit says which are taken, a directory holds the published ones.
let allocator =
    let slot i = 64L * (8L + i)
    let bitmapWord i = 8L * (i / 64L)
    let directory count i = slot (int64 count + 1L) + 8L * i

    {
        Name = "allocator"
        Mistakes = [ "bit not flushed"; "object not flushed"; "published before the object" ]
        SizeBytes = fun count -> 64 * (count + 16) + 8 * (count + 8)
        Workload =
            fun mistake count memory ->
                for operation in 1L .. int64 count do
                    let bits = get memory (bitmapWord operation)
                    set memory (bitmapWord operation) (bits ||| (1L <<< int (operation % 64L)))

                    if mistake <> "bit not flushed" then
                        persist memory (bitmapWord operation)

                    if mistake = "published before the object" then
                        put memory (directory count operation) (slot operation)

                    for i in 0L .. 3L do
                        set memory (slot operation + 8L * i) (operation * 10L + i)

                    if mistake <> "object not flushed" then
                        memory.Persist(slot operation, 32L)

                    if mistake <> "published before the object" then
                        put memory (directory count operation) (slot operation)

                    memory.Acknowledge operation
        Recovery =
            fun _ count memory ->
                let last = promised memory

                Seq.forall
                    (fun operation ->
                        let at = get memory (directory count operation)

                        let isTaken =
                            (get memory (bitmapWord operation) >>> int (operation % 64L)) &&& 1L = 1L

                        if at = 0L then
                            operation > last
                        else
                            isTaken
                            && at = slot operation
                            && Seq.forall (fun i -> get memory (at + 8L * i) = operation * 10L + i) (seq { 0L .. 3L }))
                    (seq { max 1L (last - 70L) .. min (int64 count) (last + 1L) })
    }

let all =
    [ undoLog; redoLog; hashTable; linkedList; copyOnWrite; superblock; allocator ]
