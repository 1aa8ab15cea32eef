namespace Pmem

open System
open System.Buffers.Binary
open System.Collections.Generic
open System.Runtime.CompilerServices
open System.Runtime.InteropServices

/// The bytes behind a simulated memory: what a read sees, stores included that are not durable.
[<AbstractClass>]
type internal Backing() =
    abstract Read: offset: int64 * destination: Span<byte> -> unit
    abstract Write: offset: int64 * bytes: ReadOnlySpan<byte> -> unit

    /// A flush, a drain or a promise was called for; it may leave no event.
    abstract Called: call: PersistEvent -> unit
    default _.Called _ = ()

    /// An event is about to be recorded.
    abstract Recording: unit -> unit
    default _.Recording() = ()

[<Sealed>]
type internal ArrayBacking(bytes: byte[]) =
    inherit Backing()

    override _.Read(offset, destination) =
        bytes.AsSpan(int offset, destination.Length).CopyTo destination

    override _.Write(offset, source) =
        source.CopyTo(bytes.AsSpan(int offset, source.Length))

/// What msync of whole pages has still to do, where flushes and drains are told of lines.
[<Sealed>]
type internal PageSync() =
    /// Stored to, at all or past the cache, and not synced since.
    let dirty = HashSet<int64>()

    let undrained = HashSet<int64>()

    /// Stored to, not past the cache, and not flushed since, though their page may have been synced for another line.
    let unflushed = HashSet<int64>()

    let units (unitBytes: int64) (range: ByteRange) =
        if range.IsEmpty then
            Seq.empty
        else
            seq { range.Offset / unitBytes .. (range.End - 1L) / unitBytes }

    /// Takes the units of a range out of a set, and says whether one was in it. The range may be far longer than the set.
    let remove unitBytes (range: ByteRange) (set: HashSet<int64>) =
        if range.Length / unitBytes < int64 set.Count then
            let mutable wasIn = false

            for unit in units unitBytes range do
                if set.Remove unit then
                    wasIn <- true

            wasIn
        else
            set.RemoveWhere(fun unit -> ByteRange(unit * unitBytes, unitBytes).Overlaps(range.AlignOut unitBytes)) > 0

    member _.Store(range: ByteRange, isNonTemporal) =
        for page in units Model.PageBytes range do
            dirty.Add page |> ignore

            if isNonTemporal then
                undrained.Add page |> ignore

        if not isNonTemporal then
            unflushed.UnionWith(units CacheLine.SizeBytes range)

    /// Whether the pages of a range must be synced for it to be flushed. They need not be where all that was stored to its
    /// lines went with another line of their page; where nothing was stored, the flush is executed as it was written.
    member _.Flush(range: ByteRange) =
        let isDirty = remove Model.PageBytes range dirty
        remove Model.PageBytes range undrained |> ignore
        let wasStoredTo = remove CacheLine.SizeBytes range unflushed
        isDirty || not wasStoredTo

    /// The pages that a drain must sync, neighbours merged.
    member _.Drain() =
        let pages = Seq.toArray undrained
        dirty.ExceptWith pages
        undrained.Clear()

        FlushPlan
            .Of(
                pages
                |> Array.map (fun page -> ByteRange(page * Model.PageBytes, Model.PageBytes))
            )
            .Ranges.ToArray()

