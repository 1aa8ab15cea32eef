namespace Pmem

open System
open System.ComponentModel
open System.Runtime.CompilerServices
open System.Runtime.InteropServices

/// <summary>Builds a <see cref="T:Pmem.PersistProgram"/> in <c>persist { … }</c>.</summary>
/// <remarks>
/// Each statement is a program of its own: <c>write</c>, <c>writeInt64</c> and so on, <c>barrier</c>, any program by itself
/// or after <c>yield!</c>; and there are <c>let</c>, <c>let mutable</c>, <c>if</c>, <c>match</c>, <c>for</c>, <c>while</c>,
/// <c>use</c> and <c>try</c>. The compiler says on which line each statement stands, and reports name it. Never write
/// <c>yield</c> without the exclamation mark: it turns the bare statements of a block off, with no more than warning FS0020.
/// </remarks>
[<Sealed; EditorBrowsable(EditorBrowsableState.Never)>]
type PersistBuilder internal () =
    let from (program: PersistProgram) file line =
        PersistProgram(From(SourceLine(file, line), program.Shape))

    /// A block that writes nothing.
    member _.Zero() = PersistProgram.Empty

    /// A write, a barrier or any program that stands by itself.
    member _.Yield
        (
            program: PersistProgram,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) =
        from program file line

    /// <summary>A program after <c>yield!</c>.</summary>
    member _.YieldFrom
        (
            program: PersistProgram,
            [<CallerFilePath; Optional; DefaultParameterValue("")>] file: string,
            [<CallerLineNumber; Optional; DefaultParameterValue(0)>] line: int
        ) =
        from program file line

    /// A part of a block, which is run when its turn comes.
    member _.Delay(body: unit -> PersistProgram) = body

    /// The whole block.
    member _.Run(body: unit -> PersistProgram) = body ()

    /// A statement and those after it.
    member _.Combine(first: PersistProgram, rest: unit -> PersistProgram) = first.Append(rest ())

    /// A loop over a sequence.
    member _.For(items: 'T seq, body: 'T -> PersistProgram) =
        PersistProgram.Concat(Seq.map body items)

    /// A loop with a condition.
    member _.While(guard: unit -> bool, body: unit -> PersistProgram) =
        let mutable all = PersistProgram.Empty

        while guard () do
            all <- all.Append(body ())

        all

    /// A resource that is disposed after the statements that follow.
    member _.Using(resource: 'T :> IDisposable, body: 'T -> PersistProgram) =
        use resource = resource
        body resource

    /// <summary><c>try … finally</c></summary>
    member _.TryFinally(body: unit -> PersistProgram, last: unit -> unit) =
        try
            body ()
        finally
            last ()

    /// <summary><c>try … with</c></summary>
    member _.TryWith(body: unit -> PersistProgram, handler: exn -> PersistProgram) =
        try
            body ()
        with error ->
            handler error

/// <summary>The <c>persist { … }</c> expression and its words.</summary>
[<AutoOpen; EditorBrowsable(EditorBrowsableState.Never)>]
module PersistSyntax =
    open Pmem.FSharp

    /// <summary>A persistent update: <c>persist { write 64L bytes; barrier; writeInt64 0L 72L }</c>.</summary>
    let persist = PersistBuilder()

    /// Writes bytes at an offset.
    let write (offset: int64) (bytes: byte[]) = PersistProgram.write offset bytes

    /// Writes a value as it lies in memory at an offset.
    let writeValue offset value = PersistProgram.writeValue offset value

    /// Writes one byte at an offset.
    let writeByte (offset: int64) (value: byte) = PersistProgram.writeValue offset value

    /// Writes 4 little-endian bytes at an offset.
    let writeInt32 (offset: int64) (value: int32) = PersistProgram.writeValue offset value

    /// Writes 8 little-endian bytes at an offset: never torn where the offset is a multiple of 8.
    let writeInt64 (offset: int64) (value: int64) = PersistProgram.writeValue offset value

    /// Makes everything so far durable before anything that follows.
    let barrier = PersistProgram.barrier
