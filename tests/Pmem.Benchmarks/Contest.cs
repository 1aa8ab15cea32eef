using System.Diagnostics;

namespace Pmem.Benchmarks;

/// <summary>Two ways to do the same, each as a loop that does it so many times.</summary>
/// <param name="Group">What is done.</param>
/// <param name="Rival">What the other side is.</param>
/// <param name="Size">Bytes, or ranges of a plan.</param>
/// <param name="Ours">This library.</param>
/// <param name="Theirs">The other side.</param>
/// <param name="Limit">The ratio that ours must not exceed; null where there is none.</param>
internal sealed record Contest(string Group, string Rival, long Size, Action<int> Ours, Action<int> Theirs, double? Limit)
{
    /// <summary>The limit beside both: the same with nothing but the instructions it needs; null where there is none.</summary>
    public Action<int>? Bare { get; init; }

    /// <summary>How many bytes one turn writes; 0 where that says nothing.</summary>
    public long BytesPerTurn { get; init; }

    /// <summary>How many turns a round has; null for as many as fill its time.</summary>
    public int? Turns { get; init; }

    /// <summary>How many threads do it at once; null where that is not what the contest is about.</summary>
    public int? Threads { get; init; }

    /// <summary>Whether ours runs on more threads than the one that asks for it: then what all of them allocate counts.</summary>
    public bool IsThreaded { get; init; }

    /// <summary>What ours has allocated so far, in bytes.</summary>
    public long AllocatedBytes => IsThreaded ? GC.GetTotalAllocatedBytes(precise: true) : GC.GetAllocatedBytesForCurrentThread();
}

/// <summary>What came of a contest.</summary>
/// <param name="Contest">The contest.</param>
/// <param name="OursNanoseconds">Median time of one turn.</param>
/// <param name="TheirsNanoseconds">Median time of one turn.</param>
/// <param name="Ratio">Median over the rounds of ours / theirs.</param>
/// <param name="Low">The ratio's first quartile.</param>
/// <param name="High">The ratio's third quartile.</param>
/// <param name="AllocatedBytes">What ours allocated in one turn.</param>
internal sealed record Outcome(
    Contest Contest, double OursNanoseconds, double TheirsNanoseconds, double Ratio, double Low, double High, double AllocatedBytes)
{
    /// <summary>Median time of one turn of the limit beside them; null where there is none.</summary>
    public double? BareNanoseconds { get; init; }

    public double GigabytesPerSecond => Contest.BytesPerTurn / OursNanoseconds;
}

/// <summary>
/// Both sides in turn, many short rounds in one process: what disturbs the machine disturbs both, and the median of the
/// ratios forgets it.
/// </summary>
internal sealed class Rounds(int count, TimeSpan turn)
{
    /// <summary>Has the compiler do its last work on all of them: it waits until for a while nothing new has been called.</summary>
    public static void WarmUp(IEnumerable<Contest> contests, int passes = 4)
    {
        for (int pass = 0; pass < passes; pass++)
        {
            foreach (Contest contest in contests)
            {
                bool isSlow = contest.Turns is not null;
                int turns = contest.Size <= 1024 && !isSlow ? 100 : 1;
                int calls = contest.Size <= 65536 && !isSlow ? 40 : 1;
                for (int call = 0; call < calls; call++)
                {
                    contest.Ours(turns);
                    contest.Theirs(turns);
                    contest.Bare?.Invoke(turns);
                }
            }
            Thread.Sleep(250);
        }
    }

    public Outcome Run(Contest contest)
    {
        int turns = TurnsOf(contest);
        double[] ours = new double[count], theirs = new double[count], ratios = new double[count], bare = new double[count];
        long allocated = 0;
        for (int i = 0; i < count; i++)
        {
            // Who goes first changes from round to round.
            if (i % 2 != 0) theirs[i] = Time(contest.Theirs, turns);
            long before = contest.AllocatedBytes;
            ours[i] = Time(contest.Ours, turns);
            allocated += contest.AllocatedBytes - before;
            if (i % 2 == 0) theirs[i] = Time(contest.Theirs, turns);
            ratios[i] = ours[i] / theirs[i];
            if (contest.Bare is not null) bare[i] = Time(contest.Bare, turns);
        }
        return new Outcome(
            contest, Quantile(ours, 0.5), Quantile(theirs, 0.5), Quantile(ratios, 0.5), Quantile(ratios, 0.25), Quantile(ratios, 0.75),
            (double)allocated / count / turns)
        { BareNanoseconds = contest.Bare is null ? null : Quantile(bare, 0.5) };
    }

    /// <summary>How many turns fill a round.</summary>
    private int TurnsOf(Contest contest)
    {
        if (contest.Turns is int given) return given;
        int turns = 1;
        for (int i = 0; i < 6; i++)
        {
            double nanoseconds = Math.Max(Time(contest.Ours, turns), Time(contest.Theirs, turns));
            turns = (int)Math.Clamp(turn.TotalNanoseconds / nanoseconds, 1, 1 << 20);
        }
        return turns;
    }

    private static double Time(Action<int> loop, int turns)
    {
        long start = Stopwatch.GetTimestamp();
        loop(turns);
        return Stopwatch.GetElapsedTime(start).TotalNanoseconds / turns;
    }

    private static double Quantile(double[] values, double q)
    {
        double[] sorted = [.. values];
        Array.Sort(sorted);
        return sorted[(int)(q * (sorted.Length - 1))];
    }
}
