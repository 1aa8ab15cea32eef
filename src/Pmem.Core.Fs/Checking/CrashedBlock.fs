namespace Pmem

open System
open System.Collections.Generic

/// The states of a block that a validator accepts, one that it refuses, and whether all states were tried.
type internal BlockStates =
    {
        /// The first is the block with as much durable as can be.
        Paths: ChoicePath[]
        IsComplete: bool
    }

/// <summary>A block of one store, each word of which is durable or lost whatever the others are.</summary>
/// <remarks>A state with a word or a group changed is then put together of the two ends, which is far cheaper than reading it.
/// </remarks>
[<Sealed>]
type internal LooseBlock(offset: int64, durable: byte[], lost: byte[], durability: Durability) =
    let state = Array.zeroCreate<byte> durable.Length

    let change (from: byte[]) atom =
        let range = Atoms.rangeOf atom
        let first = max 0L (range.Offset - offset)
        let last = min (int64 state.Length) (range.End - offset)
        Array.blit from (int first) state (int first) (int (last - first))

    /// Whether nothing but one store is pending in the units of a run's choices, and no word of it twice.
    static member Is(layers: LazyLayer list, taken: Taken[]) =
        let isOfOneStore (layer: LazyLayer) unit =
            match layer.Durability.ViewOf unit with
            | null -> false
            | view ->
                let isAlone (piece: Piece) =
                    match view.ChainOf piece.Atom with
                    | null -> false
                    | chain -> chain.Count = 1

                view.Pieces
                |> Array.forall (fun piece ->
                    piece.Event = view.Pieces[0].Event && piece.Mask = ~~~0UL && isAlone piece)

        match layers with
        | [ layer ] ->
            taken
            |> Seq.map (fun choice -> layer.Durability.UnitOfAtom choice.Atom)
            |> Seq.distinct
            |> Seq.forall (isOfOneStore layer)
        | _ -> false

    /// The bytes of an end, but for the last choice that is given and for what is settled.
    member _.State(path: ChoicePath) =
        let here, there = if path.IsLost then lost, durable else durable, lost
        here.CopyTo(state, 0)

        for piece in path.Settled do
            match durability.ViewOf piece.Unit with
            | null -> ()
            | view -> change there view.Pieces[piece.Index].Atom

        if path.Given.Length > 0 then
            change there path.Given[path.Given.Length - 1].Atom

        state

