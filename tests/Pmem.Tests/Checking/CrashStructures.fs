/// Structures in the spirit of the published ones, each with mistakes that can be switched on.
module Pmem.Tests.CrashStructures

open System
open Pmem

/// A structure, whose operations are numbered from 1. A mistake is named; "" is the right version.
type Structure =
    {
        Name: string
        Mistakes: string list
        SizeBytes: int -> int
        Workload: string -> int -> RecordedMemory -> unit
        Recovery: string -> int -> CrashedMemory -> bool
    }

let set (memory: IPersistentMemory) at (value: int64) = memory.StoreInt64(at, value)

let persist (memory: IPersistentMemory) at = memory.Persist(at, 8L)

let put memory at value =
    set memory at value
    persist memory at

let get (memory: IPersistentMemory) at : int64 = memory.ReadInt64 at

/// The last operation that was promised; 0 where none was.
let promised (memory: CrashedMemory) =
    if memory.Acknowledged.Count = 0 then
        0L
    else
        memory.Acknowledged[memory.Acknowledged.Count - 1]

/// Money goes round among eight accounts; what an account held is logged before it changes.
let undoLog =
    let account i = 64L * (4L + i)

    let undo mistake memory =
        if get memory 0L = 1L then
            for entry in [ 64L; 128L ] do
                let at = get memory entry
                set memory at (get memory (entry + 8L))

                if mistake <> "recovery does not flush" then
                    persist memory at

            put memory 0L 0L

    let log mistake memory entry at =
        set memory entry at
        set memory (entry + 8L) (get memory at)

        if mistake <> "entry not flushed" then
            persist memory entry

    let transfer mistake memory (operation: int64) =
        let from, into = account (operation % 8L), account ((operation + 3L) % 8L)
        log mistake memory 64L from
        log "" memory 128L into

        if mistake <> "flag after the change" then
            put memory 0L 1L

        set memory from (get memory from - 1L)
        set memory into (get memory into + 1L)

        if mistake = "flag after the change" then
            put memory 0L 1L

        if mistake <> "change not flushed" then
            persist memory from
            persist memory into

        put memory 0L 0L

    {
        Name = "undo log"
        Mistakes =
            [
                "entry not flushed"
                "flag after the change"
                "change not flushed"
                "recovery does not flush"
            ]
        SizeBytes = fun _ -> 1024
        Workload =
            fun mistake count memory ->
                for operation in 1L .. int64 count do
                    transfer mistake memory operation
                    memory.Acknowledge operation
        Recovery =
            fun mistake count memory ->
                undo mistake memory
                let balances = [ for i in 0L .. 7L -> get memory (account i) ]

                // The sum is 0, and the balances are those after the operation promised last, or one more.
                let after (operations: int64) =
                    [
                        for i in 0L .. 7L ->
                            Seq.sumBy
                                (fun operation ->
                                    (if (operation + 3L) % 8L = i then 1L else 0L)
                                    - (if operation % 8L = i then 1L else 0L))
                                (seq { 1L .. operations })
                    ]

                let last = promised memory
                balances = after last || (last < int64 count && balances = after (last + 1L))
    }

/// Four words change together: they are logged, the log is committed, they are stored in place.
let redoLog =
    let home i = 64L * (8L + i)
    let logged i = 64L * (1L + i)

    let apply mistake memory =
        for i in 0L .. 3L do
            set memory (home i) (get memory (logged i))

            if mistake <> "applied, not flushed" || i <> 2L then
                persist memory (home i)

    let recover mistake memory =
        if get memory 0L = 1L then
            apply mistake memory
            put memory 0L 0L

    {
        Name = "redo log"
        Mistakes =
            [
                "committed too early"
                "one entry not flushed"
                "applied, not flushed"
                "no commit"
            ]
        SizeBytes = fun _ -> 1024
        Workload =
            fun mistake count memory ->
                for operation in 1L .. int64 count do
                    if mistake = "committed too early" then
                        put memory 0L 1L

                    for i in 0L .. 3L do
                        set memory (logged i) operation

                        if mistake <> "one entry not flushed" || i <> 1L then
                            persist memory (logged i)

                    if mistake <> "committed too early" && mistake <> "no commit" then
                        put memory 0L 1L

                    apply mistake memory

                    if mistake <> "no commit" then
                        put memory 0L 0L

                    memory.Acknowledge operation
        Recovery =
            fun mistake _ memory ->
                recover mistake memory
                let words = [ for i in 0L .. 3L -> get memory (home i) ]
                let last = promised memory

                List.forall ((=) words.Head) words
                && (words.Head = last || words.Head = last + 1L)
    }

/// Open addressing; when half full, all keys move to a table twice as large, and the root turns to it.
let hashTable =
    let firstTable = 64L
    let bytesOf slots = 16L * slots

    let rec find memory table slots key at =
        match get memory (table + 16L * at) with
        | 0L -> -1L
        | found when found = key -> get memory (table + 16L * at + 8L)
        | _ -> find memory table slots key ((at + 1L) % slots)

    let slotOf key slots = key * 7919L % slots

    let rec insert isFlushed mistake memory table slots key value at =
        if get memory (table + 16L * at) <> 0L then
            insert isFlushed mistake memory table slots key value ((at + 1L) % slots)
        elif mistake = "key before value" then
            set memory (table + 16L * at) key
            persist memory (table + 16L * at)
            put memory (table + 16L * at + 8L) value
        else
            set memory (table + 16L * at + 8L) value

            if isFlushed && mistake <> "value not flushed" then
                persist memory (table + 16L * at + 8L)

            set memory (table + 16L * at) key

            if isFlushed then
                persist memory (table + 16L * at)

    let sizeOf table =
        let mutable slots, at = 8L, firstTable

        while at < table do
            at <- at + bytesOf slots
            slots <- 2L * slots

        slots

    {
        Name = "hash table"
        Mistakes =
            [
                "key before value"
                "value not flushed"
                "new table not flushed"
                "promised before the key is durable"
            ]
        SizeBytes = fun count -> 64 + 16 * 16 * (count + 8)
        Workload =
            fun mistake count memory ->
                put memory 0L firstTable
                let memory' = memory :> IPersistentMemory

                for key in 1L .. int64 count do
                    let slots = sizeOf (get memory' 0L)

                    if 2L * key > slots then
                        let table = get memory' 0L
                        let larger, more = table + bytesOf slots, 2L * slots

                        for i in 0L .. slots - 1L do
                            let old = get memory' (table + 16L * i)

                            if old <> 0L then
                                insert
                                    false
                                    ""
                                    memory'
                                    larger
                                    more
                                    old
                                    (get memory' (table + 16L * i + 8L))
                                    (slotOf old more)

                        if mistake <> "new table not flushed" then
                            memory.Persist(larger, bytesOf more)

                        put memory' 0L larger

                    let table = get memory' 0L
                    let slots = sizeOf table

                    if mistake = "promised before the key is durable" then
                        insert false "" memory' table slots key (key + 1000L) (slotOf key slots)
                        memory.Acknowledge key
                        memory.Persist(table, bytesOf slots)
                    else
                        insert true mistake memory' table slots key (key + 1000L) (slotOf key slots)
                        memory.Acknowledge key
        Recovery =
            fun _ count memory ->
                let table = get memory 0L
                let last = promised memory

                if table = 0L then
                    last = 0L
                else
                    let slots = sizeOf table

                    Seq.forall
                        (fun key ->
                            let found = find memory table slots key (slotOf key slots)
                            found = key + 1000L || (key > last && found = -1L))
                        (seq { 1L .. min (int64 count) (last + 1L) })
    }
