namespace Pmem

open System
open System.Collections.Generic

/// <summary>Bytes and where they go: a part of a <see cref="T:Pmem.PersistEpoch"/>.</summary>
[<Sealed; AllowNullLiteral(false)>]
type PersistWrite internal (range: ByteRange, bytes: byte[], source: SourceLine) =
    /// <summary>A write of a copy of these bytes at an offset, in bytes.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The offset is negative, or the end over 2^63 - 1.</exception>
    new(offset: int64, bytes: ReadOnlySpan<byte>) =
        PersistWrite(ByteRange(offset, int64 bytes.Length), bytes.ToArray(), SourceLine.Unknown)

    /// The bytes of the memory that are written.
    member _.Range = range

    /// What is written.
    member _.Bytes = ReadOnlyMemory<byte> bytes

    /// The line that it was written on in its program, for reports. It is no part of the value: equal writes may differ in it.
    member _.Source = source

    /// The same write, from this line.
    member internal _.From(source: SourceLine) = PersistWrite(range, bytes, source)

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

    /// Whether both are the same value.
    static member op_Equality(left: PersistWrite, right: PersistWrite) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: PersistWrite, right: PersistWrite) = not (Object.Equals(left, right))

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

    /// Whether both are the same value.
    static member op_Equality(left: PersistEpoch, right: PersistEpoch) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: PersistEpoch, right: PersistEpoch) = not (Object.Equals(left, right))
