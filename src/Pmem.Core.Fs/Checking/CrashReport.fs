namespace Pmem

open System
open System.Collections.Generic

/// Diagnostics in lines, one for each source line and kind of mistake.
module internal DiagnosticLines =
    let private sourceOf diagnostic =
        match diagnostic with
        | NotFlushed store
        | NotDrained store
        | OverwrittenBeforeDurable(store, _) -> store.Source
        | FlushedTwice flush
        | FlushedClean flush -> flush.Source

    let private kindOf diagnostic =
        match diagnostic with
        | NotFlushed _ -> 0
        | NotDrained _ -> 1
        | FlushedTwice _ -> 2
        | FlushedClean _ -> 3
        | OverwrittenBeforeDurable _ -> 4

    /// The first of each group, and how many more there are of it.
    let ofAll (diagnostics: PersistDiagnostic[]) =
        diagnostics
        |> Array.groupBy (fun found -> struct (kindOf found, (sourceOf found).File, (sourceOf found).Line))
        |> Array.map (fun (_, group) ->
            let more = group.Length - 1

            if more = 0 then
                group[0].ToString()
            else
                String.Concat(
                    [|
                        group[0].ToString()
                        " ("
                        Words.number (int64 more)
                        " more of this line.)"
                    |]
                ))

/// What was tried where not everything was, and what was taken for granted.
type internal CrashCoverage =
    {
        MostParts: int
        Strength: int
        Assumed: string[]
        Explosion: Explosion voption
        IsCancelled: bool
    }

module internal CrashCoverage =
    /// What of the states was tried, in words.
    let tried coverage =
        let parts = Words.number (int64 coverage.MostParts)

        [|
            if coverage.MostParts < 0 then
                "not every crash point was visited"
            elif coverage.MostParts = 0 then
                "every crash point was visited"
            else
                String.Concat(
                    "every state with at most ",
                    parts,
                    (if coverage.MostParts = 1 then
                         " part lost or at most "
                     else
                         " parts lost or at most "),
                    String.Concat(parts, " durable")
                )

            if coverage.Strength = 1 then
                "both fates of each part"
            elif coverage.Strength > 1 then
                String.Concat("every combination of any ", Words.number (int64 coverage.Strength))
        |]

    let explosion (found: Explosion) =
        [|
            String.Concat(
                [|
                    "  The states explode at the crash before event "
                    Words.number (int64 found.CrashPoint)
                    ": recovery chooses among the states of "
                    Words.count (int64 found.Choices) "word"
                    ", most of them in"
                |]
            )
            String.Concat("    ", found.Read.ToString())
            match found.Store with
            | ValueSome store -> String.Concat("    stored by ", store.ToString())
            | ValueNone -> ()
            "  Read such a block with ReadValidated, make it durable in smaller steps, or raise the budget (WithBudget)."
        |]

