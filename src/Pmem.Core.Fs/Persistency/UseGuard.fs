namespace Pmem

open System

/// Refuses what a check cannot follow: uses of a simulated memory from another thread than the one that it was given to, and
/// uses after the call that it was given to has returned.
[<Sealed>]
type internal UseGuard(who: string) =
    let thread = Environment.CurrentManagedThreadId
    let mutable isOver = false
    let mutable misuse = ""

    let refuse (what: string) =
        misuse <-
            String.Concat(
                "The ",
                who,
                what,
                " A check follows one thread, from the call to the return: start no task or thread, and await nothing."
            )

        raise (InvalidOperationException misuse)

    member _.Check() =
        if isOver then
            refuse " used its memory after it had returned."
        elif Environment.CurrentManagedThreadId <> thread then
            refuse " used its memory from another thread."

    /// From now on every use is refused.
    member _.End() = isOver <- true

    /// Throws what was refused, though the thread that did it may have kept it to itself.
    member _.ThrowIfMisused() =
        if misuse.Length > 0 then
            raise (InvalidOperationException misuse)
