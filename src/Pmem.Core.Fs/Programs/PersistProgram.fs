namespace Pmem

open System
open System.Collections.Generic
open System.Runtime.CompilerServices
open System.Runtime.InteropServices

/// <summary>A persistent update as a value: epochs of writes, each made durable before the next begins.</summary>
/// <remarks>
/// Programs are a monoid: composition puts one after the other, and the empty program is its unit. Writes that no barrier
/// parts share an epoch, also across a seam; a barrier beside a barrier says nothing, and at an end it changes no epoch. A
/// power failure leaves all earlier epochs whole, and of the current one any part: within an epoch nothing is ordered and
/// nothing longer than an aligned 8-byte word is atomic. A program is immutable and can be run many times, on any memory
/// that is large enough. Building one of n writes takes time of n log n, in any order. Two programs are equal where they
/// write the same bytes in the same epochs and are closed at the same ends.
/// </remarks>
[<Sealed; AllowNullLiteral(false)>]
type PersistProgram internal (shape: ProgramShape) =
    static let empty = PersistProgram Nothing
    static let barrier = PersistProgram ProgramShape.Barrier

    // Worked out when first asked for; two threads that both do so get the same.
    let mutable form: ProgramForm | null = null

    let formOf () =
        match form with
        | null ->
            let found = ProgramWalk().Run shape
            form <- found
            found
        | found -> found

    static member internal Of(write: PersistWrite) = PersistProgram(Write write)

    /// The program that does nothing.
    static member Empty = empty

    static member internal OnlyBarrier = barrier

    /// <summary>The programs, one after the other.</summary>
    static member Concat(programs: IEnumerable<PersistProgram>) : PersistProgram =
        ArgumentNullException.ThrowIfNull(programs, nameof programs)
        Seq.fold (fun (first: PersistProgram) second -> first.Append second) empty programs

    member internal _.Shape = shape
    member internal _.Form = formOf ()
    member internal _.EpochArray = formOf().Epochs

    /// The epochs, in order. None is without writes.
    member program.Epochs: IReadOnlyList<PersistEpoch> =
        Array.AsReadOnly program.EpochArray

    /// The first byte after everything that is written, in bytes: what a memory must reach for the program to run on it.
    member program.EndOffset =
        let mutable last = 0L

        for epoch in program.EpochArray do
            for write in epoch.WriteArray do
                last <- max last write.Range.End

        last

    /// This program, then the other.
    member program.Append(other: PersistProgram) =
        ArgumentNullException.ThrowIfNull(other, nameof other)

        match shape, other.Shape with
        | Nothing, _ -> other
        | _, Nothing -> program
        | first, second -> PersistProgram(Then(first, second))

    /// <summary>The program with one write more, of a copy of these bytes.</summary>
    /// <remarks>The caller's file and line are filled in by the compiler; reports name them.</remarks>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The offset is negative, or the end over 2^63 - 1.</exception>
    member program.Write
        (
            offset: int64,
            bytes: ReadOnlySpan<byte>,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) =
        let range = ByteRange(offset, int64 bytes.Length)
        program.Append(PersistProgram.Of(PersistWrite(range, bytes.ToArray(), SourceLine(file, line))))

    /// <summary>The program with a write more, of a value as it lies in memory: little-endian, and never torn where it has 8
    /// bytes or fewer within one aligned word.</summary>
    /// <remarks>The caller's file and line are filled in by the compiler; reports name them.</remarks>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The offset is negative, or the end over 2^63 - 1.</exception>
    member program.Write<'T when 'T: unmanaged and 'T: struct and 'T: (new: unit -> 'T) and 'T :> ValueType>
        (
            offset: int64,
            value: 'T,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) =
        let mutable value = value
        program.Write(offset, Span.op_Implicit (Raw.bytesOf &value), file, line)

    /// Whatever follows begins after everything so far is durable.
    member program.Barrier() = program.Append barrier

    /// Refuses a memory that a write does not lie in, before anything is written.
    member internal program.CheckWithin(sizeBytes: int64) =
        for epoch in program.EpochArray do
            for write in epoch.WriteArray do
                if not (write.Range.IsWithin sizeBytes) then
                    raise (Words.noRange "The write" write.Range.Offset write.Range.Length sizeBytes)

    /// <summary>What memory becomes: a new array of the same length; the one given is left as it is.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">A write does not lie in the memory.</exception>
    member program.Run(memory: byte[]) =
        ArgumentNullException.ThrowIfNull(memory, nameof memory)
        program.CheckWithin(int64 memory.Length)
        let result = Array.copy memory

        for epoch in program.EpochArray do
            for write in epoch.WriteArray do
                write.Bytes.Span.CopyTo(result.AsSpan(int write.Range.Offset))

        result

    /// <summary>Runs the program on a memory: the stores, flushes and drain of each epoch in turn.</summary>
    /// <remarks>When it returns, everything is durable; nothing is rolled back when the memory throws. A store is told with the
    /// line of its write, and a flush or a drain, or a write without a line, with the caller's, which the compiler fills
    /// in.</remarks>
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
        let caller = SourceLine(file, line)

        for epoch in program.EpochArray do
            for write in epoch.WriteArray do
                let source = if write.Source.IsKnown then write.Source else caller
                memory.Store(write.Range.Offset, write.Bytes.Span, source)

            // Whole lines: the last one may reach over the end of the memory.
            for range in epoch.Plan.Ranges do
                memory.Flush(range.Offset, min range.Length (memory.Length - range.Offset), caller)

            memory.Drain caller

    override program.Equals other =
        match other with
        | :? PersistProgram as other ->
            let left, right = program.Form, other.Form

            left.IsClosedBefore = right.IsClosedBefore
            && left.IsClosedAfter = right.IsClosedAfter
            && left.Epochs.AsSpan().SequenceEqual(ReadOnlySpan right.Epochs)
        | _ -> false

    override program.GetHashCode() =
        let form = program.Form
        let mutable hash = HashCode()
        hash.Add form.IsClosedBefore
        hash.Add form.IsClosedAfter

        for epoch in form.Epochs do
            hash.Add epoch

        hash.ToHashCode()

    /// <summary>One line for each epoch, as in <c>1: write 0+8 = 72; flush 0+64; drain</c>, and one for a barrier at an
    /// end.</summary>
    override program.ToString() =
        let form = program.Form

        let line i (epoch: PersistEpoch) =
            String.Concat(Words.number (int64 i + 1L), ": ", epoch.ToString())

        let isClosedAfter = form.IsClosedAfter && form.Epochs.Length > 0

        let lines =
            [|
                if form.IsClosedBefore then
                    "barrier"
                yield! Array.mapi line form.Epochs
                if isClosedAfter then
                    "barrier"
            |]

        if lines.Length = 0 then "nothing" else String.Join("\n", lines)

    /// The first program, then the second.
    static member (+)(first: PersistProgram, second: PersistProgram) = first.Append second

    /// Whether both write the same bytes in the same epochs and are closed at the same ends.
    static member op_Equality(left: PersistProgram, right: PersistProgram) = Object.Equals(left, right)

    /// Whether the programs differ.
    static member op_Inequality(left: PersistProgram, right: PersistProgram) = not (Object.Equals(left, right))

    interface IEquatable<PersistProgram> with
        member program.Equals other = program.Equals(box other)

namespace Pmem.FSharp

open System
open Pmem

/// <summary>Persist programs, for pipelines.</summary>
/// <remarks>A write that is made here has no source line; in <c>persist { … }</c> it gets that of its statement.</remarks>
module PersistProgram =
    /// The program that does nothing.
    let empty = PersistProgram.Empty

    /// The program of one write: a copy of these bytes.
    let write (offset: int64) (bytes: byte[]) =
        ArgumentNullException.ThrowIfNull(bytes, nameof bytes)
        PersistProgram.Of(PersistWrite(offset, ReadOnlySpan bytes))

    /// The program of one write: a value as it lies in memory.
    let writeValue<'T when 'T: unmanaged and 'T: struct and 'T: (new: unit -> 'T) and 'T :> ValueType>
        (offset: int64)
        (value: 'T)
        =
        let mutable value = value
        PersistProgram.Of(PersistWrite(offset, Span.op_Implicit (Raw.bytesOf &value)))

    /// The program that writes nothing, and makes everything before it durable before anything after it is written.
    let barrier = PersistProgram.OnlyBarrier

    /// The first program, then the second; associative, and the empty program is its unit.
    let append (first: PersistProgram) (second: PersistProgram) = first.Append second

    /// The programs, one after the other.
    let concat (programs: PersistProgram seq) = PersistProgram.Concat programs

    /// The epochs, in order.
    let epochs (program: PersistProgram) = List.ofArray program.EpochArray

    /// What memory becomes; the array given is left as it is.
    let run (memory: byte[]) (program: PersistProgram) = program.Run memory
