namespace Pmem

open System.Collections.Generic

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014): the same numbers on every
/// runtime, as a seed in a test log must give.
module internal SplitMix =
    let mix (state: uint64) =
        let a = (state ^^^ (state >>> 30)) * 0xBF58476D1CE4E5B9UL
        let b = (a ^^^ (a >>> 27)) * 0x94D049BB133111EBUL
        b ^^^ (b >>> 31)

    let next (state: uint64) = state + 0x9E3779B97F4A7C15UL

    /// A number that depends on both.
    let of2 (left: uint64) (right: uint64) = mix (next (mix (next left) ^^^ right))

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

    /// The bits that were stored over since, for the linter.
    member val Covered = 0UL with get, set

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
            let first = int (Bounds.offsetInUnit Atom.SizeBytes at)
            let count = int (min (Atom.SizeBytes - int64 first) (last - at))
            visit (Bounds.unitOf Atom.SizeBytes at) first (first + count) (int (at - offset))
            at <- at + int64 count

    /// The bytes [first, last) of a word, from an array.
    let load (bytes: System.ReadOnlySpan<byte>) (index: int) (first: int) (last: int) =
        if last - first = 8 then
            System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(bytes.Slice(index, 8))
        else
            let mutable value = 0UL

            for i in first .. last - 1 do
                value <- value ||| (uint64 bytes[index + i - first] <<< (8 * i))

            value

    /// Writes bytes of a word into an image; those that lie after its end are left out.
    let write (image: byte[]) (atom: int64) (bits: Bits) =
        for i in 0..7 do
            let offset = int (atom * Atom.SizeBytes) + i

            if bits.Mask >>> (8 * i) &&& 1UL = 1UL && offset < image.Length then
                image[offset] <- byte (bits.Value >>> (8 * i))

    let pieces (event: int) (offset: int64) (bytes: byte[]) isNonTemporal =
        let pieces = List<Piece>()

        forEach offset (int64 bytes.Length) (fun atom first last index ->
            let value = load (System.ReadOnlySpan bytes) index first last
            pieces.Add(Piece(event, atom, value, maskOf first last, isNonTemporal)))

        pieces

    let rangeOf (atom: int64) =
        ByteRange(atom * Atom.SizeBytes, min Atom.SizeBytes (System.Int64.MaxValue - atom * Atom.SizeBytes))

/// The order inside a unit. Pieces come in program order. Where units keep their order and a temporal piece is durable, so
/// is each temporal piece of an earlier store to the unit; the pieces of one store have no order. The pieces of one word
/// need no rule here: what a word holds is what its last durable piece left there.
module internal Order =
    /// Extends a set of durable pieces by what must be durable with them. One pass from the last piece to the first.
    let closeDown keepsOrder (pieces: IReadOnlyList<Piece>) (isIn: bool[]) =
        if keepsOrder then
            let mutable latest = -1

            for i in pieces.Count - 1 .. -1 .. 0 do
                let piece = pieces[i]

                if not piece.IsNonTemporal && (isIn[i] || piece.Event < latest) then
                    isIn[i] <- true
                    latest <- max latest piece.Event

    /// Extends a set of lost pieces by what must be lost with them. One pass from the first piece to the last.
    let closeUp keepsOrder (pieces: IReadOnlyList<Piece>) (isOut: bool[]) =
        if keepsOrder then
            let mutable earliest = System.Int32.MaxValue

            for i in 0 .. pieces.Count - 1 do
                let piece = pieces[i]

                if not piece.IsNonTemporal && (isOut[i] || piece.Event > earliest) then
                    isOut[i] <- true
                    earliest <- min earliest piece.Event

/// The pending pieces of a unit, as they are at one crash point.
[<Sealed>]
type internal UnitView(pieces: Piece[]) =
    let chains = Dictionary<int64, List<int>>()

    do
        for i in 0 .. pieces.Length - 1 do
            match chains.TryGetValue pieces[i].Atom with
            | true, chain -> chain.Add i
            | _ ->
                let chain = List<int>()
                chain.Add i
                chains[pieces[i].Atom] <- chain

    member _.Pieces = pieces

    /// The numbers of the pieces that wrote a word, in program order; null where none did.
    member _.ChainOf atom : List<int> | null =
        match chains.TryGetValue atom with
        | true, chain -> chain
        | _ -> null
