namespace Pmem

open System.Collections.Generic

/// How far a crash has been explored, for the words of the verdict and for taking turns.
type internal Level =
    /// A few paths: all, if there are no more.
    | Few = 0
    /// Each word that recovery reads by itself, each store and each line, lost alone or durable alone.
    | Parts = 1
    /// Each word lost alone or durable alone.
    | Words = 2
    /// Random fates.
    | Fates = 3
    /// Two stores or two lines, or two words that are read by themselves.
    | PairsOfParts = 4
    /// Two words.
    | PairsOfWords = 5
    | All = 6

/// A step of an exploration.
[<Struct>]
type internal Step =
    /// A path to run.
    | Try of Path: ChoicePath
    /// Everything up to here was tried.
    | Reached of Level: Level

/// What an exploration sees of what it tries.
type internal ITried =
    /// The choices of the run that has just ended.
    abstract Taken: Taken[]

    /// The stores and the lines that a run chose in, each settled as durable or as lost.
    abstract Groups: taken: Taken[] * isIn: bool -> struct (Narrowing[][] * Narrowing[][])

/// <summary>In which order the states after a crash are tried.</summary>
/// <remarks>
/// A few depth first: most crashes have no more. Where they do, limited discrepancy (Harvey, Ginsberg: Limited discrepancy
/// search, IJCAI 1995) from both ends: everything durable but k, everything lost but k, for k = 1 and 2; between
/// the two, random fates. Then the rest, depth first. The crashes take turns after each level.
/// </remarks>
module internal Exploration =
    /// Few, but enough for what most structures leave at a crash: these, and one for each choice up to 100.
    let private few = 40

    let private mostForChoices = 100

    /// Rows of random fates: enough for three parts of 512 to have met in every combination, 99 times in 100
    /// (512 choose 3, times 8, times (7/8)^n, is under 0.01), by the line and by the word.
    let rows = 180

    let private ends = [ ChoicePath.Durable; ChoicePath.Lost ]

    /// All ways to choose otherwise, at one position of a path that was run.
    let private otherwise (path: ChoicePath) (taken: Taken[]) position =
        seq {
            for chosen in 0 .. taken[position].Count - 1 do
                if chosen <> taken[position].Chosen then
                    let given = Array.sub taken 0 (position + 1)
                    given[position] <- { given[position] with Chosen = chosen }
                    Try { path with Given = given }
        }

    /// k choices from a position on, of those that are selected, made otherwise than the path makes them. The path has been
    /// run: these are the choices that it met.
    let rec private deviate (tried: ITried) path (taken: Taken[]) first k (select: Taken -> bool) : Step seq =
        seq {
            for position in first .. taken.Length - 1 do
                if select taken[position] then
                    for step in otherwise path taken position do
                        yield step

                        if k > 1 then
                            match step with
                            | Try path -> yield! deviate tried path tried.Taken (position + 1) (k - 1) select
                            | Reached _ -> ()
        }

    /// From both ends.
    let private words (tried: ITried) k select =
        seq {
            for path in ends do
                yield Try path
                yield! deviate tried path tried.Taken 0 k select
        }

    /// Stores and lines lost together, with all else durable; durable together, with all else lost.
    let private parts (tried: ITried) k =
        seq {
            for path in ends do
                yield Try path
                let struct (stores, lines) = tried.Groups(tried.Taken, path.IsLost)

                for groups in [ stores; lines ] do
                    for i in 0 .. groups.Length - 1 do
                        if k = 1 then
                            yield Try { path with Settled = groups[i] }
                        else
                            for j in i + 1 .. groups.Length - 1 do
                                yield Try { path with Settled = Array.append groups[i] groups[j] }
        }

    let private fates first =
        seq {
            for row in first .. first + rows - 1 do
                yield Try(ChoicePath.Random (SplitMix.mix (uint64 row)) (row % 2 = 0))
        }

    let private isAlone (taken: Taken) = taken.IsAlone
    let private any (_: Taken) = true

    let steps (tried: ITried) : Step seq =
        seq {
            let path = ref (ValueSome ChoicePath.Durable)
            let runs = ref 0

            let most = ref 1

            while path.Value.IsSome && runs.Value < most.Value do
                yield Try path.Value.Value

                if runs.Value = 0 then
                    most.Value <- few + min mostForChoices tried.Taken.Length

                path.Value <- DepthFirst.next tried.Taken
                runs.Value <- runs.Value + 1

            if path.Value.IsSome then
                yield Reached Level.Few
                yield! words tried 1 isAlone
                yield! parts tried 1
                yield Reached Level.Parts
                yield! words tried 1 any
                yield Reached Level.Words
                yield! fates 1
                yield Reached Level.Fates
                yield! words tried 2 isAlone
                yield! parts tried 2
                yield Reached Level.PairsOfParts
                yield! words tried 2 any
                yield Reached Level.PairsOfWords

                while path.Value.IsSome do
                    yield Try path.Value.Value
                    path.Value <- DepthFirst.next tried.Taken

            yield Reached Level.All
        }

    /// Random fates for ever, from a seed.
    let sample (seed: int64) : Step seq =
        0UL
        |> Seq.unfold (fun row -> Some(Try(ChoicePath.Random (SplitMix.of2 (uint64 seed) row) false), row + 1UL))

