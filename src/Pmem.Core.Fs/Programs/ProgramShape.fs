namespace Pmem

open System.Collections.Generic

/// How a program was put together: the free monoid over writes with one idempotent generator, the barrier. A tree, so that
/// composing is one allocation, whatever its parts.
[<ReferenceEquality>]
type internal ProgramShape =
    | Nothing
    | Barrier
    | Write of PersistWrite
    | Then of ProgramShape * ProgramShape
    /// The source line of every write below that has none of its own.
    | From of SourceLine * ProgramShape

/// What a program says, whatever its tree: equal programs have equal ones.
[<NoComparison; NoEquality>]
type internal ProgramForm =
    {
        /// A barrier comes before the first write. It parts it from the last write of what is put before.
        IsClosedBefore: bool
        /// None is without writes.
        Epochs: PersistEpoch[]
        /// A barrier comes after the last write.
        IsClosedAfter: bool
    }

/// One walk through a tree, without recursion: it may lean either way, and be as deep as it has writes.
[<Sealed>]
type internal ProgramWalk() =
    let work = Stack<struct (ProgramShape * SourceLine)>()
    let epochs = List<PersistEpoch>()
    let current = List<PersistWrite>()
    let mutable isClosedBefore = false
    let mutable isClosed = false

    let close () =
        if current.Count > 0 then
            epochs.Add(PersistEpoch(current.ToArray()))
            current.Clear()

    let barrier () =
        isClosedBefore <- isClosedBefore || (current.Count = 0 && epochs.Count = 0)
        isClosed <- true
        close ()

    let write (write: PersistWrite) (source: SourceLine) =
        isClosed <- false
        current.Add(if write.Source.IsKnown then write else write.From source)

    let visit shape (source: SourceLine) =
        match shape with
        | Nothing -> ()
        | Barrier -> barrier ()
        | Write it -> write it source
        | Then(first, second) ->
            work.Push(struct (second, source))
            work.Push(struct (first, source))
        // The innermost line is the nearest to the write.
        | From(inner, shape) -> work.Push(struct (shape, (if inner.IsKnown then inner else source)))

    member _.Run(shape: ProgramShape) =
        work.Push(struct (shape, SourceLine.Unknown))

        while work.Count > 0 do
            let struct (shape, source) = work.Pop()
            visit shape source

        close ()

        {
            IsClosedBefore = isClosedBefore
            Epochs = epochs.ToArray()
            IsClosedAfter = isClosed
        }
