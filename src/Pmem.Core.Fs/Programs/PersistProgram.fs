namespace Pmem

open System
open System.Buffers.Binary
open System.Collections.Generic
open System.Globalization
open System.Runtime.CompilerServices
open System.Runtime.InteropServices
open System.Text

/// <summary>Bytes and where they go: a part of a <see cref="T:Pmem.PersistEpoch"/>.</summary>
[<Sealed; AllowNullLiteral(false)>]
type PersistWrite internal (range: ByteRange, bytes: byte[]) =
    /// <summary>A write of a copy of these bytes at an offset, both in bytes.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The offset is negative, or the end over 2^63 - 1.</exception>
    new(offset: int64, bytes: ReadOnlySpan<byte>) = PersistWrite(ByteRange(offset, int64 bytes.Length), bytes.ToArray())

    /// The bytes of the memory that are written.
    member _.Range = range

    /// What is written.
    member _.Bytes = ReadOnlyMemory<byte> bytes

    override _.Equals other =
        match other with
        | :? PersistWrite as other -> range = other.Range && ReadOnlySpan(bytes).SequenceEqual other.Bytes.Span
        | _ -> false

    override _.GetHashCode() =
        let mutable hash = HashCode()
        hash.Add range
        hash.AddBytes(ReadOnlySpan bytes)
        hash.ToHashCode()

    /// <summary>As in <c>write 0+8 = 72</c>.</summary>
    override _.ToString() =
        String.Concat("write ", range.ToString(), " = ", Words.bytes (ReadOnlySpan bytes))

/// <summary>Writes that need no order between them, and the plan that makes all of them durable.</summary>
/// <remarks>The plan flushes every cache line that a write touches, no other, and ends in the drain. Where writes of an
/// epoch overlap, the later one wins.</remarks>
[<Sealed; AllowNullLiteral(false)>]
type PersistEpoch internal (writes: PersistWrite[]) =
    let plan =
        FlushPlan.Of(writes |> Array.map (fun (write: PersistWrite) -> write.Range))

    /// The writes, in the order in which they were given.
    member _.Writes: IReadOnlyList<PersistWrite> = Array.AsReadOnly writes

    /// What makes them durable.
    member _.Plan = plan

    /// These writes and one more.
    member internal _.With(write: PersistWrite) =
        PersistEpoch(Array.append writes [| write |])

    member internal _.WriteArray = writes

    override _.Equals other =
        match other with
        | :? PersistEpoch as other -> writes.AsSpan().SequenceEqual(ReadOnlySpan other.WriteArray)
        | _ -> false

    override _.GetHashCode() =
        let mutable hash = HashCode()

        for write in writes do
            hash.Add write

        hash.ToHashCode()

    /// <summary>As in <c>write 0+8 = 72; flush 0+64; drain</c>.</summary>
    override _.ToString() =
        let parts = Array.map string<PersistWrite> writes
        String.Join("; ", Array.append parts [| plan.ToString() |])

