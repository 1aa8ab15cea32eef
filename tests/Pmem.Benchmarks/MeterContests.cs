using System.Diagnostics.Metrics;
using Pmem.Linux;
using Spectre.Console;

namespace Pmem.Benchmarks;

/// <summary>What the meter `Pmem` costs: ours while nobody listens, theirs while a listener takes every measurement.</summary>
internal static class MeterContests
{
    private const string Listened = "listened to";

    public static void Run()
    {
        using var arena = new Arena();
        PmemMapping lines = arena.Map, pages = OnInstantStorage(lines);
        List<Contest> contests =
        [
            Persists("persist of a line", lines),
            Persists("persist of a page, storage takes no time", pages),
            new("the meter's part of it alone, nobody listens", "the persist", 8, MeterAlone, n => Persist(pages, n), 0.2),
        ];
        Rounds.WarmUp(contests);
        var inTurn = new Rounds(101, TimeSpan.FromMilliseconds(2));
        AnsiConsole.Write(Report.Of(contests.Select(inTurn.Run), TableBorder.Rounded));
    }

    private static Contest Persists(string group, PmemMapping map) => new(group, Listened, 8, n => Persist(map, n), n =>
    {
        using MeterListener listener = Listener();
        Persist(map, n);
    }, Limit: null);

    private static MeterListener Listener()
    {
        var listener = new MeterListener
        {
            InstrumentPublished = static (instrument, listener) =>
            {
                if (instrument.Meter.Name == PmemMeter.Name) listener.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<double>(static (_, _, _, _) => { });
        listener.Start();
        return listener;
    }

    private static void Persist(PmemMapping map, int turns)
    {
        for (int i = 0; i < turns; i++) map.Persist(Arena.Slot(i, 8), 8);
    }

    private static void MeterAlone(int turns)
    {
        for (int i = 0; i < turns; i++)
        {
            long began = PmemMeter.BeginPersist();
            _ = InstantStorage.It.SyncCounted(0, 0);
            PmemMeter.EndPersist(began);
        }
    }

    /// <summary>The same memory once more, with page granularity.</summary>
    private static PmemMapping OnInstantStorage(PmemMapping memory)
    {
        var facts = new MappingFacts(
            "memory", new ByteRange(0, memory.Length), MappingKind.PageCache, false, "", Platform.X64(WriteBackKind.Clwb));
        var file = new MappedFile(AddressOf(memory), new MappingInfo(facts, false, StoreGranularity.Page, "its storage takes no time"), default);
        return new PmemMapping(file, Persister.For(file, PmemPlatform.CurrentLines, InstantStorage.It, Sysfs.Machine));
    }

    // SAFETY: only the number is taken; the memory lives as long as the arena.
    private static unsafe nint AddressOf(PmemMapping memory) => (nint)memory.Pointer;

    /// <summary>Storage that has written all before it is asked.</summary>
    private sealed class InstantStorage : IPageSync
    {
        public static readonly InstantStorage It = new();

        public int Sync(nint start, nint end) => 0;
    }
}
