using Pmem;

namespace Course;

/// <summary>Torn writes: only a word of 8 bytes is never torn.</summary>
public static class Chapter4
{
    public static void Unchecked(IPersistentMemory memory, long low, long high)
    {
        memory.StoreInt64(64, low);
        memory.StoreInt64(72, high);
        memory.Persist(64, 16);
    }

    public static (long Low, long High)? LoadUnchecked(IPersistentMemory memory) =>
        (memory.ReadInt64(64), memory.ReadInt64(72));

    /// <summary>One-to-one in the high word, and not 0 for two zeros.</summary>
    private static long Sum(long low, long high) => unchecked((low * 31 + high) * 0x2545F4914F6CDD1D + 0x517CC1B727220A95);

    public static void Checked(IPersistentMemory memory, long low, long high)
    {
        memory.StoreInt64(64, low);
        memory.StoreInt64(72, high);
        memory.StoreInt64(80, Sum(low, high));
        memory.Persist(64, 24);
    }

    public static (long Low, long High)? LoadChecked(IPersistentMemory memory)
    {
        (long low, long high) = (memory.ReadInt64(64), memory.ReadInt64(72));
        return memory.ReadInt64(80) == Sum(low, high) ? (low, high) : null;
    }

    public static CrashReport Check(
        Action<IPersistentMemory, long, long> save, Func<IPersistentMemory, (long, long)?> load) => CrashCheck.Run(
        CrashCheckOptions.Default,
        new byte[128],
        memory =>
        {
            save(memory, 3, 4);
            memory.Acknowledge(1);
        },
        memory => load(memory) is { } pair ? pair is (3, 4) : memory.Acknowledged.Count == 0);
}
