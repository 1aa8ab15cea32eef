namespace Pmem

open System
open System.Collections.Generic

/// Memory after a crash, read word by word. What it returns outside the mask is 0.
[<AbstractClass>]
type internal Source() =
    abstract ReadAtom: atom: int64 * mask: uint64 * choices: Choices -> uint64

    /// Copies bytes that are known without a choice; false where it is not that simple.
    abstract TryCopy: offset: int64 * destination: Span<byte> -> bool

    /// Whether every word has one value.
    abstract IsFlat: bool

/// Bytes as they are.
[<Sealed>]
type internal FlatSource(image: byte[]) =
    inherit Source()

    override _.IsFlat = true

    override _.TryCopy(offset, destination) =
        image.AsSpan(int offset, destination.Length).CopyTo destination
        true

    override _.ReadAtom(atom, mask, _) =
        let offset = int (atom * Atom.SizeBytes)
        let last = min 8 (image.Length - offset)
        Atoms.load (ReadOnlySpan image) offset 0 last &&& mask

/// What reads have settled about the pending pieces of a unit.
[<Sealed>]
type internal UnitState(view: UnitView, keepsOrder: bool) =
    let pieces = view.Pieces
    let isIn: bool[] = Array.zeroCreate pieces.Length
    let isOut: bool[] = Array.zeroCreate pieces.Length

    member _.View = view

    /// Not lost for sure. With all of these durable the state is one of those still possible.
    member _.MayBeIn index = not isOut[index]

    member _.IsIn index = isIn[index]

    member _.Include index =
        isIn[index] <- true
        Order.closeDown keepsOrder pieces isIn

    member _.Exclude index =
        isOut[index] <- true
        Order.closeUp keepsOrder pieces isOut

/// From so many durable stores of a word to so many it reads the same.
[<Struct>]
type internal Reading = { Fewest: int; Most: int; Bits: Bits }

