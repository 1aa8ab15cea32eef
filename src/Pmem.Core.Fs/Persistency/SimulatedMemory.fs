namespace Pmem

open System
open System.Buffers.Binary
open System.Collections.Generic

/// The bytes behind a simulated memory: what a read sees, stores included that are not durable.
[<AbstractClass>]
type internal Backing() =
    abstract Read: offset: int64 * destination: Span<byte> * source: SourceLine -> unit
    abstract Write: offset: int64 * bytes: ReadOnlySpan<byte> * source: SourceLine -> unit

    /// A flush, a drain or a promise was called for; it may leave no event.
    abstract Called: call: PersistEvent -> unit
    default _.Called _ = ()

    /// Reads a block and says whether it is valid.
    abstract ReadValidated:
        offset: int64 * destination: Span<byte> * isValid: BlockValidator * source: SourceLine -> bool

    default backing.ReadValidated(offset, destination, isValid, source) =
        backing.Read(offset, destination, source)
        isValid.Invoke(Span.op_Implicit destination)

    /// An event is about to be recorded.
    abstract Recording: unit -> unit
    default _.Recording() = ()

[<Sealed>]
type internal ArrayBacking(bytes: byte[]) =
    inherit Backing()

    override _.Read(offset, destination, _) =
        bytes.AsSpan(int offset, destination.Length).CopyTo destination

    override _.Write(offset, stored, _) =
        stored.CopyTo(bytes.AsSpan(int offset, stored.Length))

/// <summary>Memory that is simulated: it keeps what it was told, as a trace.</summary>
/// <remarks>
/// Its flushes and drains are what the library executes on real memory: CLWB and a fence or, under
/// <c>PersistencyModel.PageCache</c>, msync of the pages: there a flush only notes them, and the drain syncs all that were
/// flushed, or stored past the cache, since the last one. Not safe for use by two threads at once.
/// </remarks>
[<AbstractClass; AllowNullLiteral(false)>]
type SimulatedMemory internal (lengthBytes: int64, model: PersistencyModel, backing: Backing) =
    let rules = ModelRules.of' model
    let trace = List<RecordedEvent>()
    let pages = PageSync()
    let mutable guard: UseGuard voption = ValueNone

    let touch () =
        if guard.IsSome then
            guard.Value.Check()

    let check what offset length =
        touch ()

        if not (Bounds.isWithin lengthBytes offset length) then
            raise (Words.noRange what offset length lengthBytes)

    let add event source =
        backing.Recording()
        trace.Add(RecordedEvent(event, source))

    let sync (range: ByteRange) source =
        add (Execute(SyncPages(range.AlignOut ModelRules.PageBytes))) source

    let store offset (bytes: byte[]) isNonTemporal source =
        add (if isNonTemporal then StoreNonTemporal(offset, bytes) else Store(offset, bytes)) source
        backing.Write(offset, ReadOnlySpan bytes, source)

        if not rules.HasFences then
            pages.Store(ByteRange(offset, int64 bytes.Length), isNonTemporal)

    let flush offset length source =
        check "The flush" offset length
        let range = ByteRange(offset, length)
        let writeBack = Execute(WriteBack(Clwb, CacheLine.cover range))
        backing.Called writeBack

        if range.IsEmpty then ()
        elif rules.HasFences then add writeBack source
        else pages.Flush range

    let drain source =
        touch ()
        backing.Called(Execute Fence)

        if rules.HasFences then
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

        if rules.LocksFence then
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

    /// Refuses uses that a check cannot follow.
    member internal _.GuardWith(newGuard: UseGuard) = guard <- ValueSome newGuard

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
            touch ()
            backing.Called(Acknowledge operation)
            add (Acknowledge operation) source

    interface IValidatedReads with
        member _.ReadValidated(offset, destination, isValid, source) =
            check "The read" offset (int64 destination.Length)
            backing.ReadValidated(offset, destination, isValid, source)

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
