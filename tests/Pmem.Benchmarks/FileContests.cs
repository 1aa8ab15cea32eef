using System.Diagnostics;

namespace Pmem.Benchmarks;

/// <summary>
/// Ordinary files on a disk, where a persist is an msync: gathered writes, threads that sync at once, and what .NET has.
/// </summary>
/// <remarks>
/// They have a process of their own: the others take every file for persistent memory, and that is decided once in a process.
/// The disk is slow, so each has a fixed number of turns.
/// </remarks>
internal static class FileContests
{
    private const string ViewRival = "view.Flush", FileRival = "RandomAccess + FlushToDisk", StreamRival = "FileStream.Flush(true)";
    private const int WriteBytes = 256, PageBytes = 4096, TurnsOfAThread = 8, DurableTurns = 4;

    private static readonly int[] s_durableSizes = [8, 256, 4 << 10, 1 << 20];

    /// <summary>All of them.</summary>
    /// <param name="arena">The files.</param>
    /// <param name="eachWrites">How many writes are persisted each: the slow side, some milliseconds a write.</param>
    public static List<Contest> All(FileArena arena, int eachWrites) =>
    [
        GatheredOrOnce(arena, 1000),
        GatheredOrEach(arena, eachWrites),
        .. Gathered(arena, 1000),
        EightOrOne(arena),
        .. Persists(arena, 1),
        .. Persists(arena, FileArena.Threads),
        .. s_durableSizes.SelectMany(size => Durable(arena, size, 1)),
        .. s_durableSizes.SelectMany(size => Durable(arena, size, FileArena.Threads)),
        .. OnLargeFolios(arena.Written).Select(contest => contest with { Group = $"{contest.Group}, large folios" }),
    ];

    /// <summary>What the kernel's unit of a page in memory changes: a store makes all of it dirty.</summary>
    private static IEnumerable<Contest> OnLargeFolios(FileArena arena) =>
    [
        EightOrOne(arena) with { Limit = null },
        .. Persists(arena, 1),
        .. Persists(arena, FileArena.Threads),
        .. s_durableSizes.SelectMany(size => Durable(arena, size, 1)),
    ];

    /// <summary>Where it was measured, in a line each.</summary>
    public static IEnumerable<string> Conditions(FileArena arena) =>
    [
        $"Ordinary files: {arena.Where}, {arena.FileSystem}; {FileArena.Length >> 20} MiB, all blocks written before",
        "Made by Create and stored to through the mapping: each page is on its own. \"Large folios\": written by writes of 1 MiB",
        "A ratio of 8 threads to 1 is that of the times of one persist: 0.33 is three times the rate",
    ];

    /// <summary>Runs them in a process that takes no file for persistent memory, with the output of this one.</summary>
    public static void RunApart(params string[] arguments)
    {
        string program = Environment.ProcessPath!;
        string[] assembly = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [Environment.GetCommandLineArgs()[0]] : [];
        var start = new ProcessStartInfo(program, [.. assembly, .. arguments]);
        foreach (string name in start.Environment.Keys.Where(name => name.StartsWith("PMEM_", StringComparison.Ordinal)).ToArray())
            start.Environment.Remove(name);
        using Process process = Process.Start(start)!;
        process.WaitForExit();
        if (process.ExitCode != 0) throw new InvalidOperationException($"The contests on ordinary files ended with {process.ExitCode}.");
    }

    /// <summary>Many writes and one drain, against the same bytes stored and persisted at once.</summary>
    private static Contest GatheredOrOnce(FileArena arena, int writes)
    {
        PmemMapping map = arena.Map;
        int all = writes * WriteBytes;
        return new Contest($"{writes} writes, one drain", "one persist", all,
            n => { for (int i = 0; i < n; i++) Gather(arena, writes); },
            n =>
            {
                for (int i = 0; i < n; i++)
                {
                    map.Write(0, arena.Bytes(all), PmemCopyOptions.NoFlush);
                    map.Persist(0, all);
                }
            },
            1.5)
        { Turns = DurableTurns };
    }

    private static Contest GatheredOrEach(FileArena arena, int writes)
    {
        PmemMapping map = arena.Map;
        return new Contest($"{writes} writes, one drain", "persist each", writes * WriteBytes,
            n => { for (int i = 0; i < n; i++) Gather(arena, writes); },
            n =>
            {
                for (int i = 0; i < n * writes; i++) map.Write(i % writes * WriteBytes, arena.Bytes(WriteBytes));
            },
            null)
        { Turns = 1 };
    }

