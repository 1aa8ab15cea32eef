namespace Pmem

open System

/// <summary>A data structure does not keep its promises, or it cannot be checked.</summary>
/// <remarks>The message has the operations, what was expected and found, and the report of the crash.</remarks>
[<Sealed>]
type DurabilityException internal (message: string, report: CrashReport | null, cause: exn | null) =
    inherit Exception(message, cause)

    /// The report of the crash check; null where none came to a verdict.
    member _.Report = report

module internal Complaint =
    let private operations (operations: 'Operation list) =
        match operations with
        | [] -> "No operation."
        | _ ->
            operations
            |> List.mapi (fun i operation -> String.Concat("  ", string (i + 1), ". ", States.text operation))
            |> String.concat "\n"
            |> (+) "Operations:\n"

    /// What is wrong, for these operations.
    let raiseOf (what: string) (all: 'Operation list) (report: CrashReport | null) (cause: exn | null) =
        let told =
            match report with
            | null -> ""
            | report -> String.Concat("\n", report.ToString())

        raise (DurabilityException(String.Concat(what, "\n", operations all, told), report, cause))
