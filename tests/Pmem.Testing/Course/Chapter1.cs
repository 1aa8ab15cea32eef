using Pmem;

namespace Course;

/// <summary>What a store is: visible, and not durable.</summary>
public static class Chapter1
{
    public static void Forgets(IPersistentMemory memory, long score) => memory.StoreInt64(0, score);

    public static void Keeps(IPersistentMemory memory, long score)
    {
        memory.StoreInt64(0, score);
        memory.Persist(0, 8);
    }

    public static CrashReport Check(Action<IPersistentMemory, long> save) => CrashCheck.Run(
        CrashCheckOptions.Default,
        new byte[64],
        memory =>
        {
            save(memory, 42);
            memory.Acknowledge(1); // "Saved", the player is told.
        },
        memory => memory.Acknowledged.Count == 0 || memory.ReadInt64(0) == 42);
}
