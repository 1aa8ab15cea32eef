/// Three structures that are tested as a user tests hers, each with mistakes that can be switched on.
module Pmem.Tests.Structures

open System
open Pmem

let private persistInt64 (memory: IPersistentMemory) offset (value: int64) =
    memory.StoreInt64(offset, value)
    memory.Persist(offset, 8L)

/// A stack in an array: the items, then their number, which makes them count.
module Stack =
    type Operation =
        | Push of byte
        | Pop

    type Mistake =
        | NoMistake
        | ItemNotPersisted
        | CountFirst
        | CountNotPersisted

    let private slots = 8L
    let private at index = 64L + 8L * index

    let private push mistake item (memory: IPersistentMemory) =
        let count = memory.ReadInt64 0L

        if count < slots then
            if mistake = CountFirst then
                persistInt64 memory 0L (count + 1L)

            memory.StoreInt64(at count, int64 (item: byte))

            if mistake <> ItemNotPersisted then
                memory.Persist(at count, 8L)

            memory.StoreInt64(0L, count + 1L)

            if mistake <> CountNotPersisted then
                memory.Persist(0L, 8L)

    let private apply mistake operation (memory: IPersistentMemory) =
        match operation with
        | Push item -> push mistake item memory
        | Pop -> persistInt64 memory 0L (max 0L (memory.ReadInt64 0L - 1L))

    let private model operation state =
        match operation with
        | Push item when List.length state < int slots -> int64 item :: state
        | Push _ -> state
        | Pop -> if List.isEmpty state then [] else List.tail state

    let private recover (memory: IPersistentMemory) =
        [
            for index in memory.ReadInt64 0L - 1L .. -1L .. 0L do
                memory.ReadInt64(at index)
        ]

    let structure mistake =
        DurableStructure<Operation, int64 list>(
            image = Array.zeroCreate 256,
            initial = [],
            apply = (fun operation memory -> apply mistake operation memory),
            model = (fun operation state -> model operation state),
            recover = (fun memory -> recover memory)
        )

/// A ring of records of two words: a value and a check of it with its place. A record is written before the tail moves. Taking one
/// moves the head and counts it, two words in two lines: a note, made durable before, is what recovery finishes.
module Ring =
    type Operation =
        | Enqueue of byte
        | Dequeue

    type Mistake =
        | NoMistake
        /// The tail moves before the record is durable.
        | TailFirst
        /// The note is not durable before what it is for.
        | NoteNotPersisted
        /// Recovery takes its note back before it has done what the note says: wrong only if recovery is crashed.
        | NoteTakenBackFirst

    let private slots = 4L
    let private tail, head, taken, note = 0L, 64L, 128L, 192L
    let private at index = 256L + 64L * (index % slots)

    let private enqueue mistake (item: byte) (memory: IPersistentMemory) =
        let next = memory.ReadInt64 tail

        if next - memory.ReadInt64 head < slots then
            if mistake = TailFirst then
                persistInt64 memory tail (next + 1L)

            memory.StoreInt64(at next, int64 item)
            memory.StoreInt64(at next + 8L, int64 item ^^^ next)
            memory.Persist(at next, 16L)

            if mistake <> TailFirst then
                persistInt64 memory tail (next + 1L)

    let private finish (memory: IPersistentMemory) noted =
        persistInt64 memory head noted
        persistInt64 memory taken noted

    let private dequeue mistake (memory: IPersistentMemory) =
        let first = memory.ReadInt64 head

        if first < memory.ReadInt64 tail then
            memory.StoreInt64(note, first + 1L)

            if mistake <> NoteNotPersisted then
                memory.Persist(note, 8L)

            finish memory (first + 1L)
            persistInt64 memory note 0L

    let private repair mistake (memory: IPersistentMemory) =
        let noted = memory.ReadInt64 note

        if noted > 0L then
            if mistake = NoteTakenBackFirst then
                persistInt64 memory note 0L

            finish memory noted
            persistInt64 memory note 0L

    let private recover mistake (memory: IPersistentMemory) =
        repair mistake memory

        if memory.ReadInt64 head <> memory.ReadInt64 taken then
            failwith "the head is not where the count is"

        [
            for index in memory.ReadInt64 head .. memory.ReadInt64 tail - 1L do
                if memory.ReadInt64(at index) ^^^ index = memory.ReadInt64(at index + 8L) then
                    memory.ReadInt64(at index)
                else
                    failwith "a record is torn"
        ]

    let private model operation state =
        match operation with
        | Enqueue item when List.length state < int slots -> state @ [ int64 item ]
        | Enqueue _ -> state
        | Dequeue -> if List.isEmpty state then [] else List.tail state

    let structure mistake =
        DurableStructure<Operation, int64 list>(
            image = Array.zeroCreate 512,
            initial = [],
            apply =
                (fun operation memory ->
                    match operation with
                    | Enqueue item -> enqueue mistake item memory
                    | Dequeue -> dequeue mistake memory),
            model = (fun operation state -> model operation state),
            recover = (fun memory -> recover mistake memory)
        )

