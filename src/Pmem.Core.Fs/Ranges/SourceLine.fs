namespace Pmem

open System

/// <summary>A line of a source file: where a store, a flush, a drain or a read was called for.</summary>
/// <remarks>Reports name it. The compiler fills in file and line where a caller leaves them out.</remarks>
[<Struct; CustomEquality; NoComparison>]
type SourceLine =
    val private file: string

    /// The number of the line, from 1; 0 where it is not known.
    val Line: int

    /// The path of the file, as the compiler gave it, and the number of the line, from 1.
    new(file: string, line: int) = { file = file; Line = line }

    /// A line that is not known.
    static member Unknown = SourceLine("", 0)

    /// The path of the file, as the compiler gave it; empty where it is not known.
    member source.File =
        // The default value of the struct has no string.
        match source.file with
        | null -> ""
        | file -> file

    /// Whether the line is known.
    member source.IsKnown = source.File.Length > 0

    /// Whether both are the same line of the same file.
    member source.Equals(other: SourceLine) =
        source.Line = other.Line && String.Equals(source.File, other.File)

    override source.Equals other =
        match other with
        | :? SourceLine as other -> source.Equals other
        | _ -> false

    override source.GetHashCode() =
        HashCode.Combine(source.File, source.Line)

    /// <summary>As in <c>Journal.cs:17</c>: the name alone, for a report is read by someone who has another directory.
    /// <c>(unknown)</c> where it is not known.</summary>
    override source.ToString() =
        if source.IsKnown then
            let name = source.File.Substring(source.File.LastIndexOfAny [| '/'; '\\' |] + 1)
            String.Concat(name, ":", Words.number (int64 source.Line))
        else
            "(unknown)"

    /// Whether both are the same line of the same file.
    static member op_Equality(left: SourceLine, right: SourceLine) = left.Equals right

    /// Whether the lines differ.
    static member op_Inequality(left: SourceLine, right: SourceLine) = not (left.Equals right)

    interface IEquatable<SourceLine> with
        member source.Equals other = source.Equals other