/// <summary>Memory after a crash whose words are decided when they are read.</summary>
/// <remarks>
/// The idea is Jaaru's constraint refinement (Gorjiara, Xu, Demsky: ASPLOS 2021). A word holds what its last durable store
/// left, so its value is told by how many of its stores are reflected. The first read chooses among the values still
/// possible; the choice settles some pieces as durable, some as lost, and with them what the order in their unit implies.
/// Both sets are closed under that order, so every choice offered can be taken and no path is a dead end.
/// </remarks>
[<Sealed>]
type internal LazyLayer(depth: int, durability: Durability, lower: Source, log: List<Narrowing>) =
    inherit Source()
    let units = Dictionary<int64, UnitState>()
    let keepsOrder = durability.Rules.KeepsOrder

    /// The unit that was read last, as a block is read line by line.
    let mutable lastUnit = -1L
    let mutable lastState: UnitState | null = null

    let findState unit : UnitState | null =
        match units.TryGetValue unit with
        | true, state -> state
        | _ ->
            match durability.ViewOf unit with
            | null -> null
            | view ->
                let state = UnitState(view, keepsOrder)
                units[unit] <- state
                state

    let stateOf unit : UnitState | null =
        if unit <> lastUnit then
            lastState <- findState unit
            lastUnit <- unit

        lastState

    let narrow unit (state: UnitState) index isIn =
        if isIn then state.Include index else state.Exclude index

        log.Add { Depth = depth; Unit = unit; Index = index; IsIn = isIn }

    let durableBits atom (mask: uint64) =
        let bits = durability.DurableBits atom

        // Where what lies below has one value, two counts that read the same there need no choice.
        let missing = mask &&& ~~~bits.Mask

        if lower.IsFlat && missing <> 0UL then
            bits.Under(lower.ReadAtom(atom, missing, Unchecked.defaultof<Choices>), missing)
        else
            bits

    /// How many stores of a word are reflected at least: up to the last one that is durable for sure.
    let fewest (state: UnitState) (chain: List<int>) =
        let mutable count = chain.Count

        while count > 0 && not (state.IsIn chain[count - 1]) do
            count <- count - 1

        count

    /// A non-temporal piece may be durable where the temporal ones before it are not: with the others in its unit that is
    /// another state, though the word reads the same.
    let isAnotherState (state: UnitState) (chain: List<int>) count =
        keepsOrder && state.View.Pieces[chain[count - 1]].IsNonTemporal

    /// The values that a word can still have, from the fewest reflected stores to the most.
    let readings (state: UnitState) (chain: List<int>) (below: Bits) mask =
        let readings = List<Reading>()
        let fewest = fewest state chain
        let mutable bits = below

        for count in 0 .. chain.Count do
            if count > 0 then
                let piece = state.View.Pieces[chain[count - 1]]
                bits <- bits.Under(piece.Value, piece.Mask)

            if count >= fewest && (count = 0 || state.MayBeIn chain[count - 1]) then
                let seen = { Value = bits.Value &&& mask; Mask = bits.Mask &&& mask }
                let last = readings.Count - 1

                if
                    last >= 0
                    && readings[last].Bits = seen
                    && readings[last].Most = count - 1
                    && not (isAnotherState state chain count)
                then
                    readings[last] <- { readings[last] with Most = count }
                else
                    readings.Add { Fewest = count; Most = count; Bits = seen }

        readings

    /// The usual case, a word that was stored once, without a list of readings.
    let chooseOne atom unit (state: UnitState) index (below: Bits) mask (choices: Choices) =
        let piece = state.View.Pieces[index]
        let stored = below.Under(piece.Value, piece.Mask)

        let isSame =
            stored.Value &&& mask = (below.Value &&& mask)
            && stored.Mask &&& mask = (below.Mask &&& mask)

        if state.IsIn index then
            stored
        elif not (state.MayBeIn index) || (isSame && not (keepsOrder && piece.IsNonTemporal)) then
            below
        else
            let isIn = choices.Choose(atom, 2) = 0
            narrow unit state index isIn
            if isIn then stored else below

    let choose atom unit (state: UnitState) (chain: List<int>) below mask (choices: Choices) =
        let readings = readings state chain below mask

        let chosen =
            if readings.Count = 1 then
                readings[0]
            else
                readings[readings.Count - 1 - choices.Choose(atom, readings.Count)]

        if readings.Count > 1 then
            if chosen.Fewest > 0 && not (state.IsIn chain[chosen.Fewest - 1]) then
                narrow unit state chain[chosen.Fewest - 1] true

            for later in chosen.Most .. chain.Count - 1 do
                if state.MayBeIn chain[later] then
                    narrow unit state chain[later] false

        chosen.Bits

    override _.IsFlat = false

    override _.TryCopy(offset, destination) =
        durability.IsQuiet(offset, int64 destination.Length)
        && lower.TryCopy(offset, destination)

    override _.ReadAtom(atom, mask, choices) =
        let unit = durability.UnitOfAtom atom
        let below = durableBits atom mask

        let bits =
            match stateOf unit with
            | null -> below
            | state ->
                match state.View.ChainOf atom with
                | null -> below
                | chain when chain.Count = 1 -> chooseOne atom unit state chain[0] below mask choices
                | chain -> choose atom unit state chain below mask choices

        let missing = mask &&& ~~~bits.Mask

        if missing = 0UL then
            bits.Value &&& mask
        else
            (bits.Value &&& mask) ||| lower.ReadAtom(atom, missing, choices)

    /// The layer below: an earlier crash, or the memory's first contents.
    member _.Lower = lower
    member _.Durability = durability
    member _.Depth = depth

    /// Settles a piece as an earlier run did, or beforehand; nothing where it is settled.
    member _.Settle(narrowing: Narrowing) =
        match stateOf narrowing.Unit with
        | null -> invalidOp "A narrowing names a unit in which nothing is pending."
        | state ->
            if not (state.IsIn narrowing.Index) && state.MayBeIn narrowing.Index then
                narrow narrowing.Unit state narrowing.Index narrowing.IsIn

    /// Whether a piece is not lost for sure.
    member _.MayBeIn(unit: int64, index: int) =
        match units.TryGetValue unit with
        | true, state -> state.MayBeIn index
        | _ -> true

    /// Whether a piece is reflected in the state that has as many durable stores as what was read leaves possible.
    member _.IsReflected(unit: int64, index: int) =
        match units.TryGetValue unit with
        | true, state ->
            match state.View.ChainOf state.View.Pieces[index].Atom with
            | null -> false
            | chain -> chain.Exists(fun later -> later >= index && state.MayBeIn later)
        | _ -> true
