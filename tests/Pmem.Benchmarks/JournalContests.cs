namespace Pmem.Benchmarks;

/// <summary>The journal: words on as many lines, four lines apart, all stored or none.</summary>
internal static class JournalContests
{
    private const long Stride = 256;
    private const int JournalBytes = 4096;

    public static readonly int[] AllCounts = [1, 4, 16];

    /// <summary>A program that is at hand, against a transaction of libpmemobj.</summary>
    public static Contest Prepared(Arena arena, int count)
    {
        Journal journal = MakeJournal(arena);
        PersistProgram[] programs = [ProgramOf(count, 1), ProgramOf(count, 2)];
        return new Contest("journal, prepared", "libpmemobj", count,
            n => { for (int i = 0; i < n; i++) journal.Commit(programs[i & 1]); },
            n => { for (int i = 0; i < n; i++) arena.ObjectPool.StoreWords(count, Stride, i); },
            LimitOf(count));
    }

    /// <summary>The program built anew for each commit, against the same.</summary>
    public static Contest Built(Arena arena, int count)
    {
        Journal journal = MakeJournal(arena);
        return new Contest("journal, program built", "libpmemobj", count,
            n => { for (int i = 0; i < n; i++) journal.Commit(ProgramOf(count, i)); },
            n => { for (int i = 0; i < n; i++) arena.ObjectPool.StoreWords(count, Stride, i); },
            null);
    }

    private static double LimitOf(int count) => count switch { 1 => 0.5, 4 => 0.3, _ => 0.15 };

    /// <summary>Behind everything that the copies write to.</summary>
    private static Journal MakeJournal(Arena arena) =>
        Journal.Format(arena.Map, new ByteRange(arena.Map.Length - JournalBytes, JournalBytes));

    private static PersistProgram ProgramOf(int count, long value)
    {
        PersistProgram program = PersistProgram.Empty;
        for (int i = 0; i < count; i++) program = program.Write(i * Stride, value);
        return program;
    }
}
