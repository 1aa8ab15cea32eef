/// Tables with seeded mistakes, each with the store that is guilty of what goes wrong.
module Pmem.Tests.CrashSeeds

open System
open Pmem
open Pmem.Tests.CrashStructures

type Mistake =
    {
        Name: string
        /// Stores come in the wrong order: no model makes that good. Elsewhere a flush or a drain is missing.
        IsOrder: bool
        /// Where the store lies that comes too early, or that is lost for want of a flush.
        IsGuilty: int64 -> bool
    }

type Seeded = { Structure: Structure; Mistakes: Mistake list }

let order name isGuilty =
    { Name = name; IsOrder = true; IsGuilty = isGuilty }

let flush name isGuilty =
    { Name = name; IsOrder = false; IsGuilty = isGuilty }

let seeded name sizeBytes workload recovery (mistakes: Mistake list) =
    {
        Structure =
            {
                Name = name
                Mistakes = mistakes |> List.map (fun mistake -> mistake.Name)
                SizeBytes = sizeBytes
                Workload = workload
                Recovery = recovery
            }
        Mistakes = mistakes
    }

/// Each operation is promised when it is done.
let promising count (memory: RecordedMemory) operate =
    for operation in 1L .. int64 count do
        operate operation
        memory.Acknowledge operation

/// What is found where there is no such key.
let absent = Int64.MinValue

/// Every key up to the last that was promised is found, and the next one is whole or not there.
let allFound count (memory: CrashedMemory) (find: int64 -> int64) valueOf =
    let last = promised memory

    Seq.forall
        (fun key ->
            let found = find key
            found = valueOf key || (key > last && found = absent))
        (seq { 1L .. min (int64 count) (last + 1L) })

/// One store or more, with the mistake that they are not flushed, or that they come after what depends on them.
let inOrder mistake notFlushed tooEarly (first: bool -> unit) (second: unit -> unit) =
    if mistake = tooEarly then
        second ()
        first true
    else
        first (mistake <> notFlushed)
        second ()

let private isIn from length at = at >= from && at < from + length
let private hash (key: int64) = uint64 key * 0x9E3779B97F4A7C15UL

