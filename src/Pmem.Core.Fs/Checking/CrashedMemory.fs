namespace Pmem

open System
open System.Buffers.Binary
open System.Collections.Generic

module internal Promises =
    /// The first of some promises.
    let first count (all: int64[]) =
        ArraySegment(all, 0, count) :> IReadOnlyList<int64>

/// What recovery did to memory: the bytes that a read returned, or that it stored, and where it did so.
[<Struct>]
type internal Access =
    {
        Range: ByteRange
        IsStore: bool
        Bytes: byte[]
        Source: SourceLine
    }

    /// <summary>As in <c>read 64+8 → 7</c>.</summary>
    member access.Words =
        String.Concat(
            [|
                (if access.IsStore then "stored " else "read   ")
                access.Range.ToString()
                (if access.IsStore then " = " else " → ")
                Words.bytes (ReadOnlySpan access.Bytes)
            |]
        )

    /// <summary>As in <c>Log.cs:41 read 64+8 → 7</c>.</summary>
    override access.ToString() =
        String.Concat(access.Source.ToString(), " ", access.Words)

/// Thrown out of a recovery that has had its accesses.
[<Sealed>]
type internal BoundException() =
    inherit Exception("Recovery has reached the bound on its accesses.")

/// Counts accesses and, where a report will be made, keeps them.
[<Sealed>]
type internal Watch(bound: int64, chooser: Chooser, isTelling: bool) =
    /// The most accesses that are kept: the last ones.
    let mostKept = 4096

    /// The most accesses that differ in a recovery that repeats itself.
    let mostRepeated = 4096

    let kept = Queue<Access>()
    let repeated = HashSet<uint64>()
    let mutable accesses = 0L

    /// In the second half of what it may have, recovery is watched for whether it gets on.
    let count () =
        accesses <- accesses + 1L

        if accesses > bound / 2L && repeated.Count <= mostRepeated then
            chooser.Fingerprint |> repeated.Add |> ignore

        if accesses > bound then
            raise (BoundException())

    member _.Chooser = chooser
    member _.IsTelling = isTelling
    member _.IsOver = accesses > bound
    member _.Accesses = accesses
    member _.Kept = kept.ToArray()

    member _.Failure =
        if repeated.Count <= min mostRepeated (int (min bound 1_000_000L) / 8) then
            RecoveryFailure.Looped bound
        else
            RecoveryFailure.Unfinished bound

    /// A flush, a drain or a promise.
    member _.Visit(call: PersistEvent) =
        chooser.Note call
        count ()

    /// A read or a store begins.
    member _.Visit(offset: int64, length: int, isStore: bool) =
        chooser.Note(offset, length, isStore)
        count ()

    member _.Keep(offset: int64, bytes: ReadOnlySpan<byte>, isStore, source) =
        if isTelling then
            if kept.Count = mostKept then
                kept.Dequeue() |> ignore

            kept.Enqueue
                {
                    Range = ByteRange(offset, int64 bytes.Length)
                    IsStore = isStore
                    Bytes = bytes.ToArray()
                    Source = source
                }

/// The bytes of memory after a crash: what recovery stored over what its reads decide.
[<Sealed>]
type internal CrashedBacking
    (
        source: Source,
        log: List<Narrowing>,
        watch: Watch,
        readBlock: CrashedBacking -> int64 -> Memory<byte> -> BlockValidator -> bool
    ) =
    inherit Backing()
    let chooser = watch.Chooser
    let written = Dictionary<int64, Bits>()

    let writtenTo atom =
        match written.TryGetValue atom with
        | true, bits -> bits
        | _ -> Bits.None

    let readAtom (source: Source) atom mask choices =
        let own = if written.Count = 0 then Bits.None else writtenTo atom
        let missing = mask &&& ~~~own.Mask

        if missing = 0UL then
            own.Value
        else
            (own.Value &&& ~~~missing) ||| source.ReadAtom(atom, missing, choices)

    /// Copies what is known without a choice; false where it is not that simple.
    member _.TryCopy(offset: int64, destination: Span<byte>) =
        written.Count = 0 && source.TryCopy(offset, destination)

    /// Reads from memory as this recovery has changed it.
    member _.ReadFrom(source: Source, choices: Choices, offset: int64, destination: Span<byte>) =
        if not (written.Count = 0 && source.TryCopy(offset, destination)) then
            let mutable at = 0

            while at < destination.Length do
                let first = int (Bounds.offsetInUnit Atom.SizeBytes (offset + int64 at))
                let count = min (int Atom.SizeBytes - first) (destination.Length - at)

                let value =
                    readAtom
                        source
                        (Bounds.unitOf Atom.SizeBytes (offset + int64 at))
                        (Atoms.maskOf first (first + count))
                        choices

                if count = int Atom.SizeBytes then
                    BinaryPrimitives.WriteUInt64LittleEndian(destination.Slice at, value)
                else
                    for i in 0 .. count - 1 do
                        destination[at + i] <- byte (value >>> (8 * (first + i)))

                at <- at + count

    member val ChoicesAt = List<int>()
    member val NarrowingsAt = List<int>()
    member _.Source = source
    member _.Chooser = chooser
    member _.Log = log

    override _.Called call = watch.Visit call

    override backing.Recording() =
        backing.ChoicesAt.Add chooser.Position
        backing.NarrowingsAt.Add log.Count

    override backing.Read(offset, destination, line) =
        watch.Visit(offset, destination.Length, false)
        backing.ReadFrom(source, chooser, offset, destination)
        watch.Keep(offset, Span.op_Implicit destination, false, line)

    override backing.ReadValidated(offset, destination, isValid, line) =
        watch.Visit(offset, destination.Length, false)
        let bytes = Array.zeroCreate destination.Length
        let isValid = readBlock backing offset (Memory bytes) isValid
        bytes.AsSpan().CopyTo destination
        watch.Keep(offset, ReadOnlySpan bytes, false, line)
        isValid

    override _.Write(offset, stored, line) =
        watch.Visit(offset, stored.Length, true)
        chooser.Note stored
        watch.Keep(offset, stored, true, line)
        let bytes = stored.ToArray()

        Atoms.forEach offset (int64 bytes.Length) (fun atom first last index ->
            let value = Atoms.load (ReadOnlySpan bytes) index first last
            written[atom] <- (writtenTo atom).Under(value, Atoms.maskOf first last))

/// <summary>Memory that a recovery runs on after a crash. What a byte holds is decided when it is first read.</summary>
/// <remarks>It records what recovery does, so that a crash during recovery can be checked. It is good only while the
/// recovery that it was given to runs, and on the thread that it was given to.</remarks>
[<Sealed; AllowNullLiteral(false)>]
type CrashedMemory
    internal (lengthBytes: int64, model: PersistencyModel, backing: Backing, acknowledged: IReadOnlyList<int64>) =
    inherit SimulatedMemory(lengthBytes, model, backing)
    let mutable hasLooked = false

    /// Whether recovery asked what was promised.
    member internal _.HasLookedAtPromises = hasLooked

    /// The operations whose survival was promised before the crash, in the order of the promises.
    member _.Acknowledged =
        hasLooked <- true
        acknowledged
