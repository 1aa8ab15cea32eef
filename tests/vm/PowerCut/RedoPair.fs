namespace Pmem.PowerCut

open Pmem

//  offset  what
//  0       the first word
//  64      the second word, on a line of its own, so that a power failure can part the two
//  128     the redo log: the number of the update that is under way, or 0; its two words
//
//  The redo log is durable before its number is, the number before the words are touched, and the words before the
//  number is cleared. So a number that is there names an update that can be done over.

/// Two words that change together, whenever the power fails.
type RedoPair(memory: IPersistentMemory) =
    static let first = 0L
    static let second = 64L
    static let pending = 128L
    static let newFirst = 136L
    static let newSecond = 144L

    /// The bytes that a pair takes.
    static member LengthBytes = 192L

    /// Clears the pair.
    member _.Format() =
        for offset in [ pending; first; second ] do
            memory.StoreInt64(offset, 0L)
            memory.Persist(offset, 8L)

    /// The two words.
    member _.Read() =
        struct (memory.ReadInt64 first, memory.ReadInt64 second)

    /// Changes both words. On return the update is durable.
    member pair.Update(number: int64, a: int64, b: int64) =
        memory.StoreInt64(newFirst, a)
        memory.StoreInt64(newSecond, b)
        memory.Persist(newFirst, 16L)
        memory.StoreInt64(pending, number)
        memory.Persist(pending, 8L)
        pair.Redo()
        memory.Acknowledge number

    /// Does over what was under way when the power failed. Safe to be cut short and run again.
    member pair.Recover() =
        if memory.ReadInt64 pending <> 0L then
            pair.Redo()

    member private _.Redo() =
        memory.StoreInt64(first, memory.ReadInt64 newFirst)
        memory.StoreInt64(second, memory.ReadInt64 newSecond)
        memory.Flush(first, 8L)
        memory.Flush(second, 8L)
        memory.Drain()
        memory.StoreInt64(pending, 0L)
        memory.Persist(pending, 8L)