/// CCEH (Nam et al., FAST 2019): a directory of segments, which are split when full; the directory is doubled when it must be.
let cceh =
    let keyAt segment i = segment + 8L * i
    let valueAt segment i = segment + 64L + 8L * i
    let entry directory i = directory + 8L + 8L * i
    let slots = [ 1L .. 7L ]
    let firstSegment = 65536L

    let segmentOf memory key =
        let directory = get memory 0L
        get memory (entry directory (int64 (hash key >>> (64 - int (get memory directory)))))

    let fill memory segment depth (pairs: (int64 * int64) list) isFlushed =
        set memory segment depth

        pairs
        |> List.iteri (fun i (key, value) ->
            set memory (keyAt segment (int64 i + 1L)) key
            set memory (valueAt segment (int64 i + 1L)) value)

        if isFlushed then
            memory.Persist(segment, 128L)

    let double mistake memory (free: int64 ref) =
        let old, at = get memory 0L, free.Value
        let depth = get memory old
        free.Value <- (at + 8L + (16L <<< int depth) + 63L) &&& ~~~63L
        set memory at (depth + 1L)

        for i in 0L .. (2L <<< int depth) - 1L do
            set memory (entry at i) (get memory (entry old (i / 2L)))

        if mistake <> "directory not flushed" then
            memory.Persist(at, 8L + (16L <<< int depth))

        put memory 0L at

    let split mistake memory key (free: int64) freeDirectory =
        let old = segmentOf memory key
        let depth = get memory old

        if depth = get memory (get memory 0L) then
            double mistake memory freeDirectory

        let pairs =
            [ for i in slots -> get memory (keyAt old i), get memory (valueAt old i) ]

        let isRight (key, _) =
            (hash key >>> (63 - int depth)) &&& 1UL = 1UL

        let right, left = List.partition isRight pairs
        let directory = get memory 0L
        let spread = int (get memory directory) - int depth - 1

        let write isFlushed =
            fill memory free (depth + 1L) left isFlushed
            fill memory (free + 128L) (depth + 1L) right isFlushed

        let turn () =
            for i in 0L .. (1L <<< int (get memory directory)) - 1L do
                if get memory (entry directory i) = old then
                    put memory (entry directory i) (free + 128L * ((i >>> spread) &&& 1L))

        inOrder mistake "segment not flushed" "entry before the segment" write turn

    let insert mistake memory segment i key =
        inOrder
            mistake
            "value not flushed"
            "key before value"
            (fun isFlushed ->
                set memory (valueAt segment i) (key * 3L)

                if isFlushed then
                    persist memory (valueAt segment i))
            (fun () ->
                set memory (keyAt segment i) key

                if mistake <> "key not flushed" then
                    persist memory (keyAt segment i))

    let workload mistake count (memory: RecordedMemory) =
        let free, freeDirectory = ref (firstSegment + 256L), ref 128L
        fill memory firstSegment 1L [] true
        fill memory (firstSegment + 128L) 1L [] true
        set memory 64L 1L
        set memory (entry 64L 0L) firstSegment
        set memory (entry 64L 1L) (firstSegment + 128L)
        memory.Persist(64L, 64L)
        put memory 0L 64L

        let freeSlot segment =
            slots |> List.tryFind (fun i -> get memory (keyAt segment i) = 0L)

        promising count memory (fun key ->
            while (freeSlot (segmentOf memory key)).IsNone do
                split mistake memory key free.Value freeDirectory
                free.Value <- free.Value + 256L

            let segment = segmentOf memory key
            insert mistake memory segment (freeSlot segment).Value key)

    let recovery _ count (memory: CrashedMemory) =
        let find key =
            let segment = segmentOf memory key

            slots
            |> List.tryFind (fun i -> get memory (keyAt segment i) = key)
            |> Option.map (fun i -> get memory (valueAt segment i))
            |> Option.defaultValue absent

        if get memory 0L = 0L then
            promised memory = 0L
        else
            allFound count memory find (fun key -> key * 3L)

    let isInSegment at = at >= firstSegment

    seeded
        "CCEH"
        (fun count -> 65536 + 256 * (count + 8))
        workload
        recovery
        [
            flush "value not flushed" (fun at -> isInSegment at && at % 128L > 64L)
            order "key before value" (fun at -> isInSegment at && at % 128L < 64L)
            flush "key not flushed" (fun at -> isInSegment at && at % 128L < 64L)
            flush "segment not flushed" isInSegment
            order "entry before the segment" (isIn 64L 65000L)
            flush "directory not flushed" (isIn 64L 65000L)
        ]

/// CLHT (David, Guerraoui, Trigonakis, ASPLOS 2015): a bucket is a line of three keys, three values and the next bucket.
let clht =
    let buckets = 4L

    let first key =
        64L * (1L + int64 (hash key % uint64 buckets))

    let keyAt bucket i = bucket + 8L * i
    let valueAt bucket i = bucket + 24L + 8L * i
    let next bucket = bucket + 48L

    let rec last memory bucket =
        match get memory (next bucket) with
        | 0L -> bucket
        | more -> last memory more

    let freeSlot memory bucket =
        List.tryFind (fun i -> get memory (keyAt bucket i) = 0L) [ 0L .. 2L ]

    let insert mistake memory bucket i key =
        inOrder
            mistake
            "value not flushed"
            "key before value"
            (fun isFlushed ->
                set memory (valueAt bucket i) (key + 5L)

                if isFlushed then
                    persist memory (valueAt bucket i))
            (fun () -> put memory (keyAt bucket i) key)

    let chain mistake memory bucket free key =
        inOrder
            mistake
            "bucket not flushed"
            "never"
            (fun isFlushed ->
                set memory (valueAt free 0L) (key + 5L)
                set memory (keyAt free 0L) key

                if isFlushed then
                    memory.Persist(free, 64L))
            (fun () ->
                set memory (next bucket) free

                if mistake <> "link not flushed" then
                    persist memory (next bucket))

    let workload mistake count (memory: RecordedMemory) =
        let free = ref (64L * (1L + buckets))

        promising count memory (fun key ->
            let bucket = last memory (first key)

            match freeSlot memory bucket with
            | Some i -> insert mistake memory bucket i key
            | None ->
                chain mistake memory bucket free.Value key
                free.Value <- free.Value + 64L)

    let recovery _ count (memory: CrashedMemory) =
        let rec find bucket key =
            match List.tryFind (fun i -> get memory (keyAt bucket i) = key) [ 0L .. 2L ] with
            | Some i -> get memory (valueAt bucket i)
            | None ->
                match get memory (next bucket) with
                | 0L -> absent
                | more -> find more key

        allFound count memory (fun key -> find (first key) key) (fun key -> key + 5L)

    let isChained at = at >= 64L * (1L + buckets)

    seeded
        "CLHT"
        (fun count -> 64 * (18 + count))
        workload
        recovery
        [
            order "key before value" (fun at -> at % 64L < 24L)
            flush "bucket not flushed" isChained
            flush "link not flushed" (fun at -> at % 64L = 48L)
        ]

