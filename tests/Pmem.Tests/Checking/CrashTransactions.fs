/// Logs and queues with seeded mistakes.
module Pmem.Tests.CrashTransactions

open System
open Pmem
open Pmem.Tests.CrashStructures
open Pmem.Tests.CrashSeeds

let private page i = 4096L * i

/// A ring of four places: the operations in turn put something in and take it out. Head and tail lie in pages of their own.
let queue =
    let place i = page 2L + 64L * (i % 4L)
    let tail, head = page 0L, page 1L

    let enqueue mistake memory value =
        let at = get memory tail

        inOrder
            mistake
            "place not flushed"
            "tail before the place"
            (fun isFlushed ->
                set memory (place at) value
                set memory (place at + 8L) (value * 3L)

                if isFlushed then
                    memory.Persist(place at, 16L))
            (fun () ->
                set memory tail (at + 1L)

                if mistake <> "tail not flushed" then
                    persist memory tail)

    let dequeue mistake (memory: IPersistentMemory) =
        let at = get memory head

        if mistake = "cleared before the head" then
            put memory (place at) 0L

        set memory head (at + 1L)

        if mistake <> "head not flushed" then
            persist memory head

        if mistake <> "cleared before the head" then
            put memory (place at) 0L

    let workload mistake count (memory: RecordedMemory) =
        promising count memory (fun operation ->
            if operation % 2L = 1L then
                enqueue mistake memory operation
            else
                dequeue mistake memory)

    let recovery _ count (memory: CrashedMemory) =
        let last = promised memory
        let head, tail = get memory head, get memory tail
        let done' = head + tail

        (done' = last || (done' = last + 1L && last < int64 count))
        && (tail = head || tail = head + 1L)
        && (tail = head
            || (get memory (place head) = 2L * head + 1L
                && get memory (place head + 8L) = 3L * (2L * head + 1L)))

    seeded
        "queue"
        (fun _ -> 12288)
        workload
        recovery
        [
            flush "place not flushed" (fun at -> at >= page 2L)
            order "tail before the place" ((=) tail)
            flush "tail not flushed" ((=) tail)
            flush "head not flushed" ((=) head)
            order "cleared before the head" (fun at -> at >= page 2L)
        ]