/// <summary>What a crash check found; <c>ToString</c> is meant for a test log.</summary>
[<Sealed; AllowNullLiteral(false)>]
type CrashReport
    internal
    (
        options: CrashCheckOptions,
        verdict: CrashVerdict,
        recoveryRuns: int64,
        crashPoints: int,
        coverage: CrashCoverage,
        counterexamples: CrashCounterexample[],
        diagnostics: PersistDiagnostic[]
    ) =
    /// What was found.
    member _.Verdict = verdict

    member internal _.Model: PersistencyModel = options.Model

    /// <summary>How often recovery was run to explore states.</summary>
    /// <remarks>Not counted: runs that repeat a path to see whether recovery is deterministic, and those that shorten a
    /// counterexample.</remarks>
    member _.RecoveryRuns = recoveryRuns

    /// The crash points of the workload that can matter; with a counterexample, those that were visited.
    member _.CrashPoints = crashPoints

    /// Whether there is a counterexample.
    member _.HasCounterexample = counterexamples.Length > 0

    /// <summary>The state that recovery rejected.</summary>
    /// <exception cref="T:System.InvalidOperationException">There is none: the verdict is not Inconsistent.</exception>
    member _.Counterexample =
        if counterexamples.Length = 0 then
            raise (
                InvalidOperationException(
                    String.Concat("There is no counterexample: the verdict is \"", verdict.ToString(), "\".")
                )
            )

        counterexamples[0]

    /// The mistakes that the workload's trace shows without a crash.
    member _.Diagnostics: IReadOnlyList<PersistDiagnostic> = Array.AsReadOnly diagnostics

    /// <summary>Where not every state was tried: each state with at most so many parts (words, stores or lines) lost at a
    /// crash, or at most so many durable, was; -1 where not every crash point was visited.</summary>
    member _.MostParts = coverage.MostParts

    /// Where not every state was tried: each combination of the fates of any so many words was, in random runs. 0 where there is a
    /// counterexample, at which the search ended.
    member _.Strength = coverage.Strength

    /// What the verdict takes for granted, in words: nothing, unless recovery reads with ReadValidated.
    member _.Assumptions: IReadOnlyList<string> = Array.AsReadOnly coverage.Assumed

    /// <summary>Throws unless recovery accepted every state: for the end of a test.</summary>
    /// <exception cref="T:Pmem.CrashCheckException">The verdict is not Consistent. What was not tried, because the budget ran
    /// out, may be wrong.</exception>
    member report.ThrowUnlessConsistent() =
        match verdict with
        | CrashVerdict.Consistent -> ()
        | _ -> raise (CrashCheckException report)

    member private _.FirstLine =
        String.Concat(
            [|
                (match verdict with
                 | CrashVerdict.ConsistentSoFar when coverage.IsCancelled -> "Cancelled. Consistent so far"
                 | CrashVerdict.ConsistentSoFar -> "Consistent so far"
                 | _ -> verdict.ToString())
                (match verdict with
                 | CrashVerdict.ConsistentSoFar ->
                     String.Concat(": ", String.Join(", and ", CrashCoverage.tried coverage))
                 | _ -> "")
                " ("
                options.ToString()
                "): "
                Words.count recoveryRuns "recovery run"
                ", "
                Words.count (int64 crashPoints) "crash point"
                "."
            |]
        )

    member private _.DiagnosticLines =
        let texts = DiagnosticLines.ofAll diagnostics

        [|
            if texts.Length > 0 then
                "  Seen without a crash:"

            for words in Array.truncate Shown.Diagnostics texts do
                String.Concat("    ", words)

            if texts.Length > Shown.Diagnostics then
                String.Concat("    and ", Words.number (int64 (texts.Length - Shown.Diagnostics)), " more.")
        |]

    member private _.CoverageLines =
        [|
            for assumed in coverage.Assumed do
                String.Concat("  Taken for granted: ", assumed, ".")

            match coverage.Explosion with
            | ValueSome found -> yield! CrashCoverage.explosion found
            | ValueNone -> ()
        |]

    /// The verdict, the counterexample and the diagnostics, in lines.
    override report.ToString() =
        String.Join(
            "\n",
            [|
                report.FirstLine
                yield! report.CoverageLines
                for counterexample in counterexamples do
                    yield! counterexample.Lines
                yield! report.DiagnosticLines
            |]
        )

/// A crash check did not come to "Consistent, exhaustively". The message is the report.
and [<Sealed; AllowNullLiteral(false)>] CrashCheckException internal (report: CrashReport) =
    inherit Exception(report.ToString())

    /// What was found.
    member _.Report = report

/// A crash check was cancelled. What it had found is not lost.
[<Sealed; AllowNullLiteral(false)>]
type CrashCheckCanceledException internal (report: CrashReport, token: Threading.CancellationToken) =
    inherit OperationCanceledException(report.ToString(), token)

    /// What had been found.
    member _.Report = report
