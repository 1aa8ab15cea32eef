namespace Pmem

open System
open System.Collections.Generic

module internal Checking =
    let private describe (events: RecordedEvent[]) index =
        if index < events.Length then events[index].ToString() else "nothing any more"

    let private compare (first: RecordedEvent[]) (second: RecordedEvent[]) =
        let mutable i = 0

        while i < first.Length && i < second.Length && first[i] = second[i] do
            i <- i + 1

        if i < first.Length || i < second.Length then
            raise (
                InvalidOperationException(
                    String.Concat(
                        [|
                            "The workload is not deterministic: event "
                            Words.number (int64 i)
                            " was "
                            describe first i
                            " in one run, and in the next "
                            describe second i
                            ". It must depend on nothing but the memory that it is given."
                        |]
                    )
                )
            )

    let private once (options: CrashCheckOptions) misuse image (workload: Action<RecordedMemory>) =
        let memory = RecordedMemory(image, options.Model)
        Guarded.run "workload" misuse memory (fun () -> workload.Invoke memory)
        Seq.toArray memory.Trace

    /// Runs a workload, twice: what cannot be repeated cannot be crashed at each of its points.
    let record options misuse image workload =
        let first = once options misuse image workload
        compare first (once options misuse image workload)
        first

    let private requireEvents (events: RecordedEvent[]) =
        if events.Length = 0 then
            raise (
                ArgumentException(
                    "There is nothing to crash: no store, flush, drain or promise was recorded.",
                    nameof events
                )
            )

    let private counterexamples subject events (searched: Searched) =
        match searched.Finding with
        | ValueSome finding ->
            let found = CrashShrink(subject, events).Run(finding, searched.Undone)
            [| Story(subject, found).Tell(Repair(subject, found).Find()) |]
        | ValueNone -> [||]

    let private report subject events (searched: Searched) isCancelled =
        let options = subject.Options

        let verdict =
            if searched.Finding.IsSome then CrashVerdict.Inconsistent
            elif searched.IsComplete then CrashVerdict.Consistent
            else CrashVerdict.ConsistentSoFar

        CrashReport(
            options,
            verdict,
            searched.Runs,
            searched.Points,
            {
                MostParts = searched.MostParts
                Strength = searched.Strength
                Assumed = searched.Assumed
                Explosion = searched.Explosion
                IsCancelled = isCancelled
            },
            counterexamples subject events searched,
            Linter(options.Model, events).Run()
        )

    let run (options: CrashCheckOptions) misuse (image: byte[]) (events: RecordedEvent[]) recovery =
        requireEvents events
        Trace.check (int64 image.Length) events

        let subject =
            {
                Options = options
                Image = Array.copy image
                Recovery = recovery
                Misuse = misuse
            }

        let search = CrashSearch(subject, events)

        try
            search.Run()
            let report = report subject events search.Result false
            // By then a task that went on by itself has been seen.
            misuse.ThrowIfAny()
            report
        with :? OperationCanceledException when options.Cancellation.IsCancellationRequested ->
            // What shows the place where the states explode is run without the token.
            let calm =
                { subject with
                    Options = options.WithCancellation Threading.CancellationToken.None
                }

            raise (CrashCheckCanceledException(report calm events search.Result true, options.Cancellation))

/// <summary>Crashes a workload at every point where it matters, runs recovery on what that can leave behind, and says
/// whether recovery accepts all of it.</summary>
/// <remarks>
/// Recovery gets the crashed memory and judges what it finds: true where every promise was kept. It may store, and is then
/// crashed too. A recovery that throws, loops or returns false is a counterexample. Workload and recovery must be
/// deterministic and are run many times; both must use only the memory that they are given. Power failures alone are
/// simulated: not media errors, not stores by other threads or processes.
/// </remarks>
[<AbstractClass; Sealed>]
type CrashCheck =
    /// <summary>Checks a workload and its recovery.</summary>
    /// <param name="options">The model, the budget and how states are chosen.</param>
    /// <param name="image">What memory holds, durably, before the workload; it is left as it is.</param>
    /// <param name="workload">What is crashed. It is run twice; what it throws is thrown here.</param>
    /// <param name="recovery">Whether the memory is right after a crash.</param>
    /// <exception cref="T:System.ArgumentException">The workload did nothing.</exception>
    /// <exception cref="T:System.ArgumentOutOfRangeException">The workload left the memory.</exception>
    /// <exception cref="T:System.InvalidOperationException">The workload or the recovery is not deterministic, is
    /// asynchronous, or used its memory from another thread.</exception>
    /// <exception cref="T:Pmem.CrashCheckCanceledException">The check was cancelled; it has the report so far.</exception>
    static member Run
        (
            options: CrashCheckOptions,
            image: byte[],
            workload: Action<RecordedMemory>,
            recovery: Func<CrashedMemory, bool>
        ) =
        ArgumentNullException.ThrowIfNull(options, nameof options)
        ArgumentNullException.ThrowIfNull(image, nameof image)
        ArgumentNullException.ThrowIfNull(workload, nameof workload)
        ArgumentNullException.ThrowIfNull(recovery, nameof recovery)
        let misuse = Misuse()
        Checking.run options misuse image (Checking.record options misuse image workload) recovery

    /// <summary>Checks a trace that was recorded elsewhere, on real memory for instance, and its recovery.</summary>
    /// <param name="options">The model, the budget and how states are chosen.</param>
    /// <param name="image">What memory held, durably, before the trace; it is left as it is.</param>
    /// <param name="events">The trace, in program order.</param>
    /// <param name="recovery">Whether the memory is right after a crash.</param>
    /// <exception cref="T:System.ArgumentException">The trace is empty, or an event lies outside the memory.</exception>
    /// <exception cref="T:System.InvalidOperationException">The recovery is not deterministic.</exception>
    /// <exception cref="T:Pmem.CrashCheckCanceledException">The check was cancelled; it has the report so far.</exception>
    static member RunTrace
        (
            options: CrashCheckOptions,
            image: byte[],
            events: IEnumerable<RecordedEvent>,
            recovery: Func<CrashedMemory, bool>
        ) =
        ArgumentNullException.ThrowIfNull(options, nameof options)
        ArgumentNullException.ThrowIfNull(image, nameof image)
        ArgumentNullException.ThrowIfNull(events, nameof events)
        ArgumentNullException.ThrowIfNull(recovery, nameof recovery)
        Checking.run options (Misuse()) image (Seq.toArray events) recovery

namespace Pmem.FSharp

open System
open Pmem

/// Crash checks, for pipelines.
module CrashCheck =
    /// Checks a workload and its recovery.
    let run
        (options: CrashCheckOptions)
        (image: byte[])
        (workload: RecordedMemory -> unit)
        (recovery: CrashedMemory -> bool)
        =
        CrashCheck.Run(options, image, Action<RecordedMemory> workload, Func<CrashedMemory, bool> recovery)

    /// Checks a trace that was recorded elsewhere and its recovery.
    let runTrace
        (options: CrashCheckOptions)
        (image: byte[])
        (events: RecordedEvent seq)
        (recovery: CrashedMemory -> bool)
        =
        CrashCheck.RunTrace(options, image, events, Func<CrashedMemory, bool> recovery)
