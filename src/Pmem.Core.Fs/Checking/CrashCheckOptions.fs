namespace Pmem

open System
open System.Threading

/// How crash states are chosen.
[<RequireQualifiedAccess>]
type CrashStrategy =
    /// All of them where they are few enough; elsewhere those with little lost or little durable first, then random
    /// fates, then the rest, as long as the budget lasts.
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

/// What the options say.
type internal CrashSettings =
    {
        Model: PersistencyModel
        Budget: int64 voption
        Strategy: CrashStrategy
        RecoveryCrashes: int
        AccessBound: int64
        Threads: int
        Progress: Action<CrashProgress>
        Cancellation: CancellationToken
    }

/// <summary>How a crash check is done. Immutable: each <c>With…</c> returns changed options.</summary>
[<Sealed; AllowNullLiteral(false)>]
type CrashCheckOptions internal (settings: CrashSettings) =
    static let standard =
        CrashCheckOptions
            {
                Model = PersistencyModel.X86
                Budget = ValueNone
                Strategy = CrashStrategy.Exhaustive
                RecoveryCrashes = 1
                AccessBound = 1_000_000L
                Threads = 1
                Progress = Action<CrashProgress>(ignore)
                Cancellation = CancellationToken.None
            }

    /// Where no budget is set: so many runs, and so many more for each crash point.
    static let standardBudget = 100_000L
    static let standardBudgetOfPoint = 100L

    static let atLeast (least: int64) (name: string) (value: int64) (what: string) =
        if value < least then
            raise (ArgumentOutOfRangeException(name, value, what))

    /// X86, every state within 100 000 recovery runs and 100 more for each crash point, one crash during recovery,
    /// 1 000 000 accesses a recovery run.
    static member Default = standard

    /// What is guaranteed about durability.
    member _.Model = settings.Model

    /// The most recovery runs; where none is set, 100 000, and 100 more for each crash point.
    member _.Budget = settings.Budget |> ValueOption.defaultValue standardBudget

    /// How states are chosen.
    member _.Strategy = settings.Strategy

    /// How many times recovery itself is crashed, one crash in each next recovery: 0 for never.
    member _.RecoveryCrashes = settings.RecoveryCrashes

    /// The most accesses of one recovery run, flushes, drains and promises included; what goes on is rejected.
    member _.AccessBound = settings.AccessBound

    /// The threads that recovery is run on, at once.
    member _.Threads = settings.Threads

    /// Called with the progress after each crash point, on the caller's thread.
    member _.Progress = settings.Progress

    /// Ends the check with a CrashCheckCanceledException, between two recovery runs.
    member _.Cancellation = settings.Cancellation

    member internal _.BudgetFor(crashPoints: int) =
        match settings.Budget with
        | ValueSome budget -> budget
        | ValueNone -> standardBudget + standardBudgetOfPoint * int64 crashPoints

    /// Under another persistency model.
    member _.WithModel(model: PersistencyModel) =
        ArgumentNullException.ThrowIfNull(model, nameof model)
        CrashCheckOptions { settings with Model = model }

    /// <summary>With at most this many recovery runs. The runs are shared out over the crash points.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">It is less than 1.</exception>
    member _.WithBudget(recoveryRuns: int64) =
        atLeast 1L (nameof recoveryRuns) recoveryRuns "The budget is at least one recovery run."
        CrashCheckOptions { settings with Budget = ValueSome recoveryRuns }

    /// With states chosen in this way.
    member _.WithStrategy(strategy: CrashStrategy) =
        ArgumentNullException.ThrowIfNull(strategy, nameof strategy)
        CrashCheckOptions { settings with Strategy = strategy }

    /// <summary>With this many crashes of recovery itself: 0 for none, 1 to crash recovery, 2 to crash the next too, and
    /// so on.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">It is negative.</exception>
    member _.WithRecoveryCrashes(crashes: int) =
        atLeast 0L (nameof crashes) (int64 crashes) "Recovery is crashed 0 times or more."
        CrashCheckOptions { settings with RecoveryCrashes = crashes }

    /// <summary>With at most this many accesses in one recovery run: reads, stores, flushes, drains and
    /// promises.</summary>
    /// <exception cref="T:System.ArgumentOutOfRangeException">It is less than 1.</exception>
    member _.WithAccessBound(accesses: int64) =
        atLeast 1L (nameof accesses) accesses "The bound is at least one access."
        CrashCheckOptions { settings with AccessBound = accesses }

    /// <summary>With recovery run on this many threads at once, each time on memory of its own. The report is the same for
    /// any number of threads.</summary>
    /// <remarks>One unless this is set: only whoever wrote a recovery knows that its runs share nothing that they change, as a
    /// buffer or a counter outside of it would be. The workload is run on the caller's thread.</remarks>
    /// <exception cref="T:System.ArgumentOutOfRangeException">It is less than 1.</exception>
    member _.WithThreads(threads: int) =
        atLeast 1L (nameof threads) (int64 threads) "Recovery is run on at least one thread."
        CrashCheckOptions { settings with Threads = threads }

    /// With a callback after each crash point.
    member _.WithProgress(progress: Action<CrashProgress>) =
        ArgumentNullException.ThrowIfNull(progress, nameof progress)
        CrashCheckOptions { settings with Progress = progress }

    /// With a token that ends the check.
    member _.WithCancellation(cancellation: CancellationToken) =
        CrashCheckOptions { settings with Cancellation = cancellation }

    /// What is checked, in words.
    override _.ToString() =
        String.Concat(
            [|
                settings.Model.ToString()
                ", "
                settings.Strategy.ToString()
                ", at most "
                Words.count (settings.Budget |> ValueOption.defaultValue standardBudget) "recovery run"
                (if settings.Budget.IsNone then " and 100 more for each crash point, " else ", ")
                Words.number (int64 settings.RecoveryCrashes)
                (if settings.RecoveryCrashes = 1 then " crash" else " crashes")
                " of recovery"
            |]
        )
