namespace Pmem

open System
open System.Runtime.CompilerServices
open System.Runtime.InteropServices

/// The only bounds arithmetic of the library. No sum is formed before it is known to fit: a length is compared with
/// `size - offset`, never an end with a size.
module internal Bounds =
    // Apart from the checks, so that the checks are small enough to be inlined.
    [<MethodImpl(MethodImplOptions.NoInlining)>]
    let private refuse (parameter: string) (why: string) =
        // Without the value as an object: .NET would write it with the minus sign of a culture.
        raise (ArgumentOutOfRangeException(parameter, why))

    [<MethodImpl(MethodImplOptions.NoInlining)>]
    let private refuseOffset (offset: int64) =
        refuse "offset" (Words.say [ "An offset in a mapping is 0 or more bytes, not "; Words.number offset; "." ])

    let checkOffset (offset: int64) =
        if offset < 0L then
            refuseOffset offset

        offset

    let checkLength (offset: int64) (length: int64) =
        if length < 0L then
            refuse "length" "A length is 0 or more bytes."

        if length > Int64.MaxValue - offset then
            refuse "length" "offset + length is more than 2^63 - 1 bytes."

        length

    let isWithin (size: int64) (offset: int64) (length: int64) =
        offset >= 0L && length >= 0L && offset <= size && length <= size - offset

    /// The same for a size that is 0 or more, with one comparison each: a negative number is a huge unsigned one.
    let isInside (size: int64) (offset: int64) (length: int64) =
        uint64 offset <= uint64 size && uint64 length <= uint64 (size - offset)

    /// Whether an offset or a length, 0 or more, is a whole number of units.
    let isWhole (unitBytes: int64) (bytes: int64) = bytes >= 0L && bytes % unitBytes = 0L

    let alignDown (unitBytes: int64) (offset: int64) = offset - offset % unitBytes

    /// Clipped to 2^63 - 1, which no mapping can reach.
    let alignUp (unitBytes: int64) (offset: int64) =
        let over = offset % unitBytes

        if over = 0L then offset
        elif offset > Int64.MaxValue - (unitBytes - over) then Int64.MaxValue
        else offset + (unitBytes - over)

    /// The number of the unit that a byte lies in.
    let unitOf (unitBytes: int64) (offset: int64) = offset / unitBytes

    /// Where in its unit a byte lies.
    let offsetInUnit (unitBytes: int64) (offset: int64) = offset % unitBytes

/// <summary>The bytes <c>[Offset, Offset + Length)</c> of a mapping. Offsets are relative to the mapping.</summary>
/// <remarks>Always valid: both are 0 or more, and their sum is at most 2^63 - 1.</remarks>
[<Struct>]
type ByteRange =
    /// The first byte, relative to the mapping.
    val Offset: int64

    /// The number of bytes.
    val Length: int64

    /// <summary>The bytes <c>[offset, offset + length)</c>.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">One is negative, or the sum is over 2^63 - 1.</exception>
    new(offset: int64, length: int64) =
        {
            Offset = Bounds.checkOffset offset
            Length = Bounds.checkLength offset length
        }

    /// The first byte after the range.
    member range.End = range.Offset + range.Length

    /// Whether the range has no bytes.
    member range.IsEmpty = range.Length = 0L

    /// Whether the range lies in a mapping (a file, a buffer) of this many bytes.
    member range.IsWithin(sizeBytes: int64) =
        Bounds.isWithin sizeBytes range.Offset range.Length

    /// Whether every byte of the other range is in this one. An empty range is in every range.
    member range.Contains(other: ByteRange) =
        other.IsEmpty || (range.Offset <= other.Offset && other.End <= range.End)

    /// Whether the two ranges share a byte.
    member range.Overlaps(other: ByteRange) =
        not range.IsEmpty
        && not other.IsEmpty
        && range.Offset < other.End
        && other.Offset < range.End

    /// The bytes that both ranges have; an empty range where they share none.
    member range.Intersect(other: ByteRange) =
        let first = max range.Offset other.Offset
        let last = min range.End other.End
        ByteRange(first, max 0L (last - first))

    /// <summary>The smallest range of whole units (cache lines, pages) that contains this one.</summary>
    /// <remarks>An empty range stays empty. The end is clipped to 2^63 - 1, which no mapping can reach.</remarks>
    member range.AlignOut(unitBytes: int64) =
        if unitBytes <= 0L then
            raise (ArgumentOutOfRangeException("unitBytes", "A unit is 1 or more bytes."))

        let first = Bounds.alignDown unitBytes range.Offset

        if range.IsEmpty then
            ByteRange(first, 0L)
        else
            ByteRange(first, Bounds.alignUp unitBytes range.End - first)

    /// <summary><c>offset+length</c>, in bytes.</summary>
    override range.ToString() =
        Words.say [ Words.number range.Offset; "+"; Words.number range.Length ]

    /// Whether both have the same offset and length.
    static member op_Equality(left: ByteRange, right: ByteRange) =
        left.Offset = right.Offset && left.Length = right.Length

    /// Whether offset or length differ.
    static member op_Inequality(left: ByteRange, right: ByteRange) =
        left.Offset <> right.Offset || left.Length <> right.Length