/// <summary>A persistent update as a value: epochs of writes, each made durable before the next begins.</summary>
/// <remarks>
/// A power failure leaves all earlier epochs whole, and of the current one any part: within an epoch nothing is ordered
/// and nothing longer than an aligned 8-byte word is atomic. A program is immutable and can be run many times, on any
/// memory that is large enough.
/// </remarks>
[<Sealed; AllowNullLiteral(false)>]
type PersistProgram private (epochs: PersistEpoch[], isOpen: bool) =
    static let empty = PersistProgram([||], false)

    /// The program that does nothing.
    static member Empty = empty

    /// The epochs, in order. None is without writes.
    member _.Epochs: IReadOnlyList<PersistEpoch> = Array.AsReadOnly epochs

    member internal _.EpochArray = epochs

    /// Whether the next write joins the last epoch.
    member internal _.IsOpen = isOpen

    /// The first byte after everything that is written, in bytes: what a memory must reach for the program to run on it.
    member _.EndOffset =
        let mutable last = 0L

        for epoch in epochs do
            for write in epoch.WriteArray do
                last <- max last write.Range.End

        last

    member private _.Add(write: PersistWrite) =
        if isOpen then
            let last = epochs[epochs.Length - 1].With write
            PersistProgram(Array.append (Array.sub epochs 0 (epochs.Length - 1)) [| last |], true)
        else
            PersistProgram(Array.append epochs [| PersistEpoch [| write |] |], true)

    /// <summary>The program with one write more, in the last epoch unless a barrier has closed it.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The offset is negative, or the end over 2^63 - 1.</exception>
    member program.Write(offset: int64, bytes: ReadOnlySpan<byte>) =
        program.Add(PersistWrite(offset, bytes))

    /// <summary>The program with a write of one byte more.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The offset is negative.</exception>
    member program.Write(offset: int64, value: byte) =
        program.Add(PersistWrite(ByteRange(offset, 1L), [| value |]))

    /// <summary>The program with a write of 4 little-endian bytes more.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The offset is negative.</exception>
    member program.Write(offset: int64, value: int32) =
        let bytes = Array.zeroCreate 4
        BinaryPrimitives.WriteInt32LittleEndian(Span bytes, value)
        program.Add(PersistWrite(ByteRange(offset, 4L), bytes))

    /// <summary>The program with a write of 8 little-endian bytes more: never torn where the offset is a multiple of
    /// 8.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The offset is negative.</exception>
    member program.Write(offset: int64, value: int64) =
        let bytes = Array.zeroCreate 8
        BinaryPrimitives.WriteInt64LittleEndian(Span bytes, value)
        program.Add(PersistWrite(ByteRange(offset, 8L), bytes))

    /// Closes the last epoch: whatever is written next begins after everything so far is durable.
    member _.Barrier() = PersistProgram(epochs, false)

    /// This program, then the other: no epoch of one is joined with an epoch of the other.
    member program.Append(other: PersistProgram) =
        if other.EpochArray.Length = 0 then program
        elif epochs.Length = 0 then other
        else PersistProgram(Array.append epochs other.EpochArray, other.IsOpen)

    /// Refuses a memory that a write does not lie in, before anything is written.
    member internal _.CheckWithin(sizeBytes: int64) =
        for epoch in epochs do
            for write in epoch.WriteArray do
                if not (write.Range.IsWithin sizeBytes) then
                    raise (Words.noRange "The write" write.Range.Offset write.Range.Length sizeBytes)

    /// <summary>What memory becomes: a new array of the same length; the one given is left as it is.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">A write does not lie in the memory.</exception>
    member program.Run(memory: byte[]) =
        ArgumentNullException.ThrowIfNull(memory, nameof memory)
        program.CheckWithin(int64 memory.Length)
        let result = Array.copy memory

        for epoch in epochs do
            for write in epoch.WriteArray do
                write.Bytes.Span.CopyTo(result.AsSpan(int write.Range.Offset))

        result

    /// <summary>Runs the program on a memory: the stores, flushes and drain of each epoch in turn.</summary>
    /// <remarks>When it returns, everything is durable; nothing is rolled back when the memory throws. The caller's file and
    /// line are filled in by the compiler.</remarks>
    /// <exception cref="T:System.ArgumentOutOfRangeException">A write does not lie in the memory; nothing was
    /// written.</exception>
    member program.RunOn
        (
            memory: IPersistentMemory,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) =
        ArgumentNullException.ThrowIfNull(memory, nameof memory)
        program.CheckWithin memory.Length
        let source = SourceLine(file, line)

        for epoch in epochs do
            for write in epoch.WriteArray do
                memory.Store(write.Range.Offset, write.Bytes.Span, source)

            // Whole lines: the last one may reach over the end of the memory.
            for range in epoch.Plan.Ranges do
                memory.Flush(range.Offset, min range.Length (memory.Length - range.Offset), source)

            memory.Drain source

    override _.Equals other =
        match other with
        | :? PersistProgram as other ->
            isOpen = other.IsOpen
            && epochs.AsSpan().SequenceEqual(ReadOnlySpan other.EpochArray)
        | _ -> false

    override _.GetHashCode() =
        let mutable hash = HashCode()
        hash.Add isOpen

        for epoch in epochs do
            hash.Add epoch

        hash.ToHashCode()

    /// <summary>One line for each epoch, as in <c>1: write 0+8 = 72; flush 0+64; drain</c>.</summary>
    override _.ToString() =
        let line i (epoch: PersistEpoch) =
            String.Concat(Words.number (int64 i + 1L), ": ", epoch.ToString())

        if epochs.Length = 0 then
            "nothing"
        else
            String.Join("\n", Array.mapi line epochs)

    interface IEquatable<PersistProgram> with
        member program.Equals other = program.Equals(box other)

