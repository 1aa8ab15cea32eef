namespace Pmem

open System
open System.Collections.Generic

/// <summary>A trace that is kept: the length of a memory and what happened to it, in program order.</summary>
/// <remarks>As text it has one event a line; docs/traces.md describes the format. What memory held before the first event is
/// not in it.</remarks>
[<Sealed; AllowNullLiteral(false)>]
type PersistTrace(lengthBytes: int64, events: IEnumerable<RecordedEvent>) =
    do
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(lengthBytes, nameof lengthBytes)
        ArgumentNullException.ThrowIfNull(events, nameof events)

    let events = Array.ofSeq events

    /// The length of the memory, in bytes.
    member _.LengthBytes = lengthBytes

    /// What happened, in program order.
    member _.Events: IReadOnlyList<RecordedEvent> = Array.AsReadOnly events

    /// <summary>What a memory has recorded so far.</summary>
    /// <exception cref="T:System.ArgumentNullException">The memory is null.</exception>
    static member Of(memory: SimulatedMemory) =
        ArgumentNullException.ThrowIfNull(memory, nameof memory)
        PersistTrace(memory.Length, memory.Trace)

    /// <summary>The trace as lines of text, without line ends; <c>File.WriteAllLines</c> keeps them.</summary>
    member _.ToLines() : IEnumerable<string> =
        Seq.append
            [ TraceText.Heading; String.Concat("length ", Words.number lengthBytes) ]
            (Seq.map TraceText.ofEvent events)

    /// <summary>The trace of such lines, as <c>File.ReadLines</c> gives them.</summary>
    /// <exception cref="T:System.ArgumentNullException">There are no lines.</exception>
    /// <exception cref="T:System.FormatException">A line is none of the format, or an event lies outside the memory. The
    /// message names the line.</exception>
    static member Parse(lines: IEnumerable<string>) =
        ArgumentNullException.ThrowIfNull(lines, nameof lines)

        let said =
            lines
            |> Seq.mapi (fun i line -> struct (i + 1, line.Trim()))
            |> Seq.filter (fun struct (_, line) -> line.Length > 0 && not (line.StartsWith '#'))
            |> Seq.toArray

        match said with
        | [||] -> raise (FormatException "The trace is empty.")
        | _ when (let struct (_, heading) = said[0] in heading <> TraceText.Heading) ->
            raise (FormatException(String.Concat("A trace begins with \"", TraceText.Heading, "\".")))
        | [| _ |] -> raise (FormatException "The trace ends before its length.")
        | _ ->
            let struct (number, line) = said[1]
            let lengthBytes = TraceText.at number TraceText.lengthOf line

            let events =
                said[2..]
                |> Array.map (fun struct (number, line) -> TraceText.at number (TraceText.eventOf lengthBytes) line)

            PersistTrace(lengthBytes, events)

    /// <summary>The trace of a log that Valgrind's pmemcheck wrote with <c>--log-stores=yes</c>, as pmreorder reads it.</summary>
    /// <param name="lines">The lines of the log.</param>
    /// <param name="file">The mapped file to follow, by its path or its name; empty where the log has only one, or none.
    /// Without one, offset 0 is the page of the lowest address that was stored to.</param>
    /// <remarks>Its flushes are taken for CLWB, and its markers are left out. With
    /// <c>--log-stores-stacktraces=yes</c> stores know their source lines.</remarks>
    /// <exception cref="T:System.ArgumentNullException">There are no lines, or the file is null.</exception>
    /// <exception cref="T:System.FormatException">It is no such log, or the file is not in it, or it has several and none
    /// is named.</exception>
    static member ParsePmemcheck(lines: IEnumerable<string>, file: string) =
        ArgumentNullException.ThrowIfNull(lines, nameof lines)
        ArgumentNullException.ThrowIfNull(file, nameof file)
        let struct (lengthBytes, events) = PmemcheckLog.parse lines file
        PersistTrace(lengthBytes, events)
