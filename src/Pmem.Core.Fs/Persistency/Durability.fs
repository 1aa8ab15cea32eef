namespace Pmem

open System.Collections.Generic

/// A store's share of one aligned 8-byte word: what is never torn. Byte i of the word is bits 8i and up of the value.
[<Sealed; AllowNullLiteral(false)>]
type internal Piece(event: int, atom: int64, value: uint64, mask: uint64, isNonTemporal: bool) =
    /// The number of the event that stored it.
    member _.Event = event

    /// The number of the word: its offset divided by 8.
    member _.Atom = atom
    member _.Value = value

    /// All bits of the bytes that it stores.
    member _.Mask = mask
    member _.IsNonTemporal = isNonTemporal

    /// Its line was written back after it: a fence makes it durable.
    member val IsWrittenBack = false with get, set

/// Bytes of a word: the value, and the bits that it has.
[<Struct>]
type internal Bits =
    {
        Value: uint64
        Mask: uint64
    }

    static member None = { Value = 0UL; Mask = 0UL }

    /// These, and others written over them.
    member bits.Under(value: uint64, mask: uint64) =
        {
            Value = (bits.Value &&& ~~~mask) ||| (value &&& mask)
            Mask = bits.Mask ||| mask
        }

module internal Atoms =
    /// The bits of the bytes [first, last) of a word.
    let maskOf (first: int) (last: int) =
        let low = if last = 8 then ~~~0UL else (1UL <<< (8 * last)) - 1UL
        low &&& ~~~((1UL <<< (8 * first)) - 1UL)

    /// Calls with each word that a range touches: its number, the bits touched, the index of the first byte in the range.
    let inline forEach (offset: int64) (length: int64) ([<InlineIfLambda>] visit: int64 -> int -> int -> int -> unit) =
        let mutable at = offset
        let last = offset + length

        while at < last do
            let first = int (at % Atom.SizeBytes)
            let count = int (min (Atom.SizeBytes - int64 first) (last - at))
            visit (at / Atom.SizeBytes) first (first + count) (int (at - offset))
            at <- at + int64 count

    /// The bytes [first, last) of a word, from an array.
    let load (bytes: System.ReadOnlySpan<byte>) (index: int) (first: int) (last: int) =
        let mutable value = 0UL

        for i in first .. last - 1 do
            value <- value ||| (uint64 bytes[index + i - first] <<< (8 * i))

        value

    let pieces (event: int) (offset: int64) (bytes: byte[]) isNonTemporal =
        let pieces = List<Piece>()

        forEach offset (int64 bytes.Length) (fun atom first last index ->
            let value = load (System.ReadOnlySpan bytes) index first last
            pieces.Add(Piece(event, atom, value, maskOf first last, isNonTemporal)))

        pieces

/// The order inside a unit. Pieces come in program order; where a piece is durable, so is each piece before it that wrote
/// the same word, and, where units keep their order and both are temporal, each piece of an earlier store to the unit.
/// The pieces of one store have no order.
module internal Order =
    /// Extends a set of durable pieces by what must be durable with them. One pass from the last piece to the first.
    let closeDown keepsUnitOrder (pieces: IReadOnlyList<Piece>) (isIn: bool[]) =
        let atoms = HashSet<int64>()
        let mutable latest = -1

        for i in pieces.Count - 1 .. -1 .. 0 do
            let piece = pieces[i]
            let inOrder = keepsUnitOrder && not piece.IsNonTemporal

            if isIn[i] || atoms.Contains piece.Atom || (inOrder && piece.Event < latest) then
                isIn[i] <- true
                atoms.Add piece.Atom |> ignore

                if inOrder then
                    latest <- max latest piece.Event

    /// Extends a set of lost pieces by what must be lost with them. One pass from the first piece to the last.
    let closeUp keepsUnitOrder (pieces: IReadOnlyList<Piece>) (isOut: bool[]) =
        let atoms = HashSet<int64>()
        let mutable earliest = System.Int32.MaxValue

        for i in 0 .. pieces.Count - 1 do
            let piece = pieces[i]
            let inOrder = keepsUnitOrder && not piece.IsNonTemporal

            if isOut[i] || atoms.Contains piece.Atom || (inOrder && piece.Event > earliest) then
                isOut[i] <- true
                atoms.Add piece.Atom |> ignore

                if inOrder then
                    earliest <- min earliest piece.Event

/// What an event makes durable: the unit, and which of its pending pieces.
[<Struct>]
type internal Forced = { Unit: int64; IsIn: bool[] }

