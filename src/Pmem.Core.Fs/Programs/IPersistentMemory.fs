namespace Pmem

open System
open System.Runtime.CompilerServices
open System.Runtime.InteropServices

/// <summary>
/// Memory that a data structure keeps its bytes in. A structure written against it runs unchanged on real memory
/// (<c>PmemMapping</c>), on memory that records what was done to it, and on memory that has just crashed.
/// </summary>
/// <remarks>
/// Offsets are in bytes and relative to the memory; a range that does not lie in it is an
/// <see cref="T:System.ArgumentOutOfRangeException"/>. A store is visible to reads at once and durable only after its
/// lines were flushed and a drain followed. The caller's file and line are filled in by the compiler; they are what a
/// report names.
/// </remarks>
type IPersistentMemory =
    /// The length of the memory, in bytes.
    abstract Length: int64

    /// Reads as many bytes as the destination has.
    abstract Read: offset: int64 * destination: Span<byte> -> unit

    /// Reads one byte.
    abstract ReadByte: offset: int64 -> byte

    /// Reads 4 bytes as a little-endian number.
    abstract ReadInt32: offset: int64 -> int32

    /// Reads 8 bytes as a little-endian number.
    abstract ReadInt64: offset: int64 -> int64

    /// Stores bytes with ordinary stores. Only an aligned 8-byte word is never torn by a power failure.
    abstract Store:
        offset: int64 *
        bytes: ReadOnlySpan<byte> *
        [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string *
        [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int ->
            unit

    /// Stores one byte.
    abstract StoreByte:
        offset: int64 *
        value: byte *
        [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string *
        [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int ->
            unit

    /// Stores 4 bytes as a little-endian number.
    abstract StoreInt32:
        offset: int64 *
        value: int32 *
        [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string *
        [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int ->
            unit

    /// Stores 8 bytes as a little-endian number: one word, never torn, where the offset is a multiple of 8.
    abstract StoreInt64:
        offset: int64 *
        value: int64 *
        [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string *
        [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int ->
            unit

    /// Stores bytes past the cache: durable after the next drain, without a flush.
    abstract StoreNonTemporal:
        offset: int64 *
        bytes: ReadOnlySpan<byte> *
        [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string *
        [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int ->
            unit

    /// Starts writing back the cache lines of a range.
    abstract Flush:
        offset: int64 *
        length: int64 *
        [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string *
        [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int ->
            unit

    /// Waits until everything flushed, or stored past the cache, is durable.
    abstract Drain:
        [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string *
        [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int ->
            unit

    /// Flushes a range, then drains.
    abstract Persist:
        offset: int64 *
        length: int64 *
        [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string *
        [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int ->
            unit

    /// Notes that a caller was promised the operation with this number. Real memory does nothing here.
    abstract Acknowledge:
        operation: int64 *
        [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string *
        [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int ->
            unit
