namespace Pmem

open System
open System.Collections.Generic

/// Chooses where a word can have more than one value.
[<AbstractClass>]
type internal Choices() =
    /// One of this many, from 0; 0 is the value with the most stores durable.
    abstract Choose: atom: int64 * count: int -> int

/// A choice that a recovery run met: which was taken, of how many, for which word, after which accesses.
[<Struct>]
type internal Taken =
    {
        Chosen: int
        Count: int
        Atom: int64
        History: uint64
        /// The word was read by itself, not as a part of something longer.
        IsAlone: bool
    }

/// A step of narrowing: a piece was settled to be durable or lost. Replaying these gives the same image again.
[<Struct>]
type internal Narrowing = { Depth: int; Unit: int64; Index: int; IsIn: bool }

/// How a random fate is drawn: for each word by itself, or for all words of a line together.
[<Struct>]
type internal Fates = { Seed: uint64; IsByLine: bool }

/// <summary>A path of choices, as a value: it can be printed, and taken again.</summary>
/// <remarks>First the pieces that are settled beforehand, then the choices that are given, then what is chosen where none
/// is given: random fates, or one of the two ends.</remarks>
type internal ChoicePath =
    {
        Settled: Narrowing[]
        Given: Taken[]
        Fates: Fates voption
        /// Where nothing else is said: as few stores durable as can be, not as many.
        IsLost: bool
    }

    static member Durable = { Settled = [||]; Given = [||]; Fates = ValueNone; IsLost = false }

    static member Lost = { ChoicePath.Durable with IsLost = true }

    static member Random seed isByLine =
        { ChoicePath.Durable with
            Fates = ValueSome { Seed = seed; IsByLine = isByLine }
        }

    /// What a run took, to be taken again.
    static member Of(taken: Taken[]) =
        { ChoicePath.Durable with Given = taken }

    /// <summary>As in <c>durable but 3:1 17:1</c>: the choices that are given and are not 0.</summary>
    override path.ToString() =
        let ends =
            match path.Fates with
            | ValueSome fates -> String.Concat("fates ", Words.number (int64 fates.Seed))
            | ValueNone -> if path.IsLost then "lost" else "durable"

        let given =
            path.Given
            |> Array.mapi (fun i taken -> String.Concat(Words.number (int64 i), ":", Words.number (int64 taken.Chosen)))

        let settled =
            path.Settled
            |> Array.map (fun piece ->
                String.Concat(
                    (if piece.IsIn then "+" else "-"),
                    Words.number piece.Unit,
                    ".",
                    Words.number (int64 piece.Index)
                ))

        String.Join(
            " ",
            Array.concat
                [
                    [| ends |]
                    (if given.Length + settled.Length > 0 then [| "but" |] else [||])
                    settled
                    given
                ]
        )

/// Takes a path, and notes each choice. Where recovery then asks something else than the path was noted with, it is not a
/// function of what it reads.
[<Sealed>]
type internal Chooser(path: ChoicePath) =
    inherit Choices()
    let taken = List<Taken>()
    let mutable history = 0xCBF29CE484222325UL
    let mutable hasStrayed = false
    let mutable isAlone = true

    /// The last access alone.
    let mutable access = struct (0L, 0, 0UL)

    let mix (value: uint64) =
        history <- (history ^^^ value) * 0x9E3779B97F4A7C15UL
        history <- history ^^^ (history >>> 29)

    let byFate (fates: Fates) (atom: int64) count =
        let part =
            if fates.IsByLine then CacheLine.indexOf (atom * Atom.SizeBytes) else atom

        let fate = SplitMix.of2 fates.Seed (uint64 part)

        if fates.IsByLine then
            (if fate &&& 1UL = 0UL then 0 else count - 1)
        else
            int (fate % uint64 count)

    let given atom count =
        let expected = path.Given[taken.Count]

        if expected.Atom <> atom || expected.Count <> count || expected.History <> history then
            hasStrayed <- true
            raise (InvalidOperationException "Recovery is not deterministic.")

        expected.Chosen

    override _.Choose(atom, count) =
        let chosen =
            if taken.Count < path.Given.Length then
                given atom count
            else
                match path.Fates with
                | ValueSome fates -> byFate fates atom count
                | ValueNone -> if path.IsLost then count - 1 else 0

        taken.Add
            {
                Chosen = chosen
                Count = count
                Atom = atom
                History = history
                IsAlone = isAlone
            }

        mix (uint64 chosen)
        chosen

    /// Choices so far.
    member _.Position = taken.Count

    /// What was chosen so far.
    member _.Taken = taken.ToArray()

    /// A number that two runs share only where they accessed and chose the same so far.
    member _.History = history

    /// Whether the run that has ended asked what it was told that the run before it asked.
    member _.WasFollowed = not hasStrayed && taken.Count >= path.Given.Length

    /// A number for the last access alone.
    member _.Fingerprint =
        let struct (offset, length, what) = access
        SplitMix.of2 (SplitMix.of2 (uint64 offset) (uint64 length)) what

    /// A read or a store begins.
    member _.Note(offset: int64, length: int, isStore: bool) =
        isAlone <- length <= int Atom.SizeBytes
        access <- struct (offset, length, 0UL)
        mix (uint64 offset)
        mix ((uint64 length <<< 1) ||| (if isStore then 1UL else 0UL))

    member _.Note(stored: ReadOnlySpan<byte>) =
        let mutable i = 0

        while i < stored.Length do
            let last = min 8 (stored.Length - i)
            let mutable value = 0UL

            for j in 0 .. last - 1 do
                value <- value ||| (uint64 stored[i + j] <<< (8 * j))

            mix value

            let struct (offset, length, what) = access
            access <- struct (offset, length, SplitMix.of2 what value)
            i <- i + 8

    member _.Note(call: PersistEvent) =
        access <- struct (-1L, 0, 0UL)

        match call with
        | Execute(WriteBack(_, range)) ->
            mix 3UL
            mix (uint64 range.Offset)
            mix (uint64 range.Length)
        | Acknowledge operation ->
            mix 4UL
            mix (uint64 operation)
        | _ -> mix 5UL