/// <summary>A block that is read with its validator: torn states are tried on the validator alone.</summary>
/// <remarks>Recovery is then run for the whole block, for one invalid one, and for each torn one that is valid.</remarks>
[<Sealed>]
type internal CrashedBlock(offset: int64, length: int, isValid: BlockValidator) =
    /// The most states that the validator is tried on; and the most valid ones, which are kept apart.
    let mostTries = 1500

    let mostValid = 256

    /// The most lines of which all pairs are tried.
    let mostLines = 128

    let bytes = Array.zeroCreate<byte> length
    let valid = HashSet<byte[]>(ImageComparer())
    let paths = List<ChoicePath>()
    let mutable taken: Taken[] = [||]
    let mutable layers: LazyLayer list = []
    let mutable hasInvalid = false
    let mutable tries = 0

    let read (backing: CrashedBacking) source (path: ChoicePath) =
        let chooser = Chooser path
        chooser.Note(offset, length, false)
        backing.ReadFrom(source, chooser, offset, Span bytes)
        chooser.Taken

    /// What a line that is settled changes in the block: where, and to what.
    let patchOf (whole: byte[]) =
        let first = bytes.AsSpan().CommonPrefixLength(ReadOnlySpan whole)
        let mutable last = length

        while last > first && bytes[last - 1] = whole[last - 1] do
            last <- last - 1

        struct (first, Array.sub bytes first (last - first))

    /// Calls with the pairs of patches that, together, make a valid block of the whole one.
    let validPairs (whole: byte[]) (patches: struct (int * byte[])[]) visit =
        let torn = Array.copy whole

        let put (patch: struct (int * byte[])) =
            let struct (at, changed) = patch
            changed.CopyTo(torn, at)

        let takeBack (patch: struct (int * byte[])) =
            let struct (at, changed) = patch
            Array.blit whole at torn at changed.Length

        for i in 0 .. patches.Length - 1 do
            for j in i + 1 .. patches.Length - 1 do
                put patches[i]
                put patches[j]

                if isValid.Invoke(ReadOnlySpan torn) then
                    visit i j

                takeBack patches[i]
                takeBack patches[j]

    let attempt (backing: CrashedBacking) (fork: Narrowing[] -> struct (LazyLayer list * Source)) (path: ChoicePath) =
        let struct (forked, source) = fork path.Settled
        layers <- forked
        taken <- read backing source path
        tries <- tries + 1
        let found = { path with Given = taken }

        if isValid.Invoke(ReadOnlySpan bytes) then
            if valid.Add(Array.copy bytes) then
                paths.Add found
        elif not hasInvalid then
            hasInvalid <- true
            paths.Add found

    /// Two lines lost, or two durable, made of what each does by itself: thousands a millisecond. What the validator accepts is
    /// then read as it is, for lines that depend on each other cannot be put together so.
    let attemptPairs attempt (path: ChoicePath) =
        attempt path
        let whole = Array.copy bytes
        let struct (_, lines) = Situation.groups layers taken path.IsLost

        if lines.Length <= mostLines then
            let patches =
                lines
                |> Array.map (fun line ->
                    attempt { path with Settled = line }
                    patchOf whole)

            validPairs whole patches (fun i j ->
                if valid.Count < mostValid then
                    attempt { path with Settled = Array.append lines[i] lines[j] })

    let looseOf attempt =
        attempt ChoicePath.Lost
        let lost = Array.copy bytes
        attempt ChoicePath.Durable

        if LooseBlock.Is(layers, taken) then
            ValueSome(LooseBlock(offset, Array.copy bytes, lost, layers.Head.Durability))
        else
            ValueNone

    /// One word or group that is not as in the rest, and not valid.
    let isRefused (loose: LooseBlock voption) (path: ChoicePath) =
        match loose with
        | ValueSome block when hasInvalid && path.Settled.Length + path.Given.Length > 0 ->
            not (isValid.Invoke(ReadOnlySpan(block.State path)))
        | _ -> false

    /// Tries the states of the block, each on memory as this run has left it.
    member _.States(backing: CrashedBacking, fork: Narrowing[] -> struct (LazyLayer list * Source)) =
        let attempt = attempt backing fork
        let mutable isComplete = false
        let mutable loose = ValueNone

        let tried =
            { new ITried with
                member _.Taken = taken
                member _.Groups(choices, isIn) = Situation.groups layers choices isIn
            }

        use steps = (Exploration.steps tried).GetEnumerator()

        while not isComplete
              && tries < mostTries
              && valid.Count < mostValid
              && steps.MoveNext() do
            match steps.Current with
            | Try path when isRefused loose path -> tries <- tries + 1
            | Try path -> attempt path
            | Reached Level.All -> isComplete <- true
            | Reached Level.Few -> loose <- looseOf attempt
            | Reached Level.Words -> loose <- ValueNone
            | Reached _ -> ()

        if not isComplete && valid.Count < mostValid then
            attemptPairs attempt ChoicePath.Durable
            attemptPairs attempt ChoicePath.Lost

        { Paths = paths.ToArray(); IsComplete = isComplete }

    /// Reads the block in the state that was chosen, and says whether it is valid.
    member _.Take(backing: CrashedBacking, path: ChoicePath, destination: Memory<byte>) =
        read backing backing.Source path |> ignore
        bytes.CopyTo destination
        isValid.Invoke(ReadOnlySpan bytes)
