/// Trees and lists with seeded mistakes.
module Pmem.Tests.CrashTrees

open System.Collections.Generic
open Pmem
open Pmem.Tests.CrashStructures
open Pmem.Tests.CrashSeeds

/// FAST and FAIR (Hwang et al., FAST 2018): sorted nodes that keys are shifted in, each word durable before the next; an entry
/// whose pointer is that of the entry before it does not count.
let fastFair =
    let room = 14L
    // The next node; the pointer before the first; then pointers and keys of 15 entries.
    let next node = node
    let pointerAt node i = node + 64L + 16L * i
    let keyAt node i = node + 72L + 16L * i
    let sentinel = 1L
    let nodeBytes = 320L
    let keyOf i = i * 7919L % 10007L

    let pointerBefore memory node i =
        if i = 0L then sentinel else get memory (pointerAt node (i - 1L))

    let length memory node =
        Seq.find (fun i -> get memory (pointerAt node i) = 0L) (seq { 0L .. room })

    let isBelow memory key node i =
        get memory (pointerAt node i) <> 0L && get memory (keyAt node i) < key

    let shift mistake memory node i =
        let put at value =
            set memory at value

            if mistake <> "shift not flushed" then
                persist memory at

        let pointer () =
            put (pointerAt node (i + 1L)) (get memory (pointerAt node i))

        let key () =
            put (keyAt node (i + 1L)) (get memory (keyAt node i))

        if mistake = "key before the pointer" then
            key ()
            pointer ()
        else
            pointer ()
            key ()

    let insert mistake memory node key value =
        let length = length memory node

        let at =
            Seq.find (fun i -> i = length || not (isBelow memory key node i)) (seq { 0L .. room })

        // What a split left behind is cut off again.
        if get memory (pointerAt node (length + 1L)) <> 0L then
            put memory (pointerAt node (length + 1L)) 0L

        for i in length - 1L .. -1L .. at do
            shift mistake memory node i

        if at < length && mistake <> "key written in place" then
            put memory (pointerAt node at) (pointerBefore memory node at)

        put memory (keyAt node at) key
        set memory (pointerAt node at) value

        if mistake <> "pointer not flushed" then
            persist memory (pointerAt node at)

    let split mistake memory node free =
        let half = room / 2L
        let following = get memory (next node)

        let write isFlushed =
            for i in half .. room - 1L do
                set memory (pointerAt free (i - half)) (get memory (pointerAt node i))
                set memory (keyAt free (i - half)) (get memory (keyAt node i))

            set memory (next free) following

            if isFlushed then
                memory.Persist(free, nodeBytes)

        let link () = put memory (next node) free
        let cut () = put memory (pointerAt node half) 0L

        if mistake = "cut before the link" then
            write true
            cut ()
            link ()
        else
            inOrder mistake "sibling not flushed" "linked before the sibling" write link
            cut ()

    /// A key that is not less than the first of the next node is there.
    let rec nodeOf memory key node =
        let more = get memory (next node)

        if
            more <> 0L
            && get memory (pointerAt more 0L) <> 0L
            && get memory (keyAt more 0L) <= key
        then
            nodeOf memory key more
        else
            node

    let workload mistake count (memory: RecordedMemory) =
        let free = ref (64L + nodeBytes)

        promising count memory (fun operation ->
            let key = keyOf operation

            if length memory (nodeOf memory key 64L) = room then
                split mistake memory (nodeOf memory key 64L) free.Value
                free.Value <- free.Value + nodeBytes

            insert mistake memory (nodeOf memory key 64L) key (operation + 1L))

    /// The keys that a reader finds: those of a node that are less than the first of the next.
    let rec collect memory node (found: Dictionary<int64, int64>) =
        let more = get memory (next node)
        let hasMore = more <> 0L && get memory (pointerAt more 0L) <> 0L

        let bound = if hasMore then get memory (keyAt more 0L) else System.Int64.MaxValue

        let mutable before = sentinel
        let mutable i = 0L

        while i <= room && get memory (pointerAt node i) <> 0L do
            let pointer, key = get memory (pointerAt node i), get memory (keyAt node i)

            if pointer <> before && key < bound then
                found[key] <- pointer

            before <- pointer
            i <- i + 1L

        if hasMore then
            collect memory more found

    let recovery _ count (memory: CrashedMemory) =
        let found = Dictionary<int64, int64>()
        collect memory 64L found

        let find operation =
            found.GetValueOrDefault(keyOf operation, absent)

        allFound count memory find (fun operation -> operation + 1L)

    seeded
        "FAST and FAIR"
        (fun count -> 64 + 320 * (count / 6 + 4))
        workload
        recovery
        [
            order "key before the pointer" (fun at -> at % 16L = 8L)
            order "key written in place" (fun at -> at % 16L = 8L)
            flush "shift not flushed" (fun _ -> true)
            flush "pointer not flushed" (fun at -> at % 16L = 0L)
            flush "sibling not flushed" (fun at -> at >= 64L + nodeBytes)
            order "linked before the sibling" (fun at -> (at - 64L) % nodeBytes = 0L)
            order "cut before the link" (fun at -> (at - 64L) % nodeBytes >= 64L)
        ]

