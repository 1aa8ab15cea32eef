using System.Globalization;
using System.Runtime.InteropServices;
using Spectre.Console;

namespace Pmem.Benchmarks;

/// <summary>Outcomes as a table, for a person or for a Markdown file.</summary>
internal static class Report
{
    /// <summary>What two runs of the same code differ by.</summary>
    private const double Noise = 0.03;

    /// <summary>Where and on what it was measured, in a line each.</summary>
    public static IEnumerable<string> Conditions(Arena arena)
    {
        string processor = File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal)) ?? "?";
        yield return $"Processor: {processor[(processor.IndexOf(':') + 1)..].Trim()}, {Environment.ProcessorCount} cores";
        yield return $"Runtime: {RuntimeInformation.FrameworkDescription}, {RuntimeInformation.RuntimeIdentifier}";
        yield return $"Rival: libpmem {NativeLibPmem.Version}, called through a function pointer without a GC transition";
        yield return $"Memory: DRAM, a file in {arena.Where}, taken for persistent memory by PMEM_IS_PMEM_FORCE=1";
        yield return $"Durability: {arena.Map.Info.Facts.Platform.WriteBack} and {arena.Map.Info.Facts.Platform.Fence}";
    }

    public static Table Of(IEnumerable<Outcome> outcomes, TableBorder border)
    {
        Table table = new Table().Border(border).AddColumns("what", "against", "size");
        foreach (string number in new[] { "ours ns", "theirs ns", "bare ns", "ratio", "quartiles", "GB/s", "allocated B", "target", "met" })
            table.AddColumn(new TableColumn(number).RightAligned());
        foreach (Outcome outcome in outcomes) table.AddRow(Cells(outcome));
        return table;
    }

    /// <summary>8 B, 4 KiB, or 16 ranges.</summary>
    public static string SizeOf(Contest contest)
    {
        long size = contest.Size;
        if (contest.Threads is int threads) return $"{threads} thread{(threads == 1 ? "" : "s")}";
        if (contest.Group.StartsWith("journal", StringComparison.Ordinal)) return $"{size} word{(size == 1 ? "" : "s")}";
        if (contest.Group.StartsWith("plan", StringComparison.Ordinal)) return $"{size} range{(size == 1 ? "" : "s")}";
        return size < 1 << 10 ? $"{size} B" : size < 1 << 20 ? $"{size >> 10} KiB" : $"{size >> 20} MiB";
    }

    private static string[] Cells(Outcome outcome)
    {
        Contest contest = outcome.Contest;
        return
        [
            contest.Group, contest.Rival, SizeOf(contest),
            Number(outcome.OursNanoseconds, "N0"), Number(outcome.TheirsNanoseconds, "N0"),
            outcome.BareNanoseconds is double bare ? Number(bare, "N0") : "",
            Number(outcome.Ratio, "F3"),
            $"{Number(outcome.Low, "F3")} to {Number(outcome.High, "F3")}",
            contest.BytesPerTurn == 0 ? "" : Number(outcome.GigabytesPerSecond, "F1"),
            Number(outcome.AllocatedBytes, "F0"),
            contest.Limit is double limit ? $"≤ {Number(limit, "F2")}" : "",
            contest.Limit is null ? "" : outcome.Ratio <= contest.Limit ? "yes" : outcome.Ratio <= contest.Limit + Noise ? "within noise" : "no",
        ];
    }

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
