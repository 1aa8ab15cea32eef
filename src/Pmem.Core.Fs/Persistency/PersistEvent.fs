namespace Pmem

open System
open System.Collections.Generic

/// What happens to a persistent memory, in program order.
type PersistEvent =
    /// Bytes are stored with ordinary stores. The array must not be changed afterwards.
    | Store of Offset: int64 * Bytes: byte[]
    /// Bytes are stored past the cache. The array must not be changed afterwards.
    | StoreNonTemporal of Offset: int64 * Bytes: byte[]
    /// <summary>The machine is told to write back or to wait. A <c>Fence</c> stands for SFENCE, MFENCE, a locked
    /// read-modify-write and DSB.</summary>
    | Execute of Instruction: Instruction
    /// A caller is promised that the operation with this number survives.
    | Acknowledge of Operation: int64

    /// <summary>As in <c>store 0+8 = 72</c>, <c>CLWB 0+64</c>, <c>acknowledge 3</c>.</summary>
    override event.ToString() =
        let store (words: string) offset (bytes: byte[]) =
            // No ByteRange: what lies nowhere must be printable too.
            String.Concat(
                [|
                    words
                    Words.number offset
                    "+"
                    Words.number (int64 bytes.Length)
                    " = "
                    Words.bytes (ReadOnlySpan bytes)
                |]
            )

        match event with
        | Store(offset, bytes) -> store "store " offset bytes
        | StoreNonTemporal(offset, bytes) -> store "non-temporal store " offset bytes
        | Execute instruction -> instruction.ToString()
        | Acknowledge operation -> String.Concat("acknowledge ", Words.number operation)

    /// Whether both are the same value.
    static member op_Equality(left: PersistEvent, right: PersistEvent) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: PersistEvent, right: PersistEvent) = not (Object.Equals(left, right))

/// An event and the source line that caused it.
[<Sealed; AllowNullLiteral(false)>]
type RecordedEvent(event: PersistEvent, source: SourceLine) =
    /// <summary>An event and its source line: the path of the file, and the number of the line from 1.</summary>
    new(event: PersistEvent, file: string, line: int) = RecordedEvent(event, SourceLine(file, line))

    /// What happened.
    member _.Event = event

    /// The source line that caused it.
    member _.Source = source

    override _.Equals other =
        match other with
        | :? RecordedEvent as other -> event = other.Event && source = other.Source
        | _ -> false

    override _.GetHashCode() = HashCode.Combine(hash event, source)

    /// <summary>As in <c>Journal.cs:17 store 0+8 = 72</c>.</summary>
    override _.ToString() =
        String.Concat(source.ToString(), " ", event.ToString())

    /// Whether both are the same value.
    static member op_Equality(left: RecordedEvent, right: RecordedEvent) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: RecordedEvent, right: RecordedEvent) = not (Object.Equals(left, right))

/// A store as a report shows it, or the part of a store that met one fate.
[<Sealed; AllowNullLiteral(false)>]
type TracedStore
    internal
    (eventIndex: int, range: ByteRange, bytes: byte[], whole: ByteRange, isNonTemporal: bool, source: SourceLine) =
    /// The number of the event in its trace, from 0.
    member _.EventIndex: int = eventIndex

    /// The bytes of the memory that this is about.
    member _.Range = range

    /// What was stored there.
    member _.Bytes = ReadOnlyMemory<byte> bytes

    /// The bytes of the memory that the whole store wrote: more than the range where a longer store was torn.
    member _.WholeRange = whole

    /// Whether the store went past the cache.
    member _.IsNonTemporal = isNonTemporal

    /// The source line that it was called for on.
    member _.Source = source

    /// <summary>As in <c>Journal.cs:17 store 0+8 = 72</c>.</summary>
    override _.ToString() =
        let part =
            if range = whole then
                ""
            else
                String.Concat(" (a part of ", whole.ToString(), ")")

        String.Concat(
            [|
                source.ToString()
                (if isNonTemporal then " non-temporal store " else " store ")
                range.ToString()
                " = "
                Words.bytes (ReadOnlySpan bytes)
                part
            |]
        )