/// The cache line: the unit of a write-back, and what flush plans are made of.
module CacheLine =
    /// <summary>64 bytes.</summary>
    /// <remarks>The line of every x86-64 processor (CPUID.1:EBX[15:8] × 8). Where the machine's own line is larger
    /// (Arm64, CTR_EL0.DminLine), the lowering rounds out to it.</remarks>
    [<Literal>]
    let SizeBytes = 64L

    /// The number of the line that a byte lies in.
    let indexOf (offset: int64) = offset / SizeBytes

    /// The whole lines that a range touches.
    let cover (range: ByteRange) =
        // As AlignOut, by masks: plans are built from this, and a division costs more than all the rest.
        let first = range.Offset &&& ~~~(SizeBytes - 1L)

        if range.IsEmpty then
            ByteRange(first, 0L)
        elif range.End > Int64.MaxValue - (SizeBytes - 1L) then
            ByteRange(first, Int64.MaxValue - first)
        else
            ByteRange(first, ((range.End + (SizeBytes - 1L)) &&& ~~~(SizeBytes - 1L)) - first)

    /// The number of lines that a range touches.
    let countOf (range: ByteRange) =
        if range.IsEmpty then
            0L
        else
            indexOf (range.End - 1L) - indexOf range.Offset + 1L

/// The aligned 8-byte word: the power-fail atomic unit, never torn.
module Atom =
    /// <summary>8 bytes.</summary>
    /// <remarks>Intel SDM vol. 3A, 9.1.1: an aligned quadword store is atomic. SNIA NVM Programming Model 1.2,
    /// 10.1.1: the unit of power-fail atomicity is the aligned fundamental data type of the processor.</remarks>
    [<Literal>]
    let SizeBytes = 8L

namespace Pmem.FSharp

open System
open Pmem

/// Byte ranges, for pipelines.
module ByteRange =
    /// <summary>The bytes <c>[offset, offset + length)</c>.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">One is negative, or the sum is over 2^63 - 1.</exception>
    let create (offset: int64) (length: int64) = ByteRange(offset, length)

    /// The range, or nothing where the constructor would refuse it.
    let tryCreate (offset: int64) (length: int64) =
        if Bounds.isWithin Int64.MaxValue offset length then
            ValueSome(ByteRange(offset, length))
        else
            ValueNone

    /// Whether the range has no bytes.
    let isEmpty (range: ByteRange) = range.IsEmpty

    /// Whether the range lies in a mapping of this many bytes.
    let isWithin (sizeBytes: int64) (range: ByteRange) = range.IsWithin sizeBytes

    /// Whether every byte of the inner range is in the outer one.
    let contains (inner: ByteRange) (outer: ByteRange) = outer.Contains inner

    /// Whether the two ranges share a byte.
    let overlaps (left: ByteRange) (right: ByteRange) = left.Overlaps right

    /// The bytes that both ranges have.
    let intersect (left: ByteRange) (right: ByteRange) = left.Intersect right

    /// The smallest range of whole units that contains this one.
    let alignOut (unitBytes: int64) (range: ByteRange) = range.AlignOut unitBytes
