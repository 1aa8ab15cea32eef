using System.Diagnostics;
using System.Globalization;

namespace Pmem.Benchmarks;

/// <summary>What a crash check costs, at N and at 2N: whether a structure twice as long takes twice as long; and what it takes to
/// find a mistake that hides.</summary>
internal static class CrashContests
{
    private sealed record Case(string Name, int Count, Func<CrashCheckOptions, int, CrashReport> Run, string Wanted = "");

    private static readonly Case[] s_cases =
    [
        new("log read whole", 5000, (options, n) => CrashLogs.Log(options, n, readsAll: true), "10 000 in 10 s, 200 MB"),
        new("log, recovery reads two words", 17_000, (options, n) => CrashLogs.Log(options, n, readsAll: false), "linear"),
        new("hash table", 5000, CrashTables.Table, "10 000 in 60 s"),
        new("B+-tree", 5000, CrashTables.Tree, "10 000 in 60 s"),
        new("redo log, recovery persists N lines", 50, CrashLogs.Redo, "far below 81 N² runs"),
        new("undo log, crashed N times, recovery persists N lines", 50, CrashLogs.Undo, "far below 81 N² runs"),
        new("blocks of 4 KiB, ReadValidated", 500, CrashLogs.Blocks, "1000 to the end"),
        new("lint of persists", 20_000, (_, n) => CrashLogs.Lint(n), "linear"),
        new("a record of N B whose sum omits the length, one of 20", 64, CrashRecords.WeakSum, "found, 10 s"),
        new("the same", 256, CrashRecords.WeakSum, "found, 10 s"),
        new("the same", 1024, CrashRecords.WeakSum, "found, 10 s"),
        new("the same", 2048, CrashRecords.WeakSum, "found, 10 s"),
        new("N independent lines, one wrong pair: one lost, one durable", 32, CrashRecords.WrongPair, "64: under 5000 runs"),
    ];

    /// <summary>Prints a Markdown table, a row as soon as it is measured.</summary>
    public static void Run(int threads)
    {
        Console.WriteLine($"{threads} thread(s). MB is the most that the process had while it checked 2N.\n");
        Console.WriteLine("| what | N | runs | runs at 2N | ms | ms at 2N | MB at 2N | verdict at 2N | wanted |");
        Console.WriteLine("|---|---:|---:|---:|---:|---:|---:|---|---|");
        CrashCheckOptions options = CrashCheckOptions.Default.WithThreads(threads);
        foreach (Case each in s_cases)
        {
            (CrashReport one, long milliseconds, _) = Measured(each, options, each.Count);
            (CrashReport two, long milliseconds2, long megabytes) = Measured(each, options, 2 * each.Count);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {each.Name} | {each.Count} | {one.RecoveryRuns} | {two.RecoveryRuns} | {milliseconds} | {milliseconds2} | {megabytes} | {two.Verdict} | {each.Wanted} |"));
        }
    }

    private static (CrashReport Report, long Milliseconds, long Megabytes) Measured(Case what, CrashCheckOptions options, int count)
    {
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        long most = 0;
        using (new Timer(_ => most = Math.Max(most, Environment.WorkingSet), null, 0, 20))
        {
            Stopwatch clock = Stopwatch.StartNew();
            CrashReport report = what.Run(options, count);
            return (report, clock.ElapsedMilliseconds, Math.Max(most, Environment.WorkingSet) >> 20);
        }
    }
}