/// <summary>Memory that is simulated: it keeps what it was told, as a trace.</summary>
/// <remarks>
/// Its flushes and drains are what the library executes on real memory: CLWB and a fence or, under
/// <c>PersistencyModel.PageCache</c>, msync of the pages, once for all lines of a page that were stored to; there a
/// drain also syncs the pages that were stored past the cache and not synced since. Not safe for use by two threads at once.
/// </remarks>
[<AbstractClass; AllowNullLiteral(false)>]
type SimulatedMemory internal (lengthBytes: int64, model: PersistencyModel, backing: Backing) =
    let trace = List<RecordedEvent>()
    let pages = PageSync()

    let check (what: string) offset length =
        if not (Bounds.isWithin lengthBytes offset length) then
            if offset < 0L || length < 0L || length > Int64.MaxValue - offset then
                raise (
                    ArgumentOutOfRangeException(
                        nameof offset,
                        String.Concat(
                            [|
                                what
                                " of "
                                Words.number length
                                " bytes at offset "
                                Words.number offset
                                " is no range of a memory of "
                                Words.number lengthBytes
                                " bytes."
                            |]
                        )
                    )
                )

            raise (Words.outside what (ByteRange(offset, length)) lengthBytes)

    let add event file line =
        backing.Recording()
        trace.Add(RecordedEvent(event, file, line))

    let sync (range: ByteRange) file line =
        add (Execute(SyncPages(range.AlignOut Model.PageBytes))) file line

    let store offset (bytes: ReadOnlySpan<byte>) isNonTemporal file line =
        check "The store" offset (int64 bytes.Length)
        let copy = bytes.ToArray()
        add (if isNonTemporal then StoreNonTemporal(offset, copy) else Store(offset, copy)) file line
        backing.Write(offset, ReadOnlySpan copy)

        if not (Model.hasLines model) then
            pages.Store(ByteRange(offset, int64 copy.Length), isNonTemporal)

    let flush offset length file line =
        check "The flush" offset length
        let range = ByteRange(offset, length)
        let writeBack = Execute(WriteBack(Clwb, CacheLine.cover range))
        backing.Called writeBack

        if range.IsEmpty then
            ()
        elif Model.hasLines model then
            add writeBack file line
        elif pages.Flush range then
            sync range file line

    let drain file line =
        backing.Called(Execute Fence)

        if Model.hasLines model then
            add (Execute Fence) file line
        else
            for range in pages.Drain() do
                sync range file line

    let acknowledge operation file line =
        backing.Called(Acknowledge operation)
        add (Acknowledge operation) file line

    let read offset (destination: Span<byte>) =
        check "The read" offset (int64 destination.Length)
        backing.Read(offset, destination)

    /// What was recorded so far, in program order.
    member _.Trace: IReadOnlyList<RecordedEvent> = trace

    /// The length of the memory, in bytes.
    member _.Length = lengthBytes

    /// What is guaranteed about durability.
    member _.Model = model

    /// <summary>Reads as many bytes as the destination has.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The range does not lie in the memory.</exception>
    member _.Read(offset: int64, destination: Span<byte>) = read offset destination

    /// <summary>Reads this many bytes into a new array.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The range does not lie in the memory.</exception>
    member _.ReadBytes(offset: int64, lengthBytes: int) =
        check "The read" offset (int64 lengthBytes)
        let bytes = Array.zeroCreate lengthBytes
        read offset (Span bytes)
        bytes

    /// <summary>Reads one byte.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The byte does not lie in the memory.</exception>
    member _.ReadByte(offset: int64) =
        let bytes = Array.zeroCreate 1
        read offset (Span bytes)
        bytes[0]

    /// <summary>Reads 4 bytes as a little-endian number.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The bytes do not lie in the memory.</exception>
    member _.ReadInt32(offset: int64) =
        let bytes = Array.zeroCreate 4
        read offset (Span bytes)
        BinaryPrimitives.ReadInt32LittleEndian(ReadOnlySpan bytes)

    /// <summary>Reads 8 bytes as a little-endian number.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The bytes do not lie in the memory.</exception>
    member _.ReadInt64(offset: int64) =
        let bytes = Array.zeroCreate 8
        read offset (Span bytes)
        BinaryPrimitives.ReadInt64LittleEndian(ReadOnlySpan bytes)

    /// <summary>Stores bytes with ordinary stores. Only an aligned 8-byte word is never torn.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The range does not lie in the memory.</exception>
    member _.Store
        (
            offset: int64,
            bytes: ReadOnlySpan<byte>,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) =
        store offset bytes false file line

    /// <summary>Stores one byte.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The byte does not lie in the memory.</exception>
    member _.StoreByte
        (
            offset: int64,
            value: byte,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) =
        store offset (ReadOnlySpan [| value |]) false file line

    /// <summary>Stores 4 bytes as a little-endian number.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The bytes do not lie in the memory.</exception>
    member _.StoreInt32
        (
            offset: int64,
            value: int32,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) =
        let bytes = Array.zeroCreate 4
        BinaryPrimitives.WriteInt32LittleEndian(Span bytes, value)
        store offset (ReadOnlySpan bytes) false file line

    /// <summary>Stores 8 bytes as a little-endian number: one word, never torn, where the offset is a multiple of
    /// 8.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The bytes do not lie in the memory.</exception>
    member _.StoreInt64
        (
            offset: int64,
            value: int64,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) =
        let bytes = Array.zeroCreate 8
        BinaryPrimitives.WriteInt64LittleEndian(Span bytes, value)
        store offset (ReadOnlySpan bytes) false file line

    /// <summary>Stores bytes past the cache: durable after the next drain, without a flush.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The range does not lie in the memory.</exception>
    member _.StoreNonTemporal
        (
            offset: int64,
            bytes: ReadOnlySpan<byte>,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) =
        store offset bytes true file line

    /// <summary>Starts writing back the cache lines of a range. An empty range does nothing.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The range does not lie in the memory.</exception>
    member _.Flush
        (
            offset: int64,
            length: int64,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) =
        flush offset length file line

    /// Waits until everything flushed, or stored past the cache, is durable.
    member _.Drain
        (
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) =
        drain file line

    /// <summary>Flushes a range, then drains.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The range does not lie in the memory.</exception>
    member _.Persist
        (
            offset: int64,
            length: int64,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) =
        flush offset length file line
        drain file line

    /// Notes that a caller was promised the operation with this number.
    member _.Acknowledge
        (
            operation: int64,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) =
        acknowledge operation file line

    interface IPersistentMemory with
        member memory.Length = memory.Length
        member memory.Read(offset, destination) = memory.Read(offset, destination)
        member memory.ReadByte offset = memory.ReadByte offset
        member memory.ReadInt32 offset = memory.ReadInt32 offset
        member memory.ReadInt64 offset = memory.ReadInt64 offset
        member memory.Store(offset, bytes, file, line) = memory.Store(offset, bytes, file, line)

        member memory.StoreByte(offset, value, file, line) =
            memory.StoreByte(offset, value, file, line)

        member memory.StoreInt32(offset, value, file, line) =
            memory.StoreInt32(offset, value, file, line)

        member memory.StoreInt64(offset, value, file, line) =
            memory.StoreInt64(offset, value, file, line)

        member memory.StoreNonTemporal(offset, bytes, file, line) =
            memory.StoreNonTemporal(offset, bytes, file, line)

        member memory.Flush(offset, length, file, line) =
            memory.Flush(offset, length, file, line)

        member memory.Drain(file, line) = memory.Drain(file, line)

        member memory.Persist(offset, length, file, line) =
            memory.Persist(offset, length, file, line)

        member memory.Acknowledge(operation, file, line) =
            memory.Acknowledge(operation, file, line)