/// A flush as a report shows it.
[<Sealed; AllowNullLiteral(false)>]
type TracedFlush internal (eventIndex: int, range: ByteRange, source: SourceLine) =
    /// The number of the event in its trace, from 0.
    member _.EventIndex: int = eventIndex

    /// The lines or pages that this is about.
    member _.Range = range

    /// The source line that it was called for on.
    member _.Source = source

    /// <summary>As in <c>Journal.cs:18 flush 0+64</c>.</summary>
    override _.ToString() =
        String.Concat(source.ToString(), " flush ", range.ToString())

/// Traces: what every part of the checker asks of one.
module internal Trace =
    let ofEvents (events: PersistEvent seq) =
        events
        |> Seq.map (fun event -> RecordedEvent(event, SourceLine.Unknown))
        |> Seq.toArray

    /// Where a store goes, its bytes, and whether it goes past the cache.
    let (|AnyStore|_|) event =
        match event with
        | Store(offset, bytes) -> Some(offset, bytes, false)
        | StoreNonTemporal(offset, bytes) -> Some(offset, bytes, true)
        | Execute _
        | Acknowledge _ -> None

    /// The part of a store that lies in a range.
    let part (index: int) (recorded: RecordedEvent) (range: ByteRange) =
        match recorded.Event with
        | AnyStore(offset, bytes, isNonTemporal) ->
            let whole = ByteRange(offset, int64 bytes.Length)
            let range = whole.Intersect range
            let bytes = Array.sub bytes (int (range.Offset - offset)) (int range.Length)
            TracedStore(index, range, bytes, whole, isNonTemporal, recorded.Source)
        | _ -> invalidArg (nameof recorded) "The event is no store."

    /// A store as a whole.
    let whole index (recorded: RecordedEvent) =
        part index recorded (ByteRange(0L, System.Int64.MaxValue))

    /// The parts of stores that lie in these ranges, which are given with the number of their event: in program order,
    /// neighbours of one store merged.
    let parts (events: IReadOnlyList<RecordedEvent>) (ranges: struct (int * ByteRange) seq) =
        let merged = List<struct (int * ByteRange)>()

        for struct (index, range) in Seq.sortBy (fun struct (index, range: ByteRange) -> index, range.Offset) ranges do
            let last = merged.Count - 1

            match (if last < 0 then struct (-1, range) else merged[last]) with
            | struct (before, previous) when before = index && previous.End = range.Offset ->
                merged[last] <- struct (index, ByteRange(previous.Offset, previous.Length + range.Length))
            | _ -> merged.Add(struct (index, range))

        [| for struct (index, range) in merged -> part index events[index] range |]

    /// Pages: the coarsest unit that a flush is rounded out to.
    [<Literal>]
    let private PageBytes = 4096L

    let private isWithin (sizeBytes: int64) event =
        match event with
        | Store(offset, bytes)
        | StoreNonTemporal(offset, bytes) -> Bounds.isWithin sizeBytes offset (int64 bytes.Length)
        | Execute(WriteBack(_, range))
        | Execute(SyncPages range) -> range.IsWithin(Bounds.alignUp PageBytes sizeBytes)
        | Execute Fence
        | Acknowledge _ -> true

    /// Refuses a store without an array.
    let requireBytes (events: IReadOnlyList<RecordedEvent>) =
        for i in 0 .. events.Count - 1 do
            match events[i].Event with
            | AnyStore(_, bytes, _) when obj.ReferenceEquals(bytes, null) ->
                raise (
                    ArgumentNullException(
                        nameof events,
                        String.Concat("Event ", Words.number (int64 i), " is a store whose bytes are null.")
                    )
                )
            | _ -> ()

    /// Refuses a trace that touches what is not there. Flushes may reach to the end of the last page.
    let check (sizeBytes: int64) (events: IReadOnlyList<RecordedEvent>) =
        requireBytes events

        for i in 0 .. events.Count - 1 do
            if not (isWithin sizeBytes events[i].Event) then
                raise (
                    ArgumentException(
                        String.Concat(
                            [|
                                "Event "
                                Words.number (int64 i)
                                " ("
                                events[i].ToString()
                                ") does not lie in the memory, which has "
                                Words.number sizeBytes
                                " bytes."
                            |]
                        ),
                        nameof events
                    )
                )
