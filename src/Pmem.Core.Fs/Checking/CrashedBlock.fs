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

/// <summary>A block that is read with its validator: torn states are tried on the validator alone.</summary>
/// <remarks>Recovery is then run for the whole block, for one invalid one, and for each torn one that is valid.</remarks>
[<Sealed>]
type internal CrashedBlock(offset: int64, length: int, isValid: BlockValidator) =
    /// The most states that the validator is tried on; and the most valid ones, which are kept apart.
    static let mostTries = 1500

    static let mostValid = 256

    let bytes = Array.zeroCreate<byte> length

    let read (backing: CrashedBacking) source (path: ChoicePath) =
        let chooser = Chooser path
        chooser.Note(offset, length, false)
        backing.ReadFrom(source, chooser, offset, Span bytes)
        chooser.Taken

    /// Tries the states of the block, each on memory as this run has left it.
    member _.States(backing: CrashedBacking, fork: Narrowing[] -> struct (LazyLayer list * Source)) =
        let mutable taken = [||]
        let mutable layers = []
        let valid = HashSet<byte[]>(ImageComparer())
        let paths = List<ChoicePath>()
        let mutable hasInvalid = false
        let mutable tries = 0
        let mutable isComplete = false

        let tried =
            { new ITried with
                member _.Taken = taken
                member _.Groups(choices, isIn) = Situation.groups layers choices isIn
            }

        let attempt (path: ChoicePath) =
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

        use steps = (Exploration.steps tried).GetEnumerator()

        while not isComplete
              && tries < mostTries
              && valid.Count < mostValid
              && steps.MoveNext() do
            match steps.Current with
            | Try path -> attempt path
            | Reached Level.All -> isComplete <- true
            | Reached _ -> ()

        { Paths = paths.ToArray(); IsComplete = isComplete }

    /// Reads the block in the state that was chosen, and says whether it is valid.
    member _.Take(backing: CrashedBacking, path: ChoicePath, destination: Memory<byte>) =
        read backing backing.Source path |> ignore
        bytes.CopyTo destination
        isValid.Invoke(ReadOnlySpan bytes)
