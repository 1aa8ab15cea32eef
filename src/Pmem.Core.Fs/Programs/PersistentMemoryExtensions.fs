namespace Pmem

open System
open System.Runtime.CompilerServices
open System.Runtime.InteropServices

/// A value as it lies in memory.
module internal Raw =
    /// The bytes of a value on the heap or the stack of a caller that waits.
    let inline bytesOf<'T when 'T: unmanaged and 'T: struct and 'T: (new: unit -> 'T) and 'T :> ValueType>
        (value: byref<'T>)
        =
        MemoryMarshal.AsBytes(MemoryMarshal.CreateSpan(&value, 1))

/// Whether the bytes of a block are valid. It depends on nothing else.
type BlockValidator = delegate of bytes: ReadOnlySpan<byte> -> bool

/// A memory that treats the states of a torn block together.
type internal IValidatedReads =
    abstract ReadValidated:
        offset: int64 * destination: Span<byte> * isValid: BlockValidator * source: SourceLine -> bool

/// <summary>What every <see cref="T:Pmem.IPersistentMemory"/> can do: its own members with the caller's file and line, which
/// the compiler fills in, and typed access.</summary>
/// <remarks>Values are stored as they lie in memory: little-endian on every machine that this library knows. A range that
/// does not lie in the memory is an <see cref="T:System.ArgumentOutOfRangeException"/>.</remarks>
[<AbstractClass; Sealed; Extension>]
type PersistentMemoryExtensions =
    /// Reads as many bytes as the destination has.
    [<Extension>]
    static member Read
        (
            memory: IPersistentMemory,
            offset: int64,
            destination: Span<byte>,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : unit =
        memory.Read(offset, destination, SourceLine(file, line))

    /// Reads a value as it lies in memory, at any alignment.
    [<Extension>]
    static member Read<'T when 'T: unmanaged and 'T: struct and 'T: (new: unit -> 'T) and 'T :> ValueType>
        (
            memory: IPersistentMemory,
            offset: int64,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : 'T =
        let mutable value = Unchecked.defaultof<'T>
        memory.Read(offset, Raw.bytesOf &value, SourceLine(file, line))
        value

    /// Reads one byte.
    [<Extension>]
    static member ReadByte
        (
            memory: IPersistentMemory,
            offset: int64,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : byte =
        PersistentMemoryExtensions.Read<byte>(memory, offset, file, line)

    /// Reads 4 bytes as a little-endian number.
    [<Extension>]
    static member ReadInt32
        (
            memory: IPersistentMemory,
            offset: int64,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : int32 =
        PersistentMemoryExtensions.Read<int32>(memory, offset, file, line)

    /// Reads 8 bytes as a little-endian number.
    [<Extension>]
    static member ReadInt64
        (
            memory: IPersistentMemory,
            offset: int64,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : int64 =
        PersistentMemoryExtensions.Read<int64>(memory, offset, file, line)

    /// Reads this many bytes into a new array.
    [<Extension>]
    static member ReadBytes
        (
            memory: IPersistentMemory,
            offset: int64,
            lengthBytes: int,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : byte[] =
        // A length that no memory has is refused by the memory, in its words.
        if int64 lengthBytes > memory.Length || lengthBytes < 0 then
            raise (Words.noRange "The read" offset (int64 lengthBytes) memory.Length)

        let bytes = Array.zeroCreate lengthBytes
        memory.Read(offset, Span bytes, SourceLine(file, line))
        bytes

    /// <summary>Reads as many bytes as the destination has, and says whether they are a valid block: one whose checksum is
    /// right, for instance.</summary>
    /// <remarks>On crashed memory the validator alone is tried on the states of a torn block, thousands of them, and recovery
    /// is run once for the whole block, once for an invalid one, and once for each torn one that the validator accepts. So
    /// it must depend on nothing but the bytes that it is given, and recovery must not look at a block that is not valid:
    /// the verdict says that it was taken for granted.</remarks>
    [<Extension>]
    static member ReadValidated
        (
            memory: IPersistentMemory,
            offset: int64,
            bytes: Span<byte>,
            isValid: BlockValidator,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : bool =
        ArgumentNullException.ThrowIfNull(isValid, nameof isValid)
        let source = SourceLine(file, line)

        match memory with
        | :? IValidatedReads as memory -> memory.ReadValidated(offset, bytes, isValid, source)
        | _ ->
            memory.Read(offset, bytes, source)
            isValid.Invoke(Span.op_Implicit bytes)

    /// Stores bytes with ordinary stores. Only an aligned 8-byte word is never torn.
    [<Extension>]
    static member Store
        (
            memory: IPersistentMemory,
            offset: int64,
            bytes: ReadOnlySpan<byte>,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : unit =
        memory.Store(offset, bytes, SourceLine(file, line))

    /// Stores a value as it lies in memory. Only an aligned 8-byte word of it is never torn.
    [<Extension>]
    static member Store<'T when 'T: unmanaged and 'T: struct and 'T: (new: unit -> 'T) and 'T :> ValueType>
        (
            memory: IPersistentMemory,
            offset: int64,
            value: 'T,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : unit =
        let mutable value = value
        memory.Store(offset, Span.op_Implicit (Raw.bytesOf &value), SourceLine(file, line))

    /// Stores one byte.
    [<Extension>]
    static member StoreByte
        (
            memory: IPersistentMemory,
            offset: int64,
            value: byte,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : unit =
        PersistentMemoryExtensions.Store<byte>(memory, offset, value, file, line)

    /// Stores 4 bytes as a little-endian number.
    [<Extension>]
    static member StoreInt32
        (
            memory: IPersistentMemory,
            offset: int64,
            value: int32,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : unit =
        PersistentMemoryExtensions.Store<int32>(memory, offset, value, file, line)

    /// Stores 8 bytes as a little-endian number: one word, never torn, where the offset is a multiple of 8.
    [<Extension>]
    static member StoreInt64
        (
            memory: IPersistentMemory,
            offset: int64,
            value: int64,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : unit =
        PersistentMemoryExtensions.Store<int64>(memory, offset, value, file, line)

    /// Stores bytes past the cache: durable after the next drain, without a flush.
    [<Extension>]
    static member StoreNonTemporal
        (
            memory: IPersistentMemory,
            offset: int64,
            bytes: ReadOnlySpan<byte>,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : unit =
        memory.StoreNonTemporal(offset, bytes, SourceLine(file, line))

    /// Stores a word where it holds the comparand, as one atomic step, and returns what it held before.
    [<Extension>]
    static member CompareExchange
        (
            memory: IPersistentMemory,
            offset: int64,
            value: int64,
            comparand: int64,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : int64 =
        memory.CompareExchange(offset, value, comparand, SourceLine(file, line))

    /// Starts making the cache lines of a range durable. An empty range does nothing.
    [<Extension>]
    static member Flush
        (
            memory: IPersistentMemory,
            offset: int64,
            length: int64,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : unit =
        memory.Flush(offset, length, SourceLine(file, line))

    /// Waits until everything flushed, or stored past the cache, is durable.
    [<Extension>]
    static member Drain
        (
            memory: IPersistentMemory,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : unit =
        memory.Drain(SourceLine(file, line))

    /// Flushes a range, then drains.
    [<Extension>]
    static member Persist
        (
            memory: IPersistentMemory,
            offset: int64,
            length: int64,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : unit =
        memory.Persist(offset, length, SourceLine(file, line))

    /// Notes that a caller was promised the operation with this number.
    [<Extension>]
    static member Acknowledge
        (
            memory: IPersistentMemory,
            operation: int64,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) : unit =
        memory.Acknowledge(operation, SourceLine(file, line))