/// A transaction changes two words of many; the log has as many entries as it says, and recovery takes them back from the last.
let longUndo =
    let count = 0L
    let entry i = 64L * (1L + i)
    let word i = page 1L + 64L * (i % 6L)

    let add mistake memory at =
        let i = get memory count

        inOrder
            mistake
            "entry not flushed"
            "counted before the entry"
            (fun isFlushed ->
                set memory (entry i) at
                set memory (entry i + 8L) (get memory at)

                if isFlushed then
                    persist memory (entry i))
            (fun () -> put memory count (i + 1L))

    let undo mistake memory =
        let entries = get memory count

        let clear () =
            if entries > 0L then
                put memory count 0L

        if mistake = "recovery clears before it is done" then
            clear ()

        for i in entries - 1L .. -1L .. 0L do
            set memory (get memory (entry i)) (get memory (entry i + 8L))

            if mistake <> "recovery does not flush" then
                persist memory (get memory (entry i))

        clear ()

    let workload mistake operations (memory: RecordedMemory) =
        promising operations memory (fun operation ->
            let first, second = word operation, word (operation + 1L)

            for at in [ first; second ] do
                add mistake memory at
                set memory at (get memory at + 1L)

                if mistake <> "word not flushed" then
                    persist memory at

            put memory count 0L)

    let recovery mistake operations (memory: CrashedMemory) =
        undo mistake memory
        let last = promised memory
        let words = [ for i in 0L .. 5L -> get memory (word i) ]

        let after (done': int64) =
            let times i =
                (done' - i + 6L) / 6L - (if i = 0L then 1L else 0L)

            [ for i in 0L .. 5L -> times i + times ((i + 5L) % 6L) ]

        words = after last || (last < int64 operations && words = after (last + 1L))

    seeded
        "undo log of many entries"
        (fun _ -> 8192)
        workload
        recovery
        [
            flush "entry not flushed" (fun at -> at >= 64L && at < page 1L)
            order "counted before the entry" ((=) count)
            flush "word not flushed" (fun at -> at >= page 1L)
            order "recovery clears before it is done" ((=) count)
            flush "recovery does not flush" (fun at -> at >= page 1L)
        ]

/// Records that are stored past the cache, and then committed: what is stored so is durable after a drain, whatever is flushed.
let pastTheCache =
    let record i = page 1L + 64L * i

    let bytes (value: int64) =
        Array.replicate 6 value |> Array.collect BitConverter.GetBytes

    let write mistake (memory: RecordedMemory) operation =
        memory.StoreNonTemporal(record operation, ReadOnlySpan(bytes operation))

        if mistake <> "no drain" then
            memory.Drain()

    let commit mistake (memory: RecordedMemory) (operation: int64) =
        if mistake = "commit past the cache, not drained" then
            memory.StoreNonTemporal(0L, ReadOnlySpan(BitConverter.GetBytes operation))
        else
            put memory 0L operation

    let workload mistake count (memory: RecordedMemory) =
        promising count memory (fun operation ->
            if mistake = "committed first" then
                commit mistake memory operation
                write mistake memory operation
            else
                write mistake memory operation
                commit mistake memory operation)

    let recovery _ _ (memory: CrashedMemory) =
        let committed = get memory 0L
        let last = promised memory

        (committed = last || committed = last + 1L)
        && Seq.forall
            (fun i -> Seq.forall (fun word -> get memory (record i + 8L * word) = i) (seq { 0L .. 5L }))
            (seq { max 1L (committed - 3L) .. committed })

    seeded
        "records past the cache"
        (fun count -> 4096 + 64 * (count + 2))
        workload
        recovery
        [
            flush "no drain" (fun at -> at >= page 1L)
            order "committed first" ((=) 0L)
            flush "commit past the cache, not drained" ((=) 0L)
        ]

let private ringSize = 256

let private ringSum mistake (bytes: ReadOnlySpan<byte>) =
    let mutable sum = 7UL
    // The first word is the sum, the second the number of the operation.
    let first = if mistake = "sum without the number" then 16 else 8
    let last = if mistake = "sum of the first half" then ringSize / 2 else ringSize

    for i in first..8 .. last - 8 do
        sum <- (sum ^^^ BitConverter.ToUInt64(bytes.Slice(i, 8))) * 0x9E3779B97F4A7C15UL
        sum <- sum ^^^ (sum >>> 31)

    sum ||| 1UL

/// A log of blocks that goes round, each with a sum over all of it; the newest block whose sum is right is the last.
let ring =
    let size = ringSize
    let places = 4L
    let at operation = int64 size * (operation % places)

    let block mistake (operation: int64) =
        let bytes = Array.init (size / 8) (fun i -> int64 i + 100L * operation)
        bytes[1] <- operation
        let bytes = bytes |> Array.collect BitConverter.GetBytes

        BitConverter.TryWriteBytes(Span(bytes, 0, 8), ringSum mistake (ReadOnlySpan bytes))
        |> ignore

        bytes

    let workload mistake count (memory: RecordedMemory) =
        promising count memory (fun operation ->
            memory.Store(at operation, ReadOnlySpan(block mistake operation))

            if mistake <> "block not flushed" then
                memory.Persist(at operation, if mistake = "end not flushed" then 192L else int64 size))

    let recovery mistake count (memory: CrashedMemory) =
        let valid =
            BlockValidator(fun bytes -> BitConverter.ToUInt64 bytes = ringSum mistake bytes)

        let blocks =
            [
                for i in 0L .. places - 1L do
                    let bytes: byte[] = Array.zeroCreate size

                    if memory.ReadValidated(int64 size * i, Span bytes, valid) then
                        BitConverter.ToInt64(bytes, 8), bytes
            ]

        let last = promised memory

        if blocks.IsEmpty then
            last = 0L
        else
            let newest, bytes = List.maxBy fst blocks

            (newest = last || (newest = last + 1L && last < int64 count))
            && bytes = block mistake newest

    seeded
        "ring of blocks"
        (fun _ -> 1024)
        workload
        recovery
        [
            order "sum without the number" (fun at -> at < 1024L)
            order "sum of the first half" (fun at -> at < 1024L)
            flush "block not flushed" (fun at -> at < 1024L)
            flush "end not flushed" (fun at -> at % 256L >= 192L)
        ]

/// A page is written beside first, and then in place; recovery copies it back where the place is torn.
let doubleWrite =
    let words = 6L
    let home, beside = page 1L, page 2L
    let marker = 0L

    let writeTo (memory: IPersistentMemory) at operation isFlushed =
        for i in 0L .. words - 1L do
            set memory (at + 64L * i) (operation * 10L + i)

        if isFlushed then
            memory.Persist(at, 64L * words)

    let inPlace mistake memory operation =
        writeTo memory home operation (mistake <> "place not flushed")
        put memory marker 0L

    let recover mistake memory =
        if get memory marker <> 0L then
            for i in 0L .. words - 1L do
                set memory (home + 64L * i) (get memory (beside + 64L * i))

            if mistake = "recovery unmarks before the copy is durable" then
                put memory marker 0L
                memory.Persist(home, 64L * words)
            else
                memory.Persist(home, 64L * words)
                put memory marker 0L

    let workload mistake count (memory: RecordedMemory) =
        writeTo memory home 0L true

        promising count memory (fun operation ->
            if mistake = "place first" then
                writeTo memory home operation true

            inOrder mistake "copy not flushed" "marked before the copy" (writeTo memory beside operation) (fun () ->
                put memory marker operation)

            inPlace mistake memory operation)

    let recovery mistake count (memory: CrashedMemory) =
        recover mistake memory
        let found = [ for i in 0L .. words - 1L -> get memory (home + 64L * i) ]
        let last = promised memory

        let of' operation =
            [ for i in 0L .. words - 1L -> operation * 10L + i ]

        // Before the first operation the page is being made.
        found = of' last
        || (last < int64 count && found = of' (last + 1L))
        || (last = 0L
            && List.forall2 (fun word i -> word = 0L || word = i) found [ 0L .. words - 1L ])

    seeded
        "double write"
        (fun _ -> 12288)
        workload
        recovery
        [
            flush "copy not flushed" (fun at -> at >= page 2L)
            order "marked before the copy" ((=) marker)
            order "place first" (fun at -> at >= page 1L && at < page 2L)
            flush "place not flushed" (fun at -> at >= page 1L && at < page 2L)
            flush "recovery unmarks before the copy is durable" (fun at -> at >= page 1L && at < page 2L)
        ]

let all = [ queue; longUndo; pastTheCache; ring; doubleWrite ]