/// <summary>Memory that a workload runs on before a crash: it records stores, flushes, drains and promises.</summary>
[<Sealed; AllowNullLiteral(false)>]
type RecordedMemory private (model: PersistencyModel, contents: byte[]) =
    inherit SimulatedMemory(int64 contents.Length, model, ArrayBacking contents)

    /// <summary>Memory with a copy of these contents.</summary>
    /// <exception cref="T:System.ArgumentNullException">The contents are null.</exception>
    new(contents: byte[], model: PersistencyModel) =
        ArgumentNullException.ThrowIfNull(contents, nameof contents)
        RecordedMemory(model, Array.copy contents)

    /// A copy of what memory holds now, durable or not.
    member _.ToArray() = Array.copy contents

/// <summary>Memory that a recovery runs on after a crash. What a byte holds is decided when it is first read.</summary>
/// <remarks>It records what recovery does, so that a crash during recovery can be checked. It is good only while the
/// recovery that it was given to runs.</remarks>
[<Sealed; AllowNullLiteral(false)>]
type CrashedMemory
    internal (lengthBytes: int64, model: PersistencyModel, backing: Backing, acknowledged: IReadOnlyList<int64>) =
    inherit SimulatedMemory(lengthBytes, model, backing)

    /// The operations whose survival was promised before the crash, in the order of the promises.
    member _.Acknowledged = acknowledged
