namespace Pmem

/// What the core decides is a value, or the reason of a refusal; the executor makes the exception.
module internal Decision =
    /// Nothing, or the refusal where the condition does not hold.
    let require condition (refusal: Refusal) =
        if condition then Ok() else Error refusal

/// Decisions in sequence; the first refusal ends it.
type internal DecisionBuilder() =
    member _.Bind(decision: Result<'T, Refusal>, next: 'T -> Result<'U, Refusal>) = Result.bind next decision
    member _.Return value : Result<_, Refusal> = Ok value
    member _.Zero() : Result<unit, Refusal> = Ok()

[<AutoOpen>]
module internal DecisionSyntax =
    let decision = DecisionBuilder()
