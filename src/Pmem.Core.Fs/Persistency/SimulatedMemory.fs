namespace Pmem

open System
open System.Buffers.Binary
open System.Collections.Generic

/// The bytes behind a simulated memory: what a read sees, stores included that are not durable.
[<AbstractClass>]
type internal Backing() =
    abstract Read: offset: int64 * destination: Span<byte> * source: SourceLine -> unit
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

    override _.Read(offset, destination, _) =
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

    let check what offset length =
        if not (Bounds.isWithin lengthBytes offset length) then
            raise (Words.noRange what offset length lengthBytes)

    let add event source =
        backing.Recording()
        trace.Add(RecordedEvent(event, source))

    let sync (range: ByteRange) source =
        add (Execute(SyncPages(range.AlignOut Model.PageBytes))) source

    let store offset (bytes: byte[]) isNonTemporal source =
        add (if isNonTemporal then StoreNonTemporal(offset, bytes) else Store(offset, bytes)) source
        backing.Write(offset, ReadOnlySpan bytes)

        if not (Model.hasLines model) then
            pages.Store(ByteRange(offset, int64 bytes.Length), isNonTemporal)

    let flush offset length source =
        check "The flush" offset length
        let range = ByteRange(offset, length)
        let writeBack = Execute(WriteBack(Clwb, CacheLine.cover range))
        backing.Called writeBack

        if range.IsEmpty then
            ()
        elif Model.hasLines model then
            add writeBack source
        elif pages.Flush range then
            sync range source

    let drain source =
        backing.Called(Execute Fence)

        if Model.hasLines model then
            add (Execute Fence) source
        else
            for range in pages.Drain() do
                sync range source

    let readWord offset source =
        let bytes = Array.zeroCreate 8
        backing.Read(offset, Span bytes, source)
        BinaryPrimitives.ReadInt64LittleEndian(ReadOnlySpan bytes)

    /// A locked instruction waits as a fence does; the model that stands for weaker machines promises no such thing.
    let compareExchange offset (value: int64) comparand source =
        check "The compare-exchange" offset Atom.SizeBytes
        Words.requireWord offset

        if Model.locksFence model then
            backing.Called(Execute Fence)
            add (Execute Fence) source

        let before = readWord offset source

        if before = comparand then
            let bytes = Array.zeroCreate 8
            BinaryPrimitives.WriteInt64LittleEndian(Span bytes, value)
            store offset bytes false source

        before

    /// What was recorded so far, in program order.
    member _.Trace: IReadOnlyList<RecordedEvent> = trace

    /// The length of the memory, in bytes.
    member _.Length = lengthBytes

    /// What is guaranteed about durability.
    member _.Model = model

    interface IPersistentMemory with
        member _.Length = lengthBytes

        member _.Read(offset, destination, source) =
            check "The read" offset (int64 destination.Length)
            backing.Read(offset, destination, source)

        member _.Store(offset, bytes, source) =
            check "The store" offset (int64 bytes.Length)
            store offset (bytes.ToArray()) false source

        member _.StoreNonTemporal(offset, bytes, source) =
            check "The store" offset (int64 bytes.Length)
            store offset (bytes.ToArray()) true source

        member _.CompareExchange(offset, value, comparand, source) =
            compareExchange offset value comparand source

        member _.Flush(offset, length, source) = flush offset length source

        member _.Drain source = drain source

        member _.Persist(offset, length, source) =
            flush offset length source
            drain source

        member _.Acknowledge(operation, source) =
            backing.Called(Acknowledge operation)
            add (Acknowledge operation) source

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