/// <summary>Which combinations of the fates of parts were seen, in random runs.</summary>
/// <remarks>A covering array, checked and not assumed (Colbourn: Combinatorial aspects of covering arrays, 2004): strength
/// t says that each combination of the fates of any t parts was tried.</remarks>
[<Sealed>]
type internal Combinations() =
    /// More parts than these are not counted: the strength is then not known.
    let mostParts = 1024
    let lost = Dictionary<int64, List<uint64>>()
    let durable = Dictionary<int64, List<uint64>>()
    let mutable row = 0

    let mark (columns: Dictionary<int64, List<uint64>>) part =
        match columns.TryGetValue part with
        | true, _ -> ()
        | _ -> columns[part] <- List<uint64>()

        let column = columns[part]

        while column.Count <= row / 64 do
            column.Add 0UL

        column[row / 64] <- column[row / 64] ||| (1UL <<< (row % 64))

    let columnOf (columns: Dictionary<int64, List<uint64>>) part =
        let words = Array.zeroCreate (row / 64 + 1)

        match columns.TryGetValue part with
        | true, column -> column.CopyTo words
        | _ -> ()

        words

    /// Whether a row has all of these fates.
    let isSeen (a: uint64[]) (b: uint64[]) (c: uint64[]) =
        let mutable isSeen = false

        for i in 0 .. a.Length - 1 do
            if a[i] &&& b[i] &&& c[i] <> 0UL then
                isSeen <- true

        isSeen

    /// Whether every combination of two fates of a part with two of another, and with this fate, was seen.
    let arePairsSeen (fates: uint64[][][]) first (third: uint64[]) =
        let mutable all = true
        let mutable i = first

        while all && i < fates.Length do
            for j in i + 1 .. fates.Length - 1 do
                if all then
                    for a in fates[i] do
                        for b in fates[j] do
                            all <- all && isSeen a b third

            i <- i + 1

        all

    let areTriplesSeen (fates: uint64[][][]) =
        fates
        |> Seq.indexed
        |> Seq.forall (fun (i, fate) -> Array.forall (arePairsSeen fates (i + 1)) fate)

    /// The strength that was reached: 0 to 3; of more than 96 parts, to 2.
    let strength () =
        let parts =
            Seq.append lost.Keys durable.Keys |> Seq.distinct |> Seq.sort |> Seq.toArray

        let fates =
            parts |> Array.map (fun part -> [| columnOf lost part; columnOf durable part |])

        let everything = Array.create (row / 64 + 1) ~~~0UL

        if row = 0 || parts.Length > mostParts then
            0
        elif not (Array.forall (Array.forall (fun fate -> isSeen fate fate fate)) fates) then
            0
        elif fates.Length < 2 || not (arePairsSeen fates 0 everything) then
            1
        elif fates.Length < 3 || fates.Length > 96 || not (areTriplesSeen fates) then
            2
        else
            3

    /// A random run: the words that it chose in, with the most stores durable or with fewer.
    member _.Add(taken: Taken[]) =
        for choice in taken do
            mark (if choice.Chosen = 0 then durable else lost) choice.Atom

        row <- row + 1

    /// Any so many fates were seen in every combination.
    member _.Strength = strength ()
