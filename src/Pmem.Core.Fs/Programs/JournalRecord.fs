namespace Pmem

open System
open System.Buffers.Binary
open System.Numerics

//  A journal's range, in bytes:
//      0  magic; a journal is there where it is durable     8  the number of the last retired record     16  the range's length
//     64  the record: number, length of the entries, checksum, entries, zeros to the end of the line
//  An entry: offset, length, bytes, zeros to the next word. All numbers are little-endian words of 8 bytes.

/// What a committed program looks like in a journal.
module internal JournalRecord =
    /// "PMEMJRN1".
    [<Literal>]
    let Magic = 0x314E524A4D454D50L

    /// Where the record begins.
    [<Literal>]
    let Start = 64L

    [<Literal>]
    let HeadBytes = 24

    /// The offset and length of an entry.
    [<Literal>]
    let private EntryBytes = 16L

    let private word (bytes: ReadOnlySpan<byte>) (index: int) =
        BinaryPrimitives.ReadInt64LittleEndian(bytes.Slice index)

    let private entryBytes (lengthBytes: int64) =
        EntryBytes + Bounds.alignUp Atom.SizeBytes lengthBytes

    /// The bytes of a program's entries; 0 where it writes nothing.
    let payloadBytes (program: PersistProgram) =
        let mutable sum = 0L

        for epoch in program.EpochArray do
            for write in epoch.WriteArray do
                if not write.Range.IsEmpty then
                    sum <- sum + entryBytes write.Range.Length

        sum

    /// The bytes of a range that holds a record with entries of this length.
    let requiredBytes (payloadBytes: int64) =
        Start + Bounds.alignUp CacheLine.SizeBytes (int64 HeadBytes + payloadBytes)

    /// How much of a journal's range can be used: a record is made in one array.
    let placeOf (range: ByteRange) =
        min range.Length (int64 Array.MaxLength)

    /// <summary>A number that depends on every word of a record but its own.</summary>
    /// <remarks>Each step is one-to-one in the word and in the sum so far, so that two records that differ in one word
    /// never share it. Two that differ in more do by chance, one time in 2^64.</remarks>
    let checksum (record: ReadOnlySpan<byte>) =
        let mutable sum = 0x9E3779B97F4A7C15UL

        for index in 0..8 .. record.Length - 8 do
            if index <> 16 then
                let mixed = (sum ^^^ uint64 (word record index)) * 0xD6E8FEB86659FD93UL
                sum <- BitOperations.RotateLeft(mixed, 29)

        int64 (sum ^^^ (sum >>> 32))

    /// Writes the record into a buffer that is long enough, and returns the bytes of whole lines that it takes.
    let encode (buffer: byte[]) (number: int64) (payloadBytes: int64) (program: PersistProgram) =
        let lines = int (requiredBytes payloadBytes - Start)
        let record = Span(buffer, 0, lines)
        record.Clear()
        BinaryPrimitives.WriteInt64LittleEndian(record, number)
        BinaryPrimitives.WriteInt64LittleEndian(record.Slice 8, payloadBytes)
        let mutable at = HeadBytes

        for epoch in program.EpochArray do
            for write in epoch.WriteArray do
                if not write.Range.IsEmpty then
                    BinaryPrimitives.WriteInt64LittleEndian(record.Slice at, write.Range.Offset)
                    BinaryPrimitives.WriteInt64LittleEndian(record.Slice(at + 8), write.Range.Length)
                    write.Bytes.Span.CopyTo(record.Slice(at + int EntryBytes))
                    at <- at + int (entryBytes write.Range.Length)

        let sum = checksum (Span.op_Implicit (record.Slice(0, at)))
        BinaryPrimitives.WriteInt64LittleEndian(record.Slice 16, sum)
        lines

    /// Calls with each entry of a record whose checksum is right: the bytes of the memory, and where in the record they are.
    let forEach (record: byte[]) (visit: ByteRange -> int -> unit) =
        let mutable at = HeadBytes

        while at < record.Length do
            let range =
                ByteRange(word (ReadOnlySpan record) at, word (ReadOnlySpan record) (at + 8))

            visit range (at + int EntryBytes)
            at <- at + int (entryBytes range.Length)
