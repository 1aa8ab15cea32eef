namespace Pmem

open System.Collections.Generic

/// What an event makes durable: the unit, and which of its pending pieces.
[<Struct>]
type internal Forced = { Unit: int64; IsIn: bool[] }

/// <summary>What is surely durable and what may be, as the events go by: the only place that knows what an event does to
/// a store.</summary>
/// <remarks>Given an image, it writes there what has become durable; otherwise it keeps the words by themselves.</remarks>
[<Sealed>]
type internal Durability(rules: ModelRules, image: byte[] | null) =
    let durable = Dictionary<int64, Bits>()
    let pending = Dictionary<int64, List<Piece>>()
    let views = Dictionary<int64, UnitView>()

    /// The pending pieces of each word.
    let chains = Dictionary<int64, List<Piece>>()

    /// The lines that a reader must look at word by word, and how many pending pieces they have.
    let lines = Dictionary<int64, int>()

    /// The units that a fence has something to do in.
    let awaiting = HashSet<int64>()

    let mutable durableHash = 0UL
    let hasImage = not (isNull image)

    let unitOfAtom atom =
        if rules.UnitBytes = System.Int64.MaxValue then
            0L
        else
            Bounds.unitOf rules.UnitBytes (atom * Atom.SizeBytes)

    let lineOfAtom (atom: int64) =
        CacheLine.indexOf (atom * Atom.SizeBytes)

    /// The units of a range in which something is pending. A range may be far longer than what was stored in it.
    let unitsIn (range: ByteRange) =
        let first = unitOfAtom (Bounds.unitOf Atom.SizeBytes range.Offset)

        let last =
            if range.IsEmpty then
                first - 1L
            else
                unitOfAtom (Bounds.unitOf Atom.SizeBytes (range.End - 1L))

        if last - first < int64 pending.Count then
            [|
                for unit in first..last do
                    if pending.ContainsKey unit then
                        unit
            |]
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
            Order.closeDown rules.KeepsOrder pieces isIn
            forced.Add { Unit = unit; IsIn = isIn }

    let byFence (piece: Piece) =
        piece.IsNonTemporal || piece.IsWrittenBack || rules.VisibleIsDurable

    /// Temporal stores to the lines of a range: what CLFLUSH, or a write-back, covers.
    let isCovered (range: ByteRange) (piece: Piece) =
        not piece.IsNonTemporal && range.Overlaps(Atoms.rangeOf piece.Atom)

    let fence (forced: List<Forced>) except =
        for unit in Array.sort (Seq.toArray awaiting) do
            if not (Array.contains unit except) then
                select byFence forced unit

    let syncPages (range: ByteRange) forced =
        let pages = range.AlignOut ModelRules.PageBytes
        let units = unitsIn pages

        for unit in units do
            select (fun piece -> rules.VisibleIsDurable || pages.Overlaps(Atoms.rangeOf piece.Atom)) forced unit

        // On DAX msync is a write-back of every dirty line of the pages and a fence (and it takes locks): the fence
        // completes what was written back elsewhere too. In the page cache it reaches its own pages alone.
        if rules.HasFences && not range.IsEmpty then
            fence forced units

    let hashOf (atom: int64) (bits: Bits) =
        if bits.Mask = 0UL then
            0UL
        else
            SplitMix.of2 (uint64 atom) (SplitMix.of2 bits.Value bits.Mask)

    let settleWord (atom: int64) (bits: Bits) =
        match image with
        | null ->
            let before =
                match durable.TryGetValue atom with
                | true, bits -> bits
                | _ -> Bits.None

            let after = before.Under(bits.Value, bits.Mask)
            durable[atom] <- after
            durableHash <- durableHash ^^^ hashOf atom before ^^^ hashOf atom after
        | image -> Atoms.write image atom bits

    let leaveLine atom =
        // Without an image a line stays: its durable words are here, not below.
        if hasImage then
            let line = lineOfAtom atom
            let count = lines[line]

            if count = 1 then lines.Remove line |> ignore else lines[line] <- count - 1

    /// A word holds what its last durable piece left: those before it are part of that, or gone.
    let settle (forced: Forced) =
        let pieces = pending[forced.Unit]
        let latest = Dictionary<int64, int>()

        for i in 0 .. pieces.Count - 1 do
            if forced.IsIn[i] then
                latest[pieces[i].Atom] <- i

        let rest = List<Piece>()

        for i in 0 .. pieces.Count - 1 do
            let piece = pieces[i]

            match latest.TryGetValue piece.Atom with
            | true, last when i <= last ->
                settleWord piece.Atom { Value = piece.Value; Mask = piece.Mask }
                leaveLine piece.Atom
            | _ -> rest.Add piece

        for pair in latest do
            let chain = chains[pair.Key]
            chain.RemoveRange(0, chain.IndexOf pieces[pair.Value] + 1)

            if chain.Count = 0 then
                chains.Remove pair.Key |> ignore

        views.Remove forced.Unit |> ignore

        if rest.Count = 0 then
            pending.Remove forced.Unit |> ignore
        else
            pending[forced.Unit] <- rest

        if not (rest.Exists byFence) then
            awaiting.Remove forced.Unit |> ignore

    let writeBack (range: ByteRange) =
        for unit in unitsIn range do
            for piece in pending[unit] do
                if isCovered range piece then
                    piece.IsWrittenBack <- true
                    awaiting.Add unit |> ignore

    let addTo (lists: Dictionary<int64, List<Piece>>) key piece =
        match lists.TryGetValue key with
        | true, list -> list.Add piece
        | _ ->
            let list = List<Piece>()
            list.Add piece
            lists[key] <- list

    let store index offset (bytes: byte[]) isNonTemporal =
        let pieces = Atoms.pieces index offset bytes isNonTemporal

        for piece in pieces do
            let unit = unitOfAtom piece.Atom
            addTo pending unit piece
            addTo chains piece.Atom piece
            views.Remove unit |> ignore
            let line = lineOfAtom piece.Atom

            match lines.TryGetValue line with
            | true, count -> lines[line] <- count + 1
            | _ -> lines[line] <- 1

            if isNonTemporal || rules.VisibleIsDurable then
                awaiting.Add unit |> ignore

        pieces

    let nothing = List<Piece>()

    member _.Rules = rules

    /// The word as far as it is surely durable and kept here: no bits of it where the image has them.
    member _.DurableBits atom =
        match durable.TryGetValue atom with
        | true, bits -> bits
        | _ -> Bits.None

    /// The words that are surely durable and kept here.
    member _.Durable = durable

    /// A number that two of these share only where the same is durable here and the same pending.
    member _.StateHash =
        let mutable hash = durableHash

        for pair in pending do
            let mutable chain = SplitMix.of2 (uint64 pair.Key) 7UL
            let mutable event = -1

            for piece in pair.Value do
                let order =
                    (if piece.Event = event then 1UL else 0UL)
                    + (if piece.IsNonTemporal then 2UL else 0UL)

                event <- piece.Event

                chain <-
                    SplitMix.of2
                        chain
                        (SplitMix.of2 (uint64 piece.Atom + (order <<< 60)) (SplitMix.of2 piece.Value piece.Mask))

            hash <- hash ^^^ chain

        hash

    /// The pieces that may be durable, in program order, by unit.
    member _.Pending = pending

    member _.UnitOfAtom atom = unitOfAtom atom

    /// The pending pieces of a unit; null where there are none.
    member _.ViewOf unit : UnitView | null =
        match views.TryGetValue unit with
        | true, view -> view
        | _ ->
            match pending.TryGetValue unit with
            | true, pieces ->
                let view = UnitView(pieces.ToArray())
                views[unit] <- view
                view
            | _ -> null

    /// The pending pieces of a word, in program order.
    member _.ChainOf atom =
        match chains.TryGetValue atom with
        | true, chain -> chain
        | _ -> nothing

    /// Whether all that is known about these lines lies below.
    member _.IsQuiet(offset: int64, length: int64) =
        let mutable isQuiet = true

        if lines.Count > 0 && length > 0L then
            for line in CacheLine.indexOf offset .. CacheLine.indexOf (offset + length - 1L) do
                if lines.ContainsKey line then
                    isQuiet <- false

        isQuiet

    /// The pending pieces of a range of whole lines that a write-back covers.
    member _.CoveredBy(range: ByteRange) =
        [|
            for unit in unitsIn range do
                for piece in pending[unit] do
                    if isCovered range piece then
                        piece
        |]

    /// Whether anything is pending in a range.
    member _.HasPending(range: ByteRange) =
        unitsIn range
        |> Array.exists (fun unit -> pending[unit].Exists(fun piece -> range.Overlaps(Atoms.rangeOf piece.Atom)))

    /// The event begins: a store may now be durable. Returns the pieces that it adds.
    member _.Enter(index: int, event: PersistEvent) =
        match event with
        | Store(offset, bytes) -> store index offset bytes false
        | StoreNonTemporal(offset, bytes) -> store index offset bytes true
        | Execute _
        | Acknowledge _ -> nothing

    /// What the event makes durable when it takes effect.
    member _.Forces(event: PersistEvent) =
        let forced = List<Forced>()

        match event with
        | Execute(WriteBack(Clflush, range)) when rules.HasFences && not range.IsEmpty ->
            let lines = CacheLine.cover range

            for unit in unitsIn lines do
                select (isCovered lines) forced unit
        | Execute Fence when rules.HasFences -> fence forced [||]
        | Execute(SyncPages range) -> syncPages range forced
        | Acknowledge _ when rules.VisibleIsDurable ->
            // A promise counts as visible after everything before it.
            for unit in Array.sort (Seq.toArray pending.Keys) do
                select (fun piece -> not piece.IsNonTemporal) forced unit
        | _ -> ()

        forced

    /// The event takes effect.
    member _.Apply(event: PersistEvent, forced: List<Forced>) =
        Seq.iter settle forced

        match event with
        | Execute(WriteBack((Clwb | ClflushOpt | DcCvap | DcCvadp), range)) when rules.WritesBackLines ->
            writeBack (CacheLine.cover range)
        | _ -> ()
