namespace Pmem

open System
open System.Collections.Generic
open System.Threading

/// What is checked: a recovery, on memory of this length.
type internal Subject =
    {
        Options: CrashCheckOptions
        Image: byte[]
        Recovery: Func<CrashedMemory, bool>
        Misuse: Misuse
    }

    member subject.Rules = ModelRules.of' subject.Options.Model

/// Sees what an async void method leaves outstanding: its builder tells the context when it begins and ends, and the context
/// gets what is to go on later.
[<Sealed>]
type internal NothingLater() =
    inherit SynchronizationContext()
    let mutable outstanding = 0

    member _.HasOutstanding = Volatile.Read &outstanding > 0

    override _.OperationStarted() =
        Interlocked.Increment &outstanding |> ignore

    override _.OperationCompleted() =
        Interlocked.Decrement &outstanding |> ignore

    // What is posted is dropped: it would run when nobody follows it any more.
    override _.Post(_, _) =
        Interlocked.Increment &outstanding |> ignore

    override context.CreateCopy() = context

module internal Guarded =
    /// Calls something that must have ended when it returns, on this thread.
    let run (who: string) misuse (memory: SimulatedMemory) (call: unit -> 'T) =
        let guard = UseGuard(who, misuse)
        memory.GuardWith guard
        let context = NothingLater()
        let before = SynchronizationContext.Current
        SynchronizationContext.SetSynchronizationContext context

        try
            let result = call ()
            misuse.ThrowIfAny()

            if context.HasOutstanding then
                raise (
                    InvalidOperationException(
                        String.Concat(
                            "The ",
                            who,
                            " is asynchronous: it had not ended when it returned (async void, as a lambda with await is). Make it synchronous; a check cannot follow what goes on later."
                        )
                    )
                )

            result
        finally
            SynchronizationContext.SetSynchronizationContext before
            guard.End()

/// What one recovery run did.
type internal RecoveryRun =
    {
        Failure: RecoveryFailure voption
        Trace: IReadOnlyList<RecordedEvent>
        Taken: Taken[]
        /// Before each event: how many choices were made.
        ChoicesAt: List<int>
        /// Before each event: how many narrowings were logged.
        NarrowingsAt: List<int>
        Log: List<Narrowing>
        /// The last accesses, where they were asked for.
        Trail: Access[]
        History: uint64
        Accesses: int64
        HasLookedAtPromises: bool
        WasFollowed: bool
    }

    /// Whether a crash during it can leave what a crash before it could not: another state, or a promise.
    member run.CanBeCrashed =
        run.Trace
        |> Seq.exists (fun recorded ->
            match recorded.Event with
            | Trace.AnyStore _
            | Acknowledge _ -> true
            | _ -> false)

module internal RecoveryRun =
    let private judge (subject: Subject) (memory: CrashedMemory) (watch: Watch) =
        try
            let isAccepted =
                Guarded.run "recovery" subject.Misuse memory (fun () ->
                    try
                        Ok(subject.Recovery.Invoke memory)
                    with error ->
                        Error error)

            match isAccepted with
            | _ when watch.IsOver -> ValueSome watch.Failure
            | Ok true -> ValueNone
            | Ok false -> ValueSome RecoveryFailure.ReturnedFalse
            | Error(:? OperationCanceledException as error) when subject.Options.Cancellation.IsCancellationRequested ->
                raise error
            | Error error -> ValueSome(RecoveryFailure.Threw error)
        with :? BoundException ->
            ValueSome watch.Failure

    /// Runs recovery once on a crashed image.
    let run (subject: Subject) source (chooser: Chooser) log acknowledged readBlock isTelling =
        let watch = Watch(subject.Options.AccessBound, chooser, isTelling)
        let backing = CrashedBacking(source, log, watch, readBlock)

        let memory =
            CrashedMemory(int64 subject.Image.Length, subject.Options.Model, backing, acknowledged)

        let failure = judge subject memory watch

        {
            Failure = failure
            Trace = memory.Trace
            Taken = chooser.Taken
            ChoicesAt = backing.ChoicesAt
            NarrowingsAt = backing.NarrowingsAt
            Log = log
            Trail = watch.Kept
            History = chooser.History
            Accesses = watch.Accesses
            HasLookedAtPromises = memory.HasLookedAtPromises
            WasFollowed = chooser.WasFollowed
        }
