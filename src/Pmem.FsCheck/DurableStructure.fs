namespace Pmem

open System
open System.Collections.Generic
open System.Reflection
open System.Runtime.CompilerServices
open System.Threading.Tasks
open FsCheck
open FsCheck.FSharp

module internal Requirement =
    /// async void: the call returns before the work is done.
    let synchronous (name: string) (code: Delegate) =
        ArgumentNullException.ThrowIfNull(code, name)

        if not (isNull (code.Method.GetCustomAttribute<AsyncStateMachineAttribute>())) then
            raise (
                ArgumentException(
                    "It is asynchronous: it returns before its stores are made, and a crash check follows one thread. "
                    + "Give a function that has ended when it returns.",
                    name
                )
            )

    let private isAsynchronous (state: Type) =
        typeof<Task>.IsAssignableFrom state
        || state = typeof<ValueTask>
        || (state.IsGenericType
            && (state.GetGenericTypeDefinition() = typedefof<Async<_>>
                || state.GetGenericTypeDefinition() = typedefof<ValueTask<_>>))

    let valueState<'State> () =
        if isAsynchronous typeof<'State> then
            raise (ArgumentException("The state is a task: the model and recover return the state itself.", "recover"))

/// <summary>A data structure in persistent memory and what it is to be: durability as one property.</summary>
/// <remarks>
/// <para>The property generates lists of operations, performs each on a recorded memory and promises it, crashes at every point
/// that matters, recovers, and demands durable linearizability: what is recovered is the model after all promised operations, or
/// after these and the one that was in flight. It also demands that a second recovery finds the same, and that the structure can
/// be used after recovery, and crash again.</para>
/// <para>Immutable: each <c>With…</c> returns a changed structure. Budgets are small and lists many: 100 lists are one run of a
/// property. Stores of one thread, and power failures, are simulated; see <see cref="T:Pmem.CrashCheck"/>.</para>
/// </remarks>
/// <typeparam name="'Operation">What can be done to the structure; FsCheck generates it, or <c>WithOperations</c> says how.</typeparam>
/// <typeparam name="'State">What the structure holds, as an immutable value: a list, a map. Sequences and dictionaries are equal
/// where their elements are.</typeparam>
[<Sealed>]
type DurableStructure<'Operation, 'State>
    private (subject: Subject<'Operation, 'State>, operation: Arbitrary<'Operation> | null, mostOperations: int) =

    /// <summary>A structure.</summary>
    /// <param name="image">What memory holds, durably, before the first operation.</param>
    /// <param name="initial">The state of that.</param>
    /// <param name="apply">Performs an operation on a memory, durably when it returns. It must depend on nothing else, and end
    /// when it returns.</param>
    /// <param name="model">The state after an operation. It must return a new state, and throw for none.</param>
    /// <param name="recover">What memory holds, after a crash too. It may store, to repair, and is then crashed as well.</param>
    /// <exception cref="T:System.ArgumentException">A function is asynchronous.</exception>
    new
        (
            image: byte[],
            initial: 'State,
            apply: Action<'Operation, IPersistentMemory>,
            model: Func<'Operation, 'State, 'State>,
            recover: Func<IPersistentMemory, 'State>
        ) =
        ArgumentNullException.ThrowIfNull(image, nameof image)
        Requirement.synchronous (nameof apply) apply
        Requirement.synchronous (nameof model) model
        Requirement.synchronous (nameof recover) recover
        Requirement.valueState<'State>()

        DurableStructure(
            {
                Image = Array.copy image
                Initial = initial
                Apply = apply
                Model = model
                Recover = recover
                Comparer = States.comparer
                Invariant = null
                IsBuffered = false
                Continued = 1
                Options = CrashCheckOptions.Default.WithBudget 400L
            },
            null,
            8
        )

    member private _.Change(subject) =
        DurableStructure(subject, operation, mostOperations)

    /// With operations from this generator.
    member _.WithOperations(operations: Arbitrary<'Operation>) =
        DurableStructure(subject, operations, mostOperations)

    /// <summary>With lists of at most this many operations; 8 unless it is said.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">It is less than 1.</exception>
    member _.WithMostOperations(count: int) =
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1)
        DurableStructure(subject, operation, count)

    /// Checked in this way: the model of persistency, the budget for each list (400 recovery runs unless it is said), how often
    /// recovery is crashed.
    member structure.WithOptions(options: CrashCheckOptions) =
        structure.Change { subject with Options = options }

    /// Buffered: any prefix of the operations that were promised may be what a crash leaves, but nothing that is none.
    member structure.Buffered() =
        structure.Change { subject with IsBuffered = true }

    /// Demanding of every recovered memory that this holds of it and its state: that no block is lost, say.
    member structure.WithInvariant(holds: Func<IPersistentMemory, 'State, bool>) =
        structure.Change { subject with Invariant = holds }

    /// With states compared in this way.
    member structure.WithEquality(comparer: IEqualityComparer<'State>) =
        structure.Change { subject with Comparer = comparer }

    /// <summary>Going on with this many operations after each recovery; 1 unless it is said, 0 for a structure that is only
    /// read.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">It is negative.</exception>
    member structure.WithContinued(operations: int) =
        ArgumentOutOfRangeException.ThrowIfNegative(operations)
        structure.Change { subject with Continued = operations }

    member private _.Each =
        match operation with
        | null -> ArbMap.defaults |> ArbMap.arbitrary<'Operation>
        | operation -> operation

    /// <summary>Checks one list of operations, as a test of a case that was found once.</summary>
    /// <exception cref="T:Pmem.DurabilityException">A crash loses what was promised, or the structure cannot be
    /// checked.</exception>
    member _.Check(operations: IEnumerable<'Operation>) =
        DurabilityRun(subject, List.ofSeq operations).Run()

    /// The property: no crash loses what was promised.
    member structure.IsDurable: Property =
        Prop.forAll (OperationLists(structure.Each, mostOperations).Arbitrary) (fun operations ->
            DurabilityRun(subject, operations).Run())

    /// <summary>The property on memory that is real, a <c>PmemMapping</c> of a file for instance: it is closed and opened again at
    /// random, and must then hold what the model says. Nothing crashes.</summary>
    /// <param name="create">Makes the memory anew, for each list: at least as long as the image.</param>
    /// <param name="reopen">Opens what was closed. A memory that is IDisposable is closed by that.</param>
    member structure.SurvivesReopening(create: Func<IPersistentMemory>, reopen: Func<IPersistentMemory>) : Property =
        let each = structure.Each

        let step =
            Arb.fromGenShrink (
                Gen.frequency [ 3, Gen.map Performs each.Generator; 1, Gen.constant Reopens ],
                function
                | Performs operation -> each.Shrinker operation |> Seq.map Performs
                | Reopens -> Seq.empty
            )

        Prop.forAll (OperationLists(step, 4 * mostOperations).Arbitrary) (fun steps ->
            ReopenedRun(subject, create, reopen, steps).Run())
