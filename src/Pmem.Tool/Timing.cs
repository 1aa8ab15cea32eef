using System.Diagnostics;

namespace Pmem.Tool;

/// <summary>Something to time: it does its thing so many times.</summary>
/// <param name="Name">What is done.</param>
/// <param name="By">What does it.</param>
/// <param name="BytesPerTurn">How many bytes one turn makes durable.</param>
/// <param name="Loop">Does it so many times.</param>
internal sealed record Subject(string Name, string By, long BytesPerTurn, Action<int> Loop);

/// <summary>The time of one turn: the median of the rounds, and the quartiles beside it.</summary>
internal sealed record Timing(string Name, string By, long BytesPerTurn, double Nanoseconds, double LowNanoseconds, double HighNanoseconds)
{
    public double GigabytesPerSecond => BytesPerTurn / Nanoseconds;
}

/// <summary>Times subjects in turn, round after round: what disturbs the machine for a while disturbs all of them.</summary>
internal static class Rounds
{
    private const double RoundNanoseconds = 4e6;

    public static IReadOnlyList<Timing> Run(IReadOnlyList<Subject> subjects, int rounds, Action advanced, CancellationToken cancellation)
    {
        int[] turns = [.. subjects.Select(TurnsOf)];
        double[][] times = [.. subjects.Select(_ => new double[rounds])];
        for (int round = 0; round < rounds; round++)
        {
            for (int i = 0; i < subjects.Count; i++)
            {
                cancellation.ThrowIfCancellationRequested();
                times[i][round] = Time(subjects[i], turns[i]);
            }
            advanced();
        }
        return [.. subjects.Select((subject, i) => Sum(subject, times[i]))];
    }

    private static Timing Sum(Subject subject, double[] times)
    {
        Array.Sort(times);
        return new Timing(subject.Name, subject.By, subject.BytesPerTurn, At(times, 0.5), At(times, 0.25), At(times, 0.75));
    }

    private static double At(double[] sorted, double q) => sorted[(int)(q * (sorted.Length - 1))];

    /// <summary>How many turns fill a round; finding out warms the code up.</summary>
    private static int TurnsOf(Subject subject)
    {
        int turns = 1;
        for (int i = 0; i < 6; i++)
            turns = (int)Math.Clamp(RoundNanoseconds / Math.Max(1, Time(subject, turns)), 1, 1 << 18);
        return turns;
    }

    private static double Time(Subject subject, int turns)
    {
        long start = Stopwatch.GetTimestamp();
        subject.Loop(turns);
        return Stopwatch.GetElapsedTime(start).TotalNanoseconds / turns;
    }
}