/// ART (Leis et al., ICDE 2013): nodes of 4 children that grow to nodes of 16; three levels of four bits.
let radix =
    let nodeBytes = 192L
    // 4 or 16; the count of a node of 4; then its digits and, from 64, its children.
    let kind node = node
    let countAt node = node + 8L
    let digitAt node i = node + 16L + 8L * i
    let childAt node i = node + 64L + 8L * i
    let digit level key = (key >>> (8 - 4 * level)) &&& 15L

    /// Where the pointer to a child is, 0 where there is none.
    let slotOf memory node digit =
        if get memory (kind node) = 16L then
            childAt node digit
        else
            seq { 0L .. get memory (countAt node) - 1L }
            |> Seq.tryFind (fun i -> get memory (digitAt node i) = digit)
            |> Option.map (childAt node)
            |> Option.defaultValue 0L

    let childOf memory node digit =
        match slotOf memory node digit with
        | 0L -> 0L
        | slot -> get memory slot

    let grow mistake memory slot free =
        let old = get memory slot

        inOrder
            mistake
            "larger node not flushed"
            "turned before the larger node"
            (fun isFlushed ->
                set memory (kind free) 16L

                for i in 0L .. 3L do
                    set memory (childAt free (get memory (digitAt old i))) (get memory (childAt old i))

                if isFlushed then
                    memory.Persist(free, nodeBytes))
            (fun () -> put memory slot free)

    let addTo mistake memory node digit child =
        if get memory (kind node) = 16L then
            put memory (childAt node digit) child
        else
            let i = get memory (countAt node)

            inOrder
                mistake
                "child not flushed"
                "count before the child"
                (fun isFlushed ->
                    set memory (digitAt node i) digit
                    set memory (childAt node i) child

                    if isFlushed then
                        memory.Persist(node, 128L))
                (fun () -> put memory (countAt node) (i + 1L))

    /// A path of new nodes down to a leaf, all durable before it is added.
    let rec path mistake memory level key (take: unit -> int64) =
        let node = take ()

        if level = 3 then
            set memory node key
            set memory (node + 8L) (key * 11L)
        else
            let child = path mistake memory (level + 1) key take
            set memory (kind node) 4L
            set memory (digitAt node 0L) (digit level key)
            set memory (childAt node 0L) child
            set memory (countAt node) 1L

        if level < 3 || mistake <> "leaf not flushed" then
            memory.Persist(node, nodeBytes)

        node

    let rec insert mistake memory slot level key take =
        let node = get memory slot
        let digit = digit level key

        match slotOf memory node digit with
        | 0L ->
            if get memory (kind node) = 4L && get memory (countAt node) = 4L then
                grow mistake memory slot (take ())
                insert mistake memory slot level key take
            else
                addTo mistake memory node digit (path mistake memory (level + 1) key take)
        | found when get memory found = 0L -> put memory found (path mistake memory (level + 1) key take)
        | found -> insert mistake memory found (level + 1) key take

    let keyOf operation = operation * 613L % 4093L

    let workload mistake count (memory: RecordedMemory) =
        let free = ref 64L

        let take () =
            free.Value <- free.Value + nodeBytes
            free.Value - nodeBytes

        let root = take ()
        put memory (kind root) 4L
        put memory 0L root

        promising count memory (fun operation -> insert mistake memory 0L 0 (keyOf operation) take)

    let recovery _ count (memory: CrashedMemory) =
        /// What is counted is there.
        let isWhole node =
            get memory (kind node) = 16L
            || Seq.forall (fun i -> get memory (childAt node i) <> 0L) (seq { 0L .. get memory (countAt node) - 1L })

        let rec find level key node =
            if node = 0L then
                absent
            elif level = 3 then
                if get memory node = key then get memory (node + 8L) else -1L
            elif isWhole node then
                find (level + 1) key (childOf memory node (digit level key))
            else
                -1L

        allFound count memory (fun operation -> find 0 (keyOf operation) (get memory 0L)) (fun operation ->
            keyOf operation * 11L)

    seeded
        "radix tree"
        (fun count -> 64 + 192 * (4 * count + 8))
        workload
        recovery
        [
            flush "child not flushed" (fun at -> at >= 64L)
            order "count before the child" (fun at -> (at - 64L) % nodeBytes = 8L)
            flush "larger node not flushed" (fun at -> at >= 64L)
            order "turned before the larger node" (fun at -> at = 0L || (at - 64L) % nodeBytes >= 64L)
            flush "leaf not flushed" (fun at -> at >= 64L)
        ]

