namespace Pmem

open System
open System.IO
open System.Runtime.CompilerServices
open System.Runtime.InteropServices

/// <summary>Makes persist programs atomic: after a power failure all writes of a committed program are there, or none.</summary>
/// <remarks>
/// <para>A redo log in a range of the memory. A commit has three drains: (1) the record, with a checksum; (2) the writes in
/// place; (3) the word that retires the record. A log without a checksum needs a fourth: it drains the entries, and only then
/// stores the word that makes them count. The checksum stands for that word: a record of which any word is missing has
/// another checksum, except for one chance in 2^64, and is then as if it had never been written. The third drain cannot be
/// saved: a record that is not known to be retired is done again by <c>Open</c>, and would undo what was stored in the same
/// place without the journal.</para>
/// <para><c>Open</c> recovers: it does a record that is whole and not retired again. It changes the record only after that is durable, so a
/// power failure during recovery is recovered from as well. What is not promised: that other threads see the writes at
/// once, or in any order; that two commits at a time are safe (they are not: use a lock); that memory is right which was
/// stored to without the journal while a commit was under way.</para>
/// </remarks>
[<Sealed; AllowNullLiteral(false)>]
type Journal private (memory: IPersistentMemory, range: ByteRange, retired: int64, hasRecovered: bool) =
    static let retiredOffset = 8L
    static let lengthOffset = 16L

    let mutable retired = retired
    let mutable buffer = Array.zeroCreate<byte> 256

    /// A commit has begun, and is not known to have ended.
    let mutable isUnsure = false

    /// The memory has the range, and the range is whole lines and has place for a record.
    static let check (memory: IPersistentMemory) (range: ByteRange) =
        ArgumentNullException.ThrowIfNull(memory, nameof memory)

        if not (range.IsWithin memory.Length) then
            raise (Words.noRange "The journal" range.Offset range.Length memory.Length)

        if CacheLine.cover range <> range || range.Length < JournalRecord.requiredBytes 8L then
            raise (
                ArgumentException(
                    Words.say
                        [
                            "A journal is whole cache lines, two or more: offset and length are multiples of 64 bytes, not "
                            range.ToString()
                            "."
                        ],
                    nameof range
                )
            )

    static let storeWord (memory: IPersistentMemory) offset (value: int64) source =
        let mutable value = value
        memory.Store(offset, Span.op_Implicit (Raw.bytesOf &value), source)

    static let readWord (memory: IPersistentMemory) offset source =
        let mutable value = 0L
        memory.Read(offset, Raw.bytesOf &value, source)
        value

    static let retire (memory: IPersistentMemory) (range: ByteRange) number source =
        storeWord memory (range.Offset + retiredOffset) number source
        memory.Persist(range.Offset + retiredOffset, Atom.SizeBytes, source)

    /// Zeros throughout: a new record that is torn, and so has words of an old one, must not be that old one.
    static let clear (memory: IPersistentMemory) (range: ByteRange) source =
        let zeros = Array.zeroCreate<byte>(int (min range.Length 4096L))
        let mutable at = 0L

        while at < range.Length do
            let length = int (min (int64 zeros.Length) (range.Length - at))
            memory.StoreNonTemporal(range.Offset + at, ReadOnlySpan(zeros, 0, length), source)
            at <- at + int64 length

        memory.Drain source

    /// The record, head and entries, where it is whole and has this number; null where not.
    static let recordOf (memory: IPersistentMemory) (range: ByteRange) number source : byte[] | null =
        let start = range.Offset + JournalRecord.Start

        // Read only as far as it makes sense: most of the time this is the only word.
        if readWord memory start source <> number then
            null
        else
            let payload = readWord memory (start + 8L) source

            let most =
                JournalRecord.placeOf range
                - JournalRecord.Start
                - int64 JournalRecord.HeadBytes

            if payload <= 0L || payload > most || not (Bounds.isWhole Atom.SizeBytes payload) then
                null
            else
                let record = Array.zeroCreate (JournalRecord.HeadBytes + int payload)
                memory.Read(start, Span record, source)
                let sum = BitConverter.ToInt64(record, 16)
                if JournalRecord.checksum (ReadOnlySpan record) = sum then record else null

    static let requireForMemory (memory: IPersistentMemory) (range: ByteRange) (target: ByteRange) =
        if not (target.IsWithin memory.Length) || target.Overlaps range then
            raise (
                InvalidDataException(
                    Words.say
                        [
                            "The journal at "
                            range.ToString()
                            " has a record that writes "
                            target.ToString()
                            ", and was not given it for this memory. Is the file shorter than it was?"
                        ]
                )
            )

    static let redo (memory: IPersistentMemory) (range: ByteRange) (record: byte[]) source =
        JournalRecord.forEach record (fun target _ -> requireForMemory memory range target)

        JournalRecord.forEach record (fun target at ->
            memory.Store(target.Offset, ReadOnlySpan(record, at, int target.Length), source)
            memory.Flush(target.Offset, target.Length, source))

        memory.Drain source

    /// Refuses a program before anything is written.
    let checkProgram (program: PersistProgram) payload =
        program.CheckWithin memory.Length

        for epoch in program.EpochArray do
            for write in epoch.WriteArray do
                if write.Range.Overlaps range then
                    raise (
                        ArgumentException(
                            Words.say
                                [
                                    write.ToString()
                                    " lies in the journal itself, which is "
                                    range.ToString()
                                    "."
                                ],
                            nameof program
                        )
                    )

        if JournalRecord.requiredBytes payload > JournalRecord.placeOf range then
            raise (
                ArgumentException(
                    Words.say
                        [
                            "The program needs a journal of "
                            Words.number (JournalRecord.requiredBytes payload)
                            " bytes, and this one has "
                            Words.number range.Length
                            ". Nothing was written."
                        ],
                    nameof program
                )
            )

    let planOf (epochs: PersistEpoch[]) =
        if epochs.Length = 1 then
            epochs[0].Plan
        else
            FlushPlan.Of(epochs |> Array.collect (fun epoch -> epoch.Plan.Ranges.ToArray()))

    let apply (program: PersistProgram) (caller: SourceLine) =
        for epoch in program.EpochArray do
            for write in epoch.WriteArray do
                let source = if write.Source.IsKnown then write.Source else caller
                memory.Store(write.Range.Offset, write.Bytes.Span, source)

        for lines in (planOf program.EpochArray).Ranges do
            memory.Flush(lines.Offset, min lines.Length (memory.Length - lines.Offset), caller)

        memory.Drain caller

    let commit (program: PersistProgram) payload source =
        let number = retired + 1L
        let lengthBytes = int (JournalRecord.requiredBytes payload)

        if buffer.Length < lengthBytes then
            buffer <- Array.zeroCreate lengthBytes

        let lengthBytes = JournalRecord.encode buffer number payload program
        isUnsure <- true
        memory.StoreNonTemporal(range.Offset + JournalRecord.Start, ReadOnlySpan(buffer, 0, lengthBytes), source)
        memory.Drain source
        apply program source
        retire memory range number source
        retired <- number
        isUnsure <- false

    /// The bytes of the memory that the journal takes.
    member _.Range = range

    /// <summary>Whether <c>Open</c> found a program that had been committed and not been completed, and completed it.</summary>
    member _.HasRecovered = hasRecovered

    /// <summary>The bytes that a journal must have for this program: 64, and a record of 24 bytes and, for each write, 16 bytes
    /// and its length rounded up to a multiple of 8, in whole lines.</summary>
    static member RequiredBytes(program: PersistProgram) =
        ArgumentNullException.ThrowIfNull(program, nameof program)
        JournalRecord.requiredBytes (max 8L (JournalRecord.payloadBytes program))

    /// <summary>Makes an empty journal in a range of whole cache lines. What was there is gone: the range is cleared.</summary>
    /// <remarks>A power failure leaves an empty journal, or what was there, or no journal: <c>Open</c> then says so.</remarks>
    /// <exception cref="T:System.ArgumentException">The range is not whole lines, or fewer than two.</exception>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The range does not lie in the memory.</exception>
    static member Format
        (
            memory: IPersistentMemory,
            range: ByteRange,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : Journal =
        check memory range
        let source = SourceLine(file, line)
        // The journal that was here goes before its parts do.
        storeWord memory range.Offset 0L source
        memory.Persist(range.Offset, Atom.SizeBytes, source)
        clear memory range source
        storeWord memory (range.Offset + lengthOffset) range.Length source
        memory.Persist(range.Offset, CacheLine.SizeBytes, source)
        storeWord memory range.Offset JournalRecord.Magic source
        memory.Persist(range.Offset, Atom.SizeBytes, source)
        Journal(memory, range, 0L, false)

    /// <summary>Opens a journal that <c>Format</c> made, and recovers: completes the program that a power failure cut off
    /// after it was committed.</summary>
    /// <exception cref="T:System.ArgumentException">The range is not whole lines, or fewer than two.</exception>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The range does not lie in the memory.</exception>
    /// <exception cref="T:System.IO.InvalidDataException">There is no journal, one of another length, or a record that was not
    /// made for this memory.</exception>
    static member Open
        (
            memory: IPersistentMemory,
            range: ByteRange,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : Journal =
        check memory range
        let source = SourceLine(file, line)

        if readWord memory range.Offset source <> JournalRecord.Magic then
            raise (
                InvalidDataException(Words.say [ "There is no journal at "; range.ToString(); ". Format makes one." ])
            )

        let length = readWord memory (range.Offset + lengthOffset) source

        if length <> range.Length then
            raise (
                InvalidDataException(
                    Words.say
                        [
                            "The journal at "
                            range.ToString()
                            " was made with "
                            Words.number length
                            " bytes."
                        ]
                )
            )

        let retired = readWord memory (range.Offset + retiredOffset) source

        match recordOf memory range (retired + 1L) source with
        | null -> Journal(memory, range, retired, false)
        | record ->
            redo memory range record source
            retire memory range (retired + 1L) source
            Journal(memory, range, retired + 1L, true)

    /// <summary>Runs a program on the journal's memory so that after a power failure all of its writes are there, or none.
    /// When this returns, they are durable.</summary>
    /// <remarks>Its epochs need no order of their own any more: three drains, whatever their number. A program that writes
    /// nothing does nothing.</remarks>
    /// <exception cref="T:System.ArgumentException">The program needs a larger journal, or writes into this one; nothing was
    /// written.</exception>
    /// <exception cref="T:System.ArgumentOutOfRangeException">A write does not lie in the memory; nothing was
    /// written.</exception>
    /// <exception cref="T:System.InvalidOperationException">A commit before this one failed in the memory. Open the journal
    /// again, which completes that commit or forgets it.</exception>
    member _.Commit
        (
            program: PersistProgram,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : unit =
        ArgumentNullException.ThrowIfNull(program, nameof program)

        if isUnsure then
            raise (
                InvalidOperationException(
                    "A commit of this journal failed, and may have been done in part. Open the journal again, which recovers."
                )
            )

        let payload = JournalRecord.payloadBytes program
        checkProgram program payload

        if payload > 0L then
            commit program payload (SourceLine(file, line))
