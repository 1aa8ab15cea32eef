namespace Pmem.PowerCut

open System
open Pmem

//  offset  what
//  0       the magic number
//  8       the tail: where the next record goes; one word, so it is never torn
//  64      the records, each: its number, the length of its payload, and the payload padded to whole words
//
//  A record is durable before the tail says that it is there, so whatever lies below the tail is whole.

/// A log that only grows. A record is there after a power failure once Append has returned.
type AppendLog(memory: IPersistentMemory) =
    static let magic = 0x30474F4C5041L
    static let tailOffset = 8L
    static let firstRecord = 64L

    static let padded (lengthBytes: int) = (int64 lengthBytes + 7L) &&& ~~~7L

    /// The bytes that a record takes.
    static member RecordBytes(payloadBytes: int) = 16L + padded payloadBytes

    /// Makes the memory an empty log. The magic number is last: until it is durable there is no log.
    member _.Format() =
        memory.StoreInt64(tailOffset, firstRecord)
        memory.Persist(tailOffset, 8L)
        memory.StoreInt64(0L, magic)
        memory.Persist(0L, 8L)

    /// Whether Format has completed.
    member _.IsFormatted = memory.ReadInt64 0L = magic

    /// Whether a record of this length still fits.
    member _.HasRoomFor(payloadBytes: int) =
        AppendLog.RecordBytes payloadBytes
        <= memory.Length - memory.ReadInt64 tailOffset

    /// Appends a record. On return it is durable.
    member _.Append(number: int64, payload: ReadOnlySpan<byte>) =
        let tail = memory.ReadInt64 tailOffset
        let length = AppendLog.RecordBytes payload.Length
        memory.StoreInt64(tail, number)
        memory.StoreInt64(tail + 8L, int64 payload.Length)
        memory.Store(tail + 16L, payload)
        memory.Persist(tail, length)
        memory.StoreInt64(tailOffset, tail + length)
        memory.Persist(tailOffset, 8L)
        memory.Acknowledge number

    /// <summary>
    /// Reads every record, and answers how many there are. A log that could not have come from whole appends is an
    /// exception.
    /// </summary>
    member _.Recover(check: Action<int64, byte[]>) =
        let tail = memory.ReadInt64 tailOffset

        if tail < firstRecord || tail > memory.Length then
            failwith $"the tail {tail} is outside the log"

        let mutable offset = firstRecord
        let mutable count = 0L

        while offset < tail do
            let length = memory.ReadInt64(offset + 8L)

            if length < 0L || length > tail - offset - 16L then
                failwith $"the record at {offset} has a length of {length}"

            let payload = Array.zeroCreate<byte>(int length)
            memory.Read(offset + 16L, Span payload)
            check.Invoke(memory.ReadInt64 offset, payload)
            offset <- offset + AppendLog.RecordBytes(int length)
            count <- count + 1L

        count