/// A skip list of two levels: the lower links it all, the upper is a way through it, and never the only one.
let skipList =
    let node operation = 64L * operation
    let lower node = node + 16L
    let upper node = node + 24L
    let keyOf operation = operation * 7919L % 10007L + 1L

    let rec before memory next key at =
        match get memory (next at) with
        | 0L -> at
        | more when get memory more >= key -> at
        | more -> before memory next key more

    let workload mistake count (memory: RecordedMemory) =
        promising count memory (fun operation ->
            let key = keyOf operation
            // The head lies at 0, as a node without a key.
            let above = before memory upper key 0L
            let below = before memory lower key above
            let at = node operation
            let following = get memory (lower below)

            let write isFlushed =
                set memory at key
                set memory (at + 8L) (key * 2L)
                set memory (lower at) following
                set memory (upper at) (if operation % 3L = 0L then get memory (upper above) else 0L)

                if isFlushed then
                    memory.Persist(at, 32L)

            let linkLower () =
                set memory (lower below) at

                if mistake <> "lower link not flushed" then
                    persist memory (lower below)

            let linkUpper () =
                if operation % 3L = 0L then
                    put memory (upper above) at

            if mistake = "upper level first" then
                write true
                linkUpper ()
                linkLower ()
            else
                inOrder mistake "node not flushed" "linked before the node" write linkLower
                linkUpper ())

    let recovery _ count (memory: CrashedMemory) =
        let rec all next at =
            match get memory (next at) with
            | 0L -> []
            | more -> more :: all next more

        let nodes = all lower 0L

        let isUpperThere = Set.isSubset (Set.ofList (all upper 0L)) (Set.ofList nodes)

        let values = dict [ for at in nodes -> get memory at, get memory (at + 8L) ]

        let find operation =
            match values.TryGetValue(keyOf operation) with
            | true, value -> value
            | _ -> absent

        isUpperThere
        && List.length nodes = values.Count
        && allFound count memory find (fun operation -> keyOf operation * 2L)

    seeded
        "skip list"
        (fun count -> 64 * (count + 2))
        workload
        recovery
        [
            flush "node not flushed" (fun at -> at >= 64L && at % 64L < 32L)
            order "linked before the node" (fun at -> at % 64L = 16L)
            flush "lower link not flushed" (fun at -> at % 64L = 16L)
            order "upper level first" (fun at -> at % 64L = 24L)
        ]

let all = [ fastFair; radix; skipList ]
