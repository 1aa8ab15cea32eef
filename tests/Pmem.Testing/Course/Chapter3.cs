using Pmem;

namespace Course;

/// <summary>Why drain: a flush only begins.</summary>
public static class Chapter3
{
    public static void DoesNotWait(IPersistentMemory memory)
    {
        memory.StoreInt64(0, 1);
        memory.Flush(0, 8);
        memory.StoreInt64(64, 2);
        memory.Flush(64, 8);
    }

    public static void Waits(IPersistentMemory memory)
    {
        DoesNotWait(memory);
        memory.Drain(); // one for both
    }

    public static CrashReport Check(Action<IPersistentMemory> save) => CrashCheck.Run(
        CrashCheckOptions.Default,
        new byte[128],
        memory =>
        {
            save(memory);
            memory.Acknowledge(1);
        },
        memory => memory.Acknowledged.Count == 0 || (memory.ReadInt64(0) == 1 && memory.ReadInt64(64) == 2));
}