    private static void Gather(FileArena arena, int writes)
    {
        for (int i = 0; i < writes; i++) arena.Map.Write(i * WriteBytes, arena.Bytes(WriteBytes), PmemCopyOptions.NoDrain);
        arena.Map.Drain();
    }

    /// <summary>As many persists by all threads together as by one: a turn is one persist of each thread.</summary>
    private static Contest EightOrOne(FileArena arena)
    {
        Action<int, int> persist = Ours(arena);
        return new Contest("persist, 8 threads", "1 thread", PageBytes,
            n => arena.Team.Run(n, persist), n => persist(0, n * FileArena.Threads), 1.0 / 3)
        { Turns = TurnsOfAThread, IsThreaded = true };
    }

    /// <summary>The same by what .NET has: each write on its own, then one flush.</summary>
    private static IEnumerable<Contest> Gathered(FileArena arena, int writes)
    {
        (string, Action)[] rivals =
        [
            (ViewRival, () =>
            {
                for (int i = 0; i < writes; i++) arena.Views[0].Store(i * WriteBytes, arena.Bytes(WriteBytes));
                arena.Views[0].Flush();
            }),
            (FileRival, () =>
            {
                for (int i = 0; i < writes; i++) RandomAccess.Write(arena.Handle, arena.Bytes(WriteBytes), i * WriteBytes);
                RandomAccess.FlushToDisk(arena.Handle);
            }),
        ];
        foreach ((string rival, Action theirs) in rivals)
            yield return new Contest($"{writes} writes, one drain", rival, writes * WriteBytes,
                n => { for (int i = 0; i < n; i++) Gather(arena, writes); },
                n => { for (int i = 0; i < n; i++) theirs(); }, null)
            { Turns = DurableTurns };
    }

    /// <summary>Stores to pages of one file and persists them, each thread in a part of its own.</summary>
    private static IEnumerable<Contest> Persists(FileArena arena, int threads) =>
        Against(arena, $"store, persist, {Threads(threads)}", PageBytes, threads, TurnsOfAThread, Ours(arena), Rivals(arena, 8));

    private static Action<int, int> Ours(FileArena arena) => (me, n) =>
    {
        for (int i = 0; i < n; i++)
        {
            long offset = me * FileArena.PartBytes + PageOf(i);
            arena.Map.Store(offset, (long)i);
            arena.Map.Persist(offset, 8);
        }
    };

    /// <summary>Writes that are durable when they return, each thread in a part of its own.</summary>
    private static IEnumerable<Contest> Durable(FileArena arena, int size, int threads)
    {
        Action<int, int> ours = (me, n) =>
        {
            for (int i = 0; i < n; i++) arena.Map.Write(SlotOf(me, i, size), arena.Bytes(size));
        };
        return Against(arena, $"durable write, {Threads(threads)}", size, threads, DurableTurns, ours, Rivals(arena, size));
    }

    private static IEnumerable<Contest> Against(
        FileArena arena, string group, long size, int threads, int turns, Action<int, int> ours, (string, Action<int, int>)[] rivals)
    {
        foreach ((string rival, Action<int, int> theirs) in rivals)
            yield return new Contest(group, rival, size, By(ours), By(theirs), null) { Turns = turns, IsThreaded = threads > 1 };

        Action<int> By(Action<int, int> work) => threads == 1 ? n => work(0, n) : n => arena.Team.Run(n, work);
    }

    /// <summary>So many bytes, durably, by what .NET has. A view's Flush has no range: each thread has a view of its part.</summary>
    private static (string, Action<int, int>)[] Rivals(FileArena arena, int size) =>
    [
        (FileRival, (me, n) =>
        {
            for (int i = 0; i < n; i++)
            {
                RandomAccess.Write(arena.Handle, arena.Bytes(size), SlotOf(me, i, size));
                RandomAccess.FlushToDisk(arena.Handle);
            }
        }),
        (ViewRival, (me, n) =>
        {
            for (int i = 0; i < n; i++)
            {
                arena.Views[me].Store(SlotOf(0, i, size), arena.Bytes(size));
                arena.Views[me].Flush();
            }
        }),
        (StreamRival, (me, n) =>
        {
            FileStream stream = arena.Streams[me];
            for (int i = 0; i < n; i++)
            {
                stream.Position = SlotOf(me, i, size);
                stream.Write(arena.Bytes(size));
                stream.Flush(flushToDisk: true);
            }
        }),
    ];

    private static string Threads(int count) => count == 1 ? "1 thread" : $"{count} threads";

    private static long SlotOf(int me, int i, long size) => me * FileArena.PartBytes + FileArena.Slot(i, size, FileArena.PartBytes);

    private static long PageOf(int i) => FileArena.Slot(i, PageBytes, FileArena.PartBytes);
}
