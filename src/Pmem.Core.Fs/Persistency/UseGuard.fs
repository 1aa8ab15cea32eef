namespace Pmem

open System
open System.Threading

/// What one check has refused. A thread that did it may have kept it to itself, and may do it when its call has long returned.
[<Sealed>]
type internal Misuse() =
    let mutable words = ""

    member _.Note(refused: string) = Volatile.Write(&words, refused)

    member _.ThrowIfAny() =
        let refused = Volatile.Read &words

        if refused.Length > 0 then
            raise (InvalidOperationException refused)

/// Refuses what a check cannot follow: uses of a simulated memory from another thread than the one that it was given to, and
/// uses after the call that it was given to has returned.
[<Sealed>]
type internal UseGuard(who: string, misuse: Misuse) =
    let thread = Environment.CurrentManagedThreadId
    let mutable isOver = false

    let refuse (what: string) =
        misuse.Note(
            String.Concat(
                "The ",
                who,
                what,
                " A check follows one thread, from the call to the return: start no task or thread, and await nothing."
            )
        )

        misuse.ThrowIfAny()

    member _.Check() =
        if isOver then
            refuse " used its memory after it had returned."
        elif Environment.CurrentManagedThreadId <> thread then
            refuse " used its memory from another thread."

    /// From now on every use is refused.
    member _.End() = isOver <- true
