namespace Pmem

open System

/// What a crash check found.
[<RequireQualifiedAccess>]
type CrashVerdict =
    /// Recovery accepted every state that a crash can leave behind.
    | Consistent
    /// Recovery accepted every state that was tried; the budget or the sampling left others out.
    | ConsistentSoFar
    /// Recovery rejected a state that a crash can leave behind.
    | Inconsistent

    /// In words.
    override verdict.ToString() =
        match verdict with
        | Consistent -> "Consistent, exhaustively"
        | ConsistentSoFar -> "Consistent so far, not exhaustively"
        | Inconsistent -> "Inconsistent"

/// How recovery rejected a state.
[<RequireQualifiedAccess>]
type RecoveryFailure =
    /// It returned false.
    | ReturnedFalse
    /// It threw.
    | Threw of Exception: exn
    /// It had not ended after so many accesses (reads, stores, flushes, drains and promises), and did the same over and
    /// over.
    | Looped of Accesses: int64
    /// It had not ended after so many accesses, but was still getting on.
    | Unfinished of Accesses: int64

    /// In words.
    override failure.ToString() =
        match failure with
        | ReturnedFalse -> "Recovery returned false."
        | Threw error -> String.Concat("Recovery threw ", error.GetType().Name, ": ", error.Message)
        | Looped accesses ->
            String.Concat("Recovery loops: it had not ended after ", Words.number accesses, " accesses.")
        | Unfinished accesses ->
            String.Concat(
                "Recovery is unfinished after ",
                Words.number accesses,
                " accesses: allow it more (WithAccessBound) if it is right to take so many."
            )

    /// Whether both are the same value.
    static member op_Equality(left: RecoveryFailure, right: RecoveryFailure) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: RecoveryFailure, right: RecoveryFailure) = not (Object.Equals(left, right))
