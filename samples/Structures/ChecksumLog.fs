/// A log with one drain for an append: a checksum tells whole records from torn ones, so no tail is needed.
module Structures.ChecksumLog

open Pmem

//  0, 128, …: a record: its number, its checksum; and on the next line its value

let private at index = 128L * index

/// Each step is one-to-one in its input, so a record that lacks one word never has the right sum.
let private mix (sum: int64) (word: int64) =
    let mixed = (sum ^^^ word) * 0x2545F4914F6CDD1DL
    mixed ^^^ (mixed >>> 29)

/// No small number: memory that was never stored to is zero, and must not have the right sum.
let private seed = 0x517CC1B727220A95L

let private checksum twin (number: int64) (value: int64) =
    match twin with
    | Right -> mix (mix seed number) value
    // It covers the head, and says nothing of the value.
    | Broken -> mix seed number

let append twin (memory: IPersistentMemory) (index: int64) (value: int64) =
    memory.StoreInt64(at index, index + 1L)
    memory.StoreInt64(at index + 8L, checksum twin (index + 1L) value)
    memory.StoreInt64(at index + 64L, value)
    // The only drain: the record is durable before the caller is told so. What a crash before it leaves has a wrong sum.
    memory.Persist(at index, 72L)

let private places = 4L

/// The values up to the first record that is not whole.
let read twin (memory: IPersistentMemory) =
    let isWhole index =
        memory.ReadInt64(at index) = index + 1L
        && memory.ReadInt64(at index + 8L) = checksum twin (index + 1L) (memory.ReadInt64(at index + 64L))

    [
        for index in Seq.takeWhile isWhole [ 0L .. places - 1L ] -> memory.ReadInt64(at index + 64L)
    ]

let lesson =
    {
        Name = "log with checksums"
        Image = Array.zeroCreate 512
        Workload =
            fun twin memory ->
                for index in 0L .. 2L do
                    append twin memory index (index + 7L)
                    memory.Acknowledge(index + 1L)
        Recovery =
            fun twin memory ->
                let values = read twin memory

                values = [ for index in 0L .. int64 values.Length - 1L -> index + 7L ]
                && values.Length >= memory.Acknowledged.Count
        WrongUnder = Lesson.everywhere
    }