/// A hash table with open addressing. Word 0 says where the table is and how large; it grows by building a larger one beside it
/// and switching over in one word.
module HashTable =
    type Operation =
        | Set of key: byte * value: byte
        | Remove of key: byte

    type Mistake =
        | NoMistake
        /// The key is made durable before its value.
        | KeyFirst
        /// The new table is switched to before all of it is durable.
        | SwitchEarly
        /// Growing forgets the keys that did not lie in their own place.
        | LosesMoved

    let private firstSlots = 4L

    // A slot is a line: key + 1, or 0 where it is free, or -1 where a key was removed; then the value.
    let private slotBytes = 64L
    let private start slots = 64L + slotBytes * (slots - firstSlots)
    let private at slots index = start slots + slotBytes * index

    let private slotsOf (memory: IPersistentMemory) = max firstSlots (memory.ReadInt64 0L)

    let private hashOf (key: int64) = key * 7L

    /// The slot of a key, or the free one where it would go; none where the table is full.
    let private find (memory: IPersistentMemory) slots key =
        seq { 0L .. slots - 1L }
        |> Seq.map (fun step -> (hashOf key + step) % slots)
        |> Seq.tryFind (fun index ->
            let held = memory.ReadInt64(at slots index)
            held = 0L || held = key + 1L)

    let private put mistake (memory: IPersistentMemory) slots index key value =
        let slot = at slots index

        if mistake = KeyFirst then
            persistInt64 memory slot (key + 1L)
            persistInt64 memory (slot + 8L) value
        else
            persistInt64 memory (slot + 8L) value
            persistInt64 memory slot (key + 1L)

    let private entries (memory: IPersistentMemory) slots =
        [
            for index in 0L .. slots - 1L do
                let held = memory.ReadInt64(at slots index)

                if held > 0L then
                    index, held - 1L, memory.ReadInt64(at slots index + 8L)
        ]

    let private grow mistake (memory: IPersistentMemory) slots =
        let larger = 2L * slots
        let bytes = slotBytes * larger
        memory.Store(start larger, ReadOnlySpan(Array.zeroCreate<byte>(int bytes)))

        for index, key, value in entries memory slots do
            let isLost = mistake = LosesMoved && hashOf key % slots <> index

            match find memory larger key with
            | Some target when not isLost ->
                memory.StoreInt64(at larger target, key + 1L)
                memory.StoreInt64(at larger target + 8L, value)
            | _ -> ()

        if mistake <> SwitchEarly then
            memory.Persist(start larger, bytes)

        persistInt64 memory 0L larger

        if mistake = SwitchEarly then
            memory.Persist(start larger, bytes)

    let rec private set mistake (memory: IPersistentMemory) key value =
        let slots = slotsOf memory

        match find memory slots key with
        | Some index -> put mistake memory slots index key value
        | None ->
            grow mistake memory slots
            set mistake memory key value

    let private remove (memory: IPersistentMemory) key =
        let slots = slotsOf memory

        match find memory slots key with
        | Some index when memory.ReadInt64(at slots index) = key + 1L -> persistInt64 memory (at slots index) -1L
        | _ -> ()

    let private apply mistake operation (memory: IPersistentMemory) =
        match operation with
        | Set(key, value) -> set mistake memory (int64 (key % 16uy)) (int64 value)
        | Remove key -> remove memory (int64 (key % 16uy))

    let private model operation state =
        match operation with
        | Set(key, value) -> Map.add (int64 (key % 16uy)) (int64 value) state
        | Remove key -> Map.remove (int64 (key % 16uy)) state

    let structure mistake =
        DurableStructure<Operation, Map<int64, int64>>(
            image = Array.zeroCreate 16384,
            initial = Map.empty,
            apply = (fun operation memory -> apply mistake operation memory),
            model = (fun operation state -> model operation state),
            recover =
                (fun memory ->
                    entries memory (slotsOf memory)
                    |> List.map (fun (_, key, value) -> key, value)
                    |> Map.ofList)
        )
