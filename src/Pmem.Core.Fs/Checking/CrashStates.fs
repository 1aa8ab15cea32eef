namespace Pmem

open System
open System.Buffers.Binary
open System.Collections.Generic

[<Sealed>]
type internal ImageComparer() =
    interface IEqualityComparer<byte[]> with
        member _.Equals(left, right) =
            ReadOnlySpan(left).SequenceEqual(ReadOnlySpan right)

        member _.GetHashCode image =
            let mutable hash = HashCode()
            hash.AddBytes(ReadOnlySpan image)
            hash.ToHashCode()

module internal Images =
    /// The distinct contents of words whose stores may be in order; calls before each that it tries.
    let private contentsOf image durability (atoms: int64[]) (trying: unit -> unit) =
        let found = HashSet<byte[]>(ImageComparer())

        DepthFirst.all (fun choices ->
            trying ()
            let layer = LazyLayer(0, durability, FlatSource image, List())
            let contents = Array.zeroCreate (atoms.Length * 8)

            for i in 0 .. atoms.Length - 1 do
                let value = layer.ReadAtom(atoms[i], ~~~0UL, choices)
                BinaryPrimitives.WriteUInt64LittleEndian(contents.AsSpan(8 * i), value)

            found.Add contents |> ignore
            true)

        Seq.toArray found

    /// The pending words in groups that do not depend on each other: units, or words where units keep no order.
    let private groups (durability: Durability) =
        let atoms =
            durability.Pending.Values
            |> Seq.map (Seq.map (fun piece -> piece.Atom) >> Seq.distinct >> Seq.toArray)
            |> Seq.toArray

        if durability.Rules.KeepsOrder then
            atoms
        else
            Array.collect (Array.map Array.singleton) atoms

    /// Calls with every image at a crash, given what is durable there.
    let atCrash (image: byte[]) (crash: Crash) (trying: unit -> unit) (visit: byte[] -> unit) =
        let groups = groups crash.Durability

        let contents =
            groups
            |> Array.map (fun atoms -> contentsOf image crash.Durability atoms trying)

        let current = Array.copy image

        let rec choose group =
            if group = groups.Length then
                visit (Array.copy current)
            else
                for chosen in contents[group] do
                    let atoms = groups[group]

                    for i in 0 .. atoms.Length - 1 do
                        let value = BinaryPrimitives.ReadUInt64LittleEndian(ReadOnlySpan(chosen, 8 * i, 8))
                        Atoms.write current (atoms[i]) { Value = value; Mask = ~~~0UL }

                    choose (group + 1)

        choose 0

module internal StateList =
    [<Literal>]
    let MaxStates = 65536

    /// Visits may repeat a state: bounded too.
    [<Literal>]
    let private MaxVisits = 4194304

    /// 256 MiB.
    [<Literal>]
    let private MaxTotalBytes = 268435456L

    let private explode model =
        raise (
            InvalidOperationException(
                String.Concat(
                    "The trace has too many crash states under ",
                    model.ToString(),
                    " to list (the bound is 65536 states and 256 MiB). Shorten it, or use CrashCheck, which does not list them."
                )
            )
        )

    let enumerate (model: PersistencyModel) (image: byte[]) (events: PersistEvent seq) =
        ArgumentNullException.ThrowIfNull(image, nameof image)
        ArgumentNullException.ThrowIfNull(events, nameof events)
        let trace = Trace.ofEvents events
        Trace.check (int64 image.Length) trace
        let seen = HashSet<byte[]>(ImageComparer())
        let states = List<byte[]>()
        let mutable visits = 0

        let trying () =
            visits <- visits + 1

            if visits > MaxVisits then
                explode model

        let visit state =
            trying ()

            if seen.Add state then
                states.Add state

            if
                states.Count > MaxStates
                || int64 states.Count * int64 image.Length > MaxTotalBytes
            then
                explode model

        let durable = Array.copy image

        CrashPoints.walk (ModelRules.of' model) durable trace (fun crash ->
            Images.atCrash durable crash trying visit
            true)

        states.ToArray()

    let ofProgram (model: PersistencyModel) (image: byte[]) (program: PersistProgram) =
        let memory = RecordedMemory(image, model)
        program.RunOn(memory, "", 0)
        enumerate model image (memory.Trace |> Seq.map (fun recorded -> recorded.Event))

/// <summary>Every state that a power failure can leave behind.</summary>
[<AbstractClass; Sealed>]
type CrashStates =
    /// <summary>The distinct contents of memory after a power failure at any point of the trace, the first contents
    /// among them.</summary>
    /// <param name="model">What is guaranteed.</param>
    /// <param name="image">What memory holds before the first event; it is left as it is.</param>
    /// <param name="events">The trace, in program order.</param>
    /// <exception cref="T:System.ArgumentException">An event lies outside the memory.</exception>
    /// <exception cref="T:System.InvalidOperationException">There are more than 65 536 states, or they take more than
    /// 256 MiB together.</exception>
    static member Enumerate
        (model: PersistencyModel, image: byte[], events: IEnumerable<PersistEvent>)
        : IReadOnlyList<byte[]> =
        StateList.enumerate model image events

    /// <summary>The distinct contents of memory after a power failure at any point of a program, before its first write
    /// and after its last drain included.</summary>
    /// <param name="model">What is guaranteed.</param>
    /// <param name="image">What memory holds before the program; it is left as it is.</param>
    /// <param name="program">The program.</param>
    /// <exception cref="T:System.ArgumentOutOfRangeException">A write does not lie in the memory.</exception>
    /// <exception cref="T:System.InvalidOperationException">There are too many states to list.</exception>
    static member OfProgram(model: PersistencyModel, image: byte[], program: PersistProgram) : IReadOnlyList<byte[]> =
        ArgumentNullException.ThrowIfNull(program, nameof program)
        StateList.ofProgram model image program

namespace Pmem.FSharp

open Pmem

/// Every state that a power failure can leave behind.
module CrashStates =
    /// <summary>The most states that are listed, 65 536. What has more is what <c>CrashCheck</c> is for.</summary>
    [<Literal>]
    let MaxStates = 65536

    /// <summary>
    /// The distinct contents of memory after a power failure at any point of the trace, the first contents among them.
    /// </summary>
    /// <remarks>Complete: no state that the model allows is left out. The order is deterministic but means nothing. The
    /// image given is left as it is.</remarks>
    /// <exception cref="T:System.ArgumentException">An event lies outside the memory.</exception>
    /// <exception cref="T:System.InvalidOperationException">There are more than 65 536 states, or they take more than
    /// 256 MiB together.</exception>
    let enumerate (model: PersistencyModel) (image: byte[]) (events: PersistEvent seq) =
        List.ofSeq (CrashStates.Enumerate(model, image, events))

    /// <summary>The distinct contents of memory after a power failure at any point of a program, before its first write
    /// and after its last drain included.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">A write does not lie in the memory.</exception>
    /// <exception cref="T:System.InvalidOperationException">There are too many states to list.</exception>
    let ofProgram (model: PersistencyModel) (image: byte[]) (program: PersistProgram) =
        List.ofSeq (CrashStates.OfProgram(model, image, program))
