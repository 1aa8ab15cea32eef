/// An update of a value of any length: write the slot that is not in use, then switch with one word.
module Structures.TwoSlots

open Pmem

//  0: which slot is in use, 0 or 1     64, 192: the slots, two words on two lines each

let private slot selected = 64L + 128L * selected

let update twin (memory: IPersistentMemory) (value: int64) =
    let selected = memory.ReadInt64 0L

    let next =
        match twin with
        | Right -> 1L - selected
        // In place: a crash in the middle leaves half of the old value and half of the new one.
        | Broken -> selected

    memory.StoreInt64(slot next, value)
    memory.StoreInt64(slot next + 64L, value * value)
    // Drain 1: the new value is durable before the switch.
    memory.Persist(slot next, 128L)
    memory.StoreInt64(0L, next)
    // Drain 2: the switch is durable before the caller is told so, and before the old slot is written again.
    memory.Persist(0L, 8L)

let read (memory: IPersistentMemory) =
    let slot = slot (memory.ReadInt64 0L)
    memory.ReadInt64 slot, memory.ReadInt64(slot + 64L)

let lesson =
    {
        Name = "two slots"
        Image = Array.zeroCreate 512
        Workload =
            fun twin memory ->
                for value in 1L .. 3L do
                    update twin memory value
                    memory.Acknowledge value
        Recovery =
            fun _ memory ->
                let value, square = read memory
                square = value * value && value >= int64 memory.Acknowledged.Count
        WrongUnder = Lesson.everywhere
    }
