using System.Diagnostics;
using Spectre.Console;

namespace Pmem.Benchmarks;

/// <summary>What may grow with n log n at most: the same work on n things and on 2n.</summary>
internal static class Linear
{
    private const int Count = 40_000;

    private static readonly (string Name, Action<int> Work)[] Works =
    [
        ("FlushPlan.Union of n plans", n => FlushPlan.Union(Plans(n))),
        ("FlushPlan.Union of n plans, descending", n => FlushPlan.Union(Plans(n).Reverse())),
        ("program of n writes", n => Epochs(Writes(n))),
        ("program of n writes, descending", n => Epochs(Writes(n).Reverse())),
        ("program of n writes and barriers", n => Epochs(Writes(n).Select(write => write.Barrier()))),
        ("n / 5 mappings, opened and closed", n => Map(n / 5)),
        ("PersistLint of n persists", n => PersistLint.Check(PersistencyModel.X86, Persists(n))),
    ];

    /// <summary>The best of a few runs each; a ratio well over 2 is not linear.</summary>
    public static Table Run()
    {
        Table table = new Table().AddColumns("work", $"n = {Count}, ms", "2n, ms", "ratio");
        foreach ((string name, Action<int> work) in Works)
        {
            work(1000);
            double one = Best(work, Count), two = Best(work, 2 * Count);
            table.AddRow(name, $"{one:F1}", $"{two:F1}", $"{two / one:F2}");
        }
        return table;
    }

    private static double Best(Action<int> work, int count) => Enumerable.Range(0, 3).Min(_ =>
    {
        GC.Collect();
        long start = Stopwatch.GetTimestamp();
        work(count);
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    });

    private static IEnumerable<FlushPlan> Plans(int count) =>
        Enumerable.Range(0, count).Select(i => FlushPlan.Of(new ByteRange(128L * i, 8)));

    private static IEnumerable<PersistProgram> Writes(int count) =>
        Enumerable.Range(0, count).Select(i => PersistProgram.Empty.Write(64L * i, 1L));

    private static int Epochs(IEnumerable<PersistProgram> parts) => PersistProgram.Concat(parts).Epochs.Count;

    /// <summary>As many live at once: what keeps track of them is asked for each.</summary>
    private static void Map(int count)
    {
        string path = Path.GetTempFileName();
        var live = new List<PmemMapping>();
        try
        {
            PmemMapping.Create(path, 4096).Dispose();
            for (int i = 0; i < count; i++) live.Add(PmemMapping.Open(path));
        }
        finally
        {
            foreach (PmemMapping mapping in live) mapping.Dispose();
            File.Delete(path);
        }
    }

    private static IReadOnlyList<RecordedEvent> Persists(int count)
    {
        var memory = new RecordedMemory(new byte[64 * count], PersistencyModel.X86);
        for (int i = 0; i < count; i++)
        {
            memory.StoreInt64(64L * i, 1);
            memory.Persist(64L * i, 8);
        }
        return memory.Trace;
    }
}