/// Persist programs, for pipelines.
module PersistProgram =
    /// The program that does nothing.
    let empty = PersistProgram.Empty

    /// The program with one write more, in the last epoch unless a barrier has closed it.
    let write (offset: int64) (bytes: byte[]) (program: PersistProgram) =
        ArgumentNullException.ThrowIfNull(bytes, nameof bytes)
        program.Write(offset, ReadOnlySpan bytes)

    /// The program with its last epoch closed.
    let barrier (program: PersistProgram) = program.Barrier()

    /// The first program, then the second; associative, and the empty program is its unit.
    let append (first: PersistProgram) (second: PersistProgram) = first.Append second

    /// The programs, one after the other.
    let concat (programs: PersistProgram seq) = Seq.fold append empty programs

    /// The epochs, in order.
    let epochs (program: PersistProgram) = List.ofArray program.EpochArray

    /// What memory becomes; the array given is left as it is.
    let run (memory: byte[]) (program: PersistProgram) = program.Run memory

    /// Runs the program on a memory; when it returns, everything is durable. A trace has no source lines for it.
    let runOn (memory: IPersistentMemory) (program: PersistProgram) = program.RunOn(memory, "", 0)

/// <summary>Builds a <see cref="T:Pmem.PersistProgram"/> in <c>persist { … }</c>.</summary>
[<Sealed>]
type PersistBuilder() =
    /// Where a program begins.
    member _.Yield(_: unit) = PersistProgram.Empty

    /// Writes bytes at an offset.
    [<CustomOperation "write">]
    member _.Write(program: PersistProgram, offset: int64, bytes: byte[]) =
        PersistProgram.write offset bytes program

    /// Writes one byte at an offset.
    [<CustomOperation "writeByte">]
    member _.WriteByte(program: PersistProgram, offset: int64, value: byte) = program.Write(offset, value)

    /// Writes 4 little-endian bytes at an offset.
    [<CustomOperation "writeInt32">]
    member _.WriteInt32(program: PersistProgram, offset: int64, value: int32) = program.Write(offset, value)

    /// Writes 8 little-endian bytes at an offset.
    [<CustomOperation "writeInt64">]
    member _.WriteInt64(program: PersistProgram, offset: int64, value: int64) = program.Write(offset, value)

    /// Makes everything so far durable before anything that follows.
    [<CustomOperation "barrier">]
    member _.Barrier(program: PersistProgram) = program.Barrier()

    /// Continues with the epochs of another program.
    [<CustomOperation "append">]
    member _.Append(program: PersistProgram, other: PersistProgram) = program.Append other

/// <summary>The <c>persist { … }</c> expression.</summary>
[<AutoOpen>]
module PersistSyntax =
    /// <summary>A persistent update: <c>persist { write 64L bytes; barrier; writeInt64 0L 72L }</c>.</summary>
    let persist = PersistBuilder()