/// Level hashing (Zuo, Hua, Wu, OSDI 2018): a token says which slots of a bucket are taken; what finds its top bucket full moves
/// an entry down.
let levelHashing =
    let bucketBytes = 128L

    let top count key =
        64L + bucketBytes * int64 (hash key % uint64 (max 4 (count / 5)))

    let bottom count =
        64L + bucketBytes * int64 (max 4 (count / 5))

    let slot bucket i = bucket + 64L + 16L * i

    let token mistake memory bucket tokens =
        set memory bucket tokens

        if mistake <> "token not flushed" then
            persist memory bucket

    let place mistake notFlushed tooEarly memory bucket i key value =
        inOrder
            mistake
            notFlushed
            tooEarly
            (fun isFlushed ->
                set memory (slot bucket i) key
                set memory (slot bucket i + 8L) value

                if isFlushed then
                    memory.Persist(slot bucket i, 16L))
            (fun () -> token mistake memory bucket (get memory bucket ||| (1L <<< int i)))

    let freeSlot memory bucket =
        let tokens = get memory bucket
        List.tryFind (fun i -> (tokens >>> int i) &&& 1L = 0L) [ 0L .. 3L ]

    let move mistake memory bucket below =
        let copy () =
            let i = Option.get (freeSlot memory below)
            let key, value = get memory (slot bucket 0L), get memory (slot bucket 0L + 8L)
            place mistake "moved, not flushed" "never" memory below i key value

        let clear () =
            token "" memory bucket (get memory bucket &&& ~~~1L)

        if mistake = "cleared before the copy" then
            clear ()
            copy ()
        else
            copy ()
            clear ()

    let workload mistake count (memory: RecordedMemory) =
        promising count memory (fun key ->
            let bucket = top count key

            if (freeSlot memory bucket).IsNone then
                let mutable below = bottom count

                while (freeSlot memory below).IsNone do
                    below <- below + bucketBytes

                move mistake memory bucket below

            let i = Option.get (freeSlot memory bucket)
            place mistake "slot not flushed" "token before the slot" memory bucket i key (key * 7L))

    let recovery _ count (memory: CrashedMemory) =
        let inBucket key bucket =
            let tokens = get memory bucket

            List.tryFind (fun i -> (tokens >>> int i) &&& 1L = 1L && get memory (slot bucket i) = key) [ 0L .. 3L ]
            |> Option.map (fun i -> get memory (slot bucket i + 8L))

        let rec below bucket key =
            if get memory bucket = 0L then
                absent
            else
                match inBucket key bucket with
                | Some value -> value
                | None -> below (bucket + bucketBytes) key

        let find key =
            match inBucket key (top count key) with
            | Some value -> value
            | None -> below (bottom count) key

        allFound count memory find (fun key -> key * 7L)

    let isSlot at = (at - 64L) % bucketBytes >= 64L

    seeded
        "level hashing"
        (fun count -> 64 + 128 * (max 4 (count / 5) + count / 4 + 4))
        workload
        recovery
        [
            flush "slot not flushed" isSlot
            order "token before the slot" (isSlot >> not)
            flush "token not flushed" (isSlot >> not)
            flush "moved, not flushed" isSlot
            order "cleared before the copy" (isSlot >> not)
        ]

let all = [ cceh; clht; levelHashing ]
