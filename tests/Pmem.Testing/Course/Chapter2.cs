using Pmem;

namespace Course;

/// <summary>Why flush: what lies in the cache is lost, line by line.</summary>
public static class Chapter2
{
    private static void Store(IPersistentMemory memory)
    {
        for (long i = 0; i < 12; i++) memory.StoreInt64(64 + 8 * i, i + 1);
    }

    public static void FlushesOneLine(IPersistentMemory memory)
    {
        Store(memory);
        memory.Flush(64, 8); // "A flush is a flush."
        memory.Drain();
    }

    public static void FlushesAll(IPersistentMemory memory)
    {
        Store(memory);
        memory.Flush(64, 96);
        memory.Drain();
    }

    public static CrashReport Check(Action<IPersistentMemory> save) => CrashCheck.Run(
        CrashCheckOptions.Default,
        new byte[256],
        memory =>
        {
            save(memory);
            memory.Acknowledge(1);
        },
        memory => memory.Acknowledged.Count == 0
            || Enumerable.Range(0, 12).All(i => memory.ReadInt64(64 + 8 * i) == i + 1));
}