/// What is surely durable and what may be, as the events go by.
[<Sealed>]
type internal Durability(model: PersistencyModel) =
    let unitBytes = Model.unitBytes model
    let durable = Dictionary<int64, Bits>()
    let pending = Dictionary<int64, List<Piece>>()

    /// The units that a fence has something to do in.
    let awaiting = HashSet<int64>()

    let unitOfAtom atom = atom * Atom.SizeBytes / unitBytes

    /// The units of a range in which something is pending. A range may be far longer than what was stored in it.
    let unitsIn (range: ByteRange) =
        let first = range.Offset / unitBytes
        let last = if range.IsEmpty then first - 1L else (range.End - 1L) / unitBytes

        if last - first < int64 pending.Count then
            [| for unit in first..last -> unit |] |> Array.filter pending.ContainsKey
        else
            [|
                for unit in pending.Keys do
                    if unit >= first && unit <= last then
                        unit
            |]
            |> Array.sort

    let select (select: Piece -> bool) (forced: List<Forced>) unit =
        let pieces = pending[unit]
        let isIn = Array.init pieces.Count (fun i -> select pieces[i])

        if Array.contains true isIn then
            Order.closeDown (Model.keepsUnitOrder model) pieces isIn
            forced.Add { Unit = unit; IsIn = isIn }

    let byFence (piece: Piece) =
        piece.IsNonTemporal || piece.IsWrittenBack

    let syncPages (range: ByteRange) forced =
        let pages = range.AlignOut Model.PageBytes
        let units = unitsIn pages
        Array.iter (select (fun _ -> true) forced) units

        // On DAX msync is a write-back of every dirty line of the pages and a fence (and it takes locks): the fence
        // completes what was written back elsewhere too. In the page cache it reaches its own pages alone.
        if Model.hasLines model && not range.IsEmpty then
            awaiting
            |> Seq.filter (fun unit -> not (Array.contains unit units))
            |> Seq.sort
            |> Seq.toArray
            |> Array.iter (select byFence forced)

    let store index offset (bytes: byte[]) forced =
        for unit in unitsIn (ByteRange(offset, int64 bytes.Length)) do
            select (fun piece -> piece.Event = index) forced unit

    let settle (forced: Forced) =
        let pieces = pending[forced.Unit]
        let rest = List<Piece>()

        for i in 0 .. pieces.Count - 1 do
            let piece = pieces[i]

            if forced.IsIn[i] then
                let before =
                    match durable.TryGetValue piece.Atom with
                    | true, bits -> bits
                    | _ -> Bits.None

                durable[piece.Atom] <- before.Under(piece.Value, piece.Mask)
            else
                rest.Add piece

        if rest.Count = 0 then
            pending.Remove forced.Unit |> ignore
        else
            pending[forced.Unit] <- rest

        if not (rest.Exists byFence) then
            awaiting.Remove forced.Unit |> ignore

    let writeBack (range: ByteRange) =
        for unit in unitsIn (CacheLine.cover range) do
            awaiting.Add unit |> ignore

            for piece in pending[unit] do
                piece.IsWrittenBack <- true

    member _.Model = model

    /// The bytes that are surely durable, and differ from the memory's first contents or not, word by word.
    member _.Durable = durable

    /// The pieces that may be durable, in program order, by unit.
    member _.Pending = pending

    member _.UnitOfAtom atom = unitOfAtom atom

    /// The event begins: a store may now be durable. Returns whether that adds a state.
    member _.Enter(index: int, event: PersistEvent) =
        let store offset bytes isNonTemporal =
            let pieces = Atoms.pieces index offset bytes isNonTemporal

            for piece in pieces do
                let unit = unitOfAtom piece.Atom

                if not (pending.ContainsKey unit) then
                    pending[unit] <- List()

                pending[unit].Add piece

                if isNonTemporal then
                    awaiting.Add unit |> ignore

            pieces.Count > 0

        match event with
        | Store(offset, bytes) -> store offset bytes false
        | StoreNonTemporal(offset, bytes) -> store offset bytes true
        | Execute _
        | Acknowledge _ -> false

    /// What the event makes durable when it takes effect.
    member _.Forces(index: int, event: PersistEvent) =
        let forced = List<Forced>()

        match event with
        | Store(offset, bytes) when Model.isDurableAtOnce model false -> store index offset bytes forced
        | Execute(WriteBack(Clflush, range)) when Model.needsWriteBack model ->
            Array.iter (select (fun _ -> true) forced) (unitsIn (CacheLine.cover range))
        | Execute Fence when Model.hasLines model ->
            Array.iter (select byFence forced) (Array.sort (Seq.toArray awaiting))
        | Execute(SyncPages range) -> syncPages range forced
        | _ -> ()

        forced

    /// The event takes effect.
    member _.Apply(event: PersistEvent, forced: List<Forced>) =
        Seq.iter settle forced

        match event with
        | Execute(WriteBack((Clwb | ClflushOpt | DcCvap | DcCvadp), range)) when Model.hasLines model -> writeBack range
        | _ -> ()

/// The crash points that can matter: before each event that makes something durable, before each promise, and at the
/// end. A point is passed over where every one of its states is a state of the point before it, with the same promises.
module internal CrashPoints =
    /// Calls with the number of the event that does not take effect any more (the number of events at the end), what
    /// is durable, and how many promises were given; goes on while that returns true.
    let walk model (events: IReadOnlyList<RecordedEvent>) (visit: int -> Durability -> int -> bool) =
        let durability = Durability model
        let mutable hasNew = true
        let mutable promised = 0
        let mutable goesOn = true
        let mutable i = 0

        while goesOn && i < events.Count do
            let event = events[i].Event

            if durability.Enter(i, event) then
                hasNew <- true

            let forced = durability.Forces(i, event)
            let isPromise = event.IsAcknowledge

            if hasNew && (isPromise || forced.Count > 0) then
                goesOn <- visit i durability promised
                hasNew <- false

            // A visit that ends the walk keeps the durability as it was at its crash.
            if goesOn then
                durability.Apply(event, forced)

                if isPromise then
                    promised <- promised + 1
                    hasNew <- true

                i <- i + 1

        if goesOn && hasNew then
            visit events.Count durability promised |> ignore
