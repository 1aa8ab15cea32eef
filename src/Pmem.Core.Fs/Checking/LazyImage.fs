namespace Pmem

open System
open System.Collections.Generic

/// Chooses where a word can have more than one value.
[<AbstractClass>]
type internal Choices() =
    /// One of this many, from 0; 0 is the value with the most stores durable.
    abstract Choose: atom: int64 * count: int -> int

/// Memory after a crash, read word by word. What it returns outside the mask is 0.
[<AbstractClass>]
type internal Source() =
    abstract ReadAtom: atom: int64 * mask: uint64 * choices: Choices -> uint64

    /// Whether every word has one value.
    abstract IsFlat: bool

/// Bytes as they are.
[<Sealed>]
type internal FlatSource(image: byte[]) =
    inherit Source()

    override _.IsFlat = true

    override _.ReadAtom(atom, mask, _) =
        let offset = int (atom * Atom.SizeBytes)
        let last = min 8 (image.Length - offset)
        Atoms.load (ReadOnlySpan image) offset 0 last &&& mask

/// The pending pieces of a unit, and what reads have settled about them.
[<Sealed>]
type internal UnitState(pieces: Piece[], keepsUnitOrder: bool) =
    let isIn: bool[] = Array.zeroCreate pieces.Length
    let isOut: bool[] = Array.zeroCreate pieces.Length
    let chains = Dictionary<int64, List<int>>()

    do
        for i in 0 .. pieces.Length - 1 do
            if not (chains.ContainsKey pieces[i].Atom) then
                chains[pieces[i].Atom] <- List()

            chains[pieces[i].Atom].Add i

    member _.Pieces = pieces

    /// Not lost for sure. With all of these durable the state is one of those still possible.
    member _.MayBeIn index = not isOut[index]

    member _.IsIn index = isIn[index]

    /// The numbers of the pieces that wrote a word, in program order; nothing where none did.
    member _.ChainOf atom =
        match chains.TryGetValue atom with
        | true, chain -> ValueSome chain
        | _ -> ValueNone

    member _.Include index =
        isIn[index] <- true
        Order.closeDown keepsUnitOrder pieces isIn

    member _.Exclude index =
        isOut[index] <- true
        Order.closeUp keepsUnitOrder pieces isOut

/// A step of narrowing: a piece was settled to be durable or lost. Replaying these gives the same image again.
[<Struct>]
type internal Narrowing = { Depth: int; Unit: int64; Index: int; IsIn: bool }

/// From so many durable stores of a word to so many it reads the same.
[<Struct>]
type internal Reading = { Fewest: int; Most: int; Bits: Bits }

/// <summary>Memory after a crash whose words are decided when they are read.</summary>
/// <remarks>
/// The idea is Jaaru's constraint refinement (Gorjiara, Xu, Demsky: ASPLOS 2021). The stores to a word are durable in
/// program order, so a word's value is how many of them are. The first read chooses among the values still possible;
/// the choice settles some pieces as durable, some as lost, and with them what the order in their unit implies. Both
/// sets are closed under that order, so every choice offered can be taken and no path is a dead end.
/// </remarks>
[<Sealed>]
type internal LazyLayer(depth: int, durability: Durability, lower: Source, log: List<Narrowing>) =
    inherit Source()
    let units = Dictionary<int64, UnitState>()
    let keepsUnitOrder = Model.keepsUnitOrder durability.Model

    let stateOf unit =
        match units.TryGetValue unit with
        | true, state -> ValueSome state
        | _ ->
            match durability.Pending.TryGetValue unit with
            | true, pieces ->
                let state = UnitState(pieces.ToArray(), keepsUnitOrder)
                units[unit] <- state
                ValueSome state
            | _ -> ValueNone

    let narrow unit (state: UnitState) index isIn =
        if isIn then state.Include index else state.Exclude index

        log.Add { Depth = depth; Unit = unit; Index = index; IsIn = isIn }

    let durableBits atom (mask: uint64) =
        let bits =
            match durability.Durable.TryGetValue atom with
            | true, bits -> bits
            | _ -> Bits.None

        // Where what lies below has one value, two counts that read the same there need no choice.
        let missing = mask &&& ~~~bits.Mask

        if lower.IsFlat && missing <> 0UL then
            bits.Under(lower.ReadAtom(atom, missing, Unchecked.defaultof<Choices>), missing)
        else
            bits

    /// The values that a word can still have, from the fewest durable stores to the most.
    let readings (state: UnitState) (chain: List<int>) (below: Bits) mask =
        let readings = List<Reading>()
        let mutable bits = below

        for count in 0 .. chain.Count do
            if count > 0 then
                let piece = state.Pieces[chain[count - 1]]
                bits <- bits.Under(piece.Value, piece.Mask)

            let isPossible =
                (count = chain.Count || not (state.IsIn chain[count]))
                && (count = 0 || state.MayBeIn chain[count - 1])

            if isPossible then
                let seen = { Value = bits.Value &&& mask; Mask = bits.Mask &&& mask }

                let last = readings.Count - 1

                if last >= 0 && readings[last].Bits = seen && readings[last].Most = count - 1 then
                    readings[last] <- { readings[last] with Most = count }
                else
                    readings.Add { Fewest = count; Most = count; Bits = seen }

        readings

    let choose atom unit (state: UnitState) (chain: List<int>) below mask (choices: Choices) =
        let readings = readings state chain below mask

        if readings.Count = 1 then
            readings[0].Bits
        else
            let chosen = readings[readings.Count - 1 - choices.Choose(atom, readings.Count)]

            if chosen.Fewest > 0 && not (state.IsIn chain[chosen.Fewest - 1]) then
                narrow unit state chain[chosen.Fewest - 1] true

            if chosen.Most < chain.Count && state.MayBeIn chain[chosen.Most] then
                narrow unit state chain[chosen.Most] false

            chosen.Bits

    override _.IsFlat = false

    override _.ReadAtom(atom, mask, choices) =
        let unit = durability.UnitOfAtom atom
        let below = durableBits atom mask

        let chain =
            match stateOf unit with
            | ValueSome state -> state.ChainOf atom |> ValueOption.map (fun chain -> struct (state, chain))
            | ValueNone -> ValueNone

        let bits =
            match chain with
            | ValueSome(struct (state, chain)) -> choose atom unit state chain below mask choices
            | ValueNone -> below

        let missing = mask &&& ~~~bits.Mask

        if missing = 0UL then
            bits.Value &&& mask
        else
            (bits.Value &&& mask) ||| lower.ReadAtom(atom, missing, choices)

    /// The layer below: an earlier crash, or the memory's first contents.
    member _.Lower = lower
    member _.Durability = durability

    /// Settles a piece as an earlier run did.
    member _.Replay(narrowing: Narrowing) =
        match stateOf narrowing.Unit with
        | ValueSome state -> narrow narrowing.Unit state narrowing.Index narrowing.IsIn
        | ValueNone -> invalidOp "A narrowing names a unit in which nothing is pending."

    /// Whether a piece is durable in the state that has as many durable stores as what was read leaves possible.
    member _.IsDurable(unit: int64, index: int) =
        match units.TryGetValue unit with
        | true, state -> state.MayBeIn index
        | _ -> true
