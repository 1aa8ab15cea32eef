namespace Pmem

open System

/// <summary>
/// Memory that a data structure keeps its bytes in. A structure written against it runs unchanged on real memory
/// (<c>PmemMapping</c>), on memory that records what was done to it, and on memory that has just crashed.
/// </summary>
/// <remarks>
/// This is what a memory must do itself. Callers use the extensions of the same names, which fill in their file and line,
/// and the typed ones (<c>ReadInt64</c>, <c>Store&lt;T&gt;</c> …): <see cref="T:Pmem.PersistentMemoryExtensions"/>. Offsets are
/// in bytes and relative to the memory; a range that does not lie in it is an
/// <see cref="T:System.ArgumentOutOfRangeException"/>. A store is visible to reads at once and durable only after its
/// lines were flushed and a drain followed.
/// </remarks>
type IPersistentMemory =
    /// The length of the memory, in bytes.
    abstract Length: int64

    /// Reads as many bytes as the destination has.
    abstract Read: offset: int64 * destination: Span<byte> * source: SourceLine -> unit

    /// Stores bytes with ordinary stores. An aligned 8-byte word is never torn by a power failure; nothing longer is whole.
    abstract Store: offset: int64 * bytes: ReadOnlySpan<byte> * source: SourceLine -> unit

    /// Stores bytes past the cache: durable after the next drain, without a flush.
    abstract StoreNonTemporal: offset: int64 * bytes: ReadOnlySpan<byte> * source: SourceLine -> unit

    /// <summary>Stores a word where it holds the comparand, as one atomic step, and returns what it held before.</summary>
    /// <remarks>The offset is a multiple of 8. It is not durable before its line is flushed and drained.</remarks>
    abstract CompareExchange: offset: int64 * value: int64 * comparand: int64 * source: SourceLine -> int64

    /// Starts making the cache lines of a range durable.
    abstract Flush: offset: int64 * length: int64 * source: SourceLine -> unit

    /// Waits until everything flushed, or stored past the cache, is durable.
    abstract Drain: source: SourceLine -> unit

    /// Flushes a range, then drains.
    abstract Persist: offset: int64 * length: int64 * source: SourceLine -> unit

    /// Notes that a caller was promised the operation with this number. Real memory does nothing here.
    abstract Acknowledge: operation: int64 * source: SourceLine -> unit
