namespace Pmem

open System
open System.Threading

/// How crash states are chosen.
[<RequireQualifiedAccess>]
type CrashStrategy =
    /// All of them, as long as the budget lasts.
    | Exhaustive
    /// Some of them, at random: the budget's worth. The same seed chooses the same.
    | Sampled of Seed: int64

    /// In words.
    override strategy.ToString() =
        match strategy with
        | Exhaustive -> "exhaustive"
        | Sampled seed -> String.Concat("sampled with seed ", Words.number seed)

    /// Whether both are the same value.
    static member op_Equality(left: CrashStrategy, right: CrashStrategy) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: CrashStrategy, right: CrashStrategy) = not (Object.Equals(left, right))

/// How far a check has come.
[<Struct>]
type CrashProgress =
    {
        /// The recovery runs so far.
        RecoveryRuns: int64
        /// The crash points that are done.
        CrashPointsDone: int
        /// The crash points there are.
        CrashPoints: int
    }

    /// <summary>As in <c>3 of 12 crash points, 40 recovery runs</c>.</summary>
    override progress.ToString() =
        String.Concat(
            Words.number (int64 progress.CrashPointsDone),
            " of ",
            Words.count (int64 progress.CrashPoints) "crash point",
            String.Concat(", ", Words.count progress.RecoveryRuns "recovery run")
        )

    /// Whether both are the same value.
    static member op_Equality(left: CrashProgress, right: CrashProgress) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: CrashProgress, right: CrashProgress) = not (Object.Equals(left, right))

/// <summary>How a crash check is done. Immutable: each <c>With…</c> returns changed options.</summary>
[<Sealed; AllowNullLiteral(false)>]
type CrashCheckOptions
    private
    (
        model: PersistencyModel,
        budget: int64,
        strategy: CrashStrategy,
        recoveryCrashes: int,
        accessBound: int64,
        progress: Action<CrashProgress>,
        cancellation: CancellationToken
    ) =
    static let standard =
        CrashCheckOptions(
            PersistencyModel.X86,
            100_000L,
            CrashStrategy.Exhaustive,
            1,
            1_000_000L,
            Action<CrashProgress>(ignore),
            CancellationToken.None
        )

    static let atLeast (least: int64) (name: string) (value: int64) (what: string) =
        if value < least then
            raise (ArgumentOutOfRangeException(name, value, what))

    /// X86, every state within 100 000 recovery runs, one crash during recovery, 1 000 000 accesses a recovery run.
    static member Default = standard

    /// What is guaranteed about durability.
    member _.Model = model

    /// The most recovery runs.
    member _.Budget = budget

    /// How states are chosen.
    member _.Strategy = strategy

    /// How many times recovery itself is crashed, one crash in each next recovery: 0 for never.
    member _.RecoveryCrashes = recoveryCrashes

    /// The most accesses of one recovery run, flushes, drains and promises included; what goes on is held to loop.
    member _.AccessBound = accessBound

    /// Called with the progress after each crash point, on the caller's thread.
    member _.Progress = progress

    /// Ends the check with an OperationCanceledException, between two recovery runs.
    member _.Cancellation = cancellation

    /// Under another persistency model.
    member _.WithModel(model: PersistencyModel) =
        ArgumentNullException.ThrowIfNull(model, nameof model)
        CrashCheckOptions(model, budget, strategy, recoveryCrashes, accessBound, progress, cancellation)

    /// <summary>With at most this many recovery runs. The runs are shared out over the crash points.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">It is less than 1.</exception>
    member _.WithBudget(recoveryRuns: int64) =
        atLeast 1L (nameof recoveryRuns) recoveryRuns "The budget is at least one recovery run."
        CrashCheckOptions(model, recoveryRuns, strategy, recoveryCrashes, accessBound, progress, cancellation)

    /// With states chosen in this way.
    member _.WithStrategy(strategy: CrashStrategy) =
        ArgumentNullException.ThrowIfNull(strategy, nameof strategy)
        CrashCheckOptions(model, budget, strategy, recoveryCrashes, accessBound, progress, cancellation)

    /// <summary>With this many crashes of recovery itself: 0 for none, 1 to crash recovery, 2 to crash the next too, and
    /// so on.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">It is negative.</exception>
    member _.WithRecoveryCrashes(crashes: int) =
        atLeast 0L (nameof crashes) (int64 crashes) "Recovery is crashed 0 times or more."
        CrashCheckOptions(model, budget, strategy, crashes, accessBound, progress, cancellation)

    /// <summary>With at most this many accesses in one recovery run: reads, stores, flushes, drains and
    /// promises.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">It is less than 1.</exception>
    member _.WithAccessBound(accesses: int64) =
        atLeast 1L (nameof accesses) accesses "The bound is at least one access."
        CrashCheckOptions(model, budget, strategy, recoveryCrashes, accesses, progress, cancellation)

    /// With a callback after each crash point.
    member _.WithProgress(progress: Action<CrashProgress>) =
        ArgumentNullException.ThrowIfNull(progress, nameof progress)
        CrashCheckOptions(model, budget, strategy, recoveryCrashes, accessBound, progress, cancellation)

    /// With a token that ends the check.
    member _.WithCancellation(cancellation: CancellationToken) =
        CrashCheckOptions(model, budget, strategy, recoveryCrashes, accessBound, progress, cancellation)

    /// What is checked, in words.
    override _.ToString() =
        String.Concat(
            [|
                model.ToString()
                ", "
                strategy.ToString()
                ", at most "
                Words.count budget "recovery run"
                ", "
                Words.number (int64 recoveryCrashes)
                (if recoveryCrashes = 1 then " crash" else " crashes")
                " of recovery"
            |]
        )
