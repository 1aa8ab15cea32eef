namespace Pmem

open System
open System.Collections.Generic
open System.Runtime.CompilerServices
open System.Runtime.InteropServices

module internal Portrait =
    let private heading index =
        if index = 0 then "What happened" else "Then recovery ran, and did"

    /// The crashes of a counterexample, what recovery did after the last, and what it said.
    let private story (model: PersistencyModel) (title: string) (counterexample: CrashCounterexample) =
        let moments =
            [|
                for i in 0 .. counterexample.Crashes.Count - 1 do
                    let moment = counterexample.Crashes[i]
                    let crash = moment.Lines[moment.Lines.Length - 1].Trim().TrimStart('-').Trim()
                    { Scene.ofMoment model (heading i) moment moment.Indices with Crash = crash }
            |]

        let recovery =
            Scene.ofRecovery
                model
                "Then recovery ran"
                [|
                    for access in counterexample.Trail -> struct (access.Source, access.Range, access.Words)
                |]

        let closing =
            [|
                if counterexample.Acknowledged.Count > 0 then
                    String.Concat(
                        "Promised before the crash: ",
                        String.Join(", ", counterexample.Acknowledged |> Seq.map Words.number)
                    )
                counterexample.Failure.ToString()
            |]

        let description =
            String.Join(" ", counterexample.Lines |> Array.map (fun line -> line.Trim()))

        Drawing.ofScenes model title description closing (Array.append moments [| recovery |])

    let ofReport (report: CrashReport) =
        let lines = report.ToString().Split '\n'

        if report.HasCounterexample then
            story report.Model lines[0] report.Counterexample
        else
            Drawing.ofScenes report.Model lines[0] (report.ToString()) [||] [||]

    let ofTrace (model: PersistencyModel) (events: RecordedEvent[]) =
        let title =
            String.Concat(Words.count (int64 events.Length) "event", " under ", model.ToString())

        let description =
            String.Join("; ", events |> Seq.map (fun event -> event.ToString()))

        Drawing.ofScenes model title description [||] [| Scene.ofTrace model events |]

    let page (svg: string) =
        let title = svg.Substring(svg.IndexOf("<title>", StringComparison.Ordinal) + 7)
        let title = title.Substring(0, title.IndexOf("</title>", StringComparison.Ordinal))

        String.Concat(
            [|
                "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                "<meta name=\"color-scheme\" content=\"light dark\">\n<title>"
                title
                "</title>\n<style>body { margin: 0.5rem; font-family: system-ui, sans-serif } figure { margin: 0; overflow-x: auto }</style>\n"
                "</head>\n<body>\n<figure>\n"
                svg
                "</figure>\n</body>\n</html>\n"
            |]
        )

/// <summary>Traces, crashes and crash states as pictures: one self-contained SVG, or an HTML page around it.</summary>
/// <remarks>
/// Time runs down; a column is a cache line (a page, where the model has pages). A store is a box in its columns: filled
/// where it is durable, dashed and struck out where it was lost, both where it was torn. A bar leads from the stores that a
/// fence (or msync, or CLFLUSH) covers to it; a dotted fence covers nothing. Long traces are folded: at most 60 rows and 8
/// columns. The picture follows the reader's choice of light or dark; its text can be selected, and its description holds
/// the report. How it looks may change with any version.
/// </remarks>
[<AbstractClass; Sealed; Extension>]
type PictureExtensions =
    /// <summary>A crash report as SVG: the crashes, what recovery read, what it said; or, where there is no
    /// counterexample, the verdict.</summary>
    [<Extension>]
    static member ToSvg(report: CrashReport) : string =
        ArgumentNullException.ThrowIfNull(report, nameof report)
        Portrait.ofReport report

    /// A crash report as an HTML page around its SVG.
    [<Extension>]
    static member ToHtml(report: CrashReport) : string =
        Portrait.page (PictureExtensions.ToSvg report)

    /// <summary>A trace as SVG, and what of it is durable in the end under this model.</summary>
    [<Extension>]
    static member ToSvg(trace: IEnumerable<RecordedEvent>, model: PersistencyModel) : string =
        ArgumentNullException.ThrowIfNull(trace, nameof trace)
        let events = Seq.toArray trace
        Trace.requireBytes events
        Portrait.ofTrace model events

    /// A trace as an HTML page around its SVG.
    [<Extension>]
    static member ToHtml(trace: IEnumerable<RecordedEvent>, model: PersistencyModel) : string =
        Portrait.page (PictureExtensions.ToSvg(trace, model))

    /// <summary>Crash states, as <c>CrashStates.Enumerate</c> gives them, as SVG: a row a state, a column a word in which
    /// they differ; at most 64 rows and 8 columns.</summary>
    /// <exception cref="T:System.ArgumentException">The states differ in length.</exception>
    [<Extension>]
    static member ToSvg(states: IEnumerable<byte[]>) : string =
        ArgumentNullException.ThrowIfNull(states, nameof states)
        let states = Seq.toArray states

        if states |> Array.exists (fun state -> state.Length <> states[0].Length) then
            raise (ArgumentException("The states of one memory have one length.", nameof states))

        StateTable.draw (Words.count (int64 states.Length) "crash state") states

    /// Crash states as an HTML page around their SVG.
    [<Extension>]
    static member ToHtml(states: IEnumerable<byte[]>) : string =
        Portrait.page (PictureExtensions.ToSvg states)
