using Pmem;

namespace Course;

/// <summary>Ordering with a commit word: what it counts must be durable before it is.</summary>
public static class Chapter5
{
    public static void AllAtOnce(IPersistentMemory memory, long text)
    {
        memory.StoreInt64(64, text);
        memory.StoreInt64(0, 1); // the commit word: there is a message
        memory.Persist(0, 72);   // "It is all flushed in the end."
    }

    public static void InOrder(IPersistentMemory memory, long text)
    {
        memory.StoreInt64(64, text);
        memory.Persist(64, 8);   // the message is durable ...
        memory.StoreInt64(0, 1); // ... before anything says that it is there
        memory.Persist(0, 8);
    }

    public static CrashReport Check(Action<IPersistentMemory, long> send) => CrashCheck.Run(
        CrashCheckOptions.Default,
        new byte[128],
        memory =>
        {
            send(memory, 42);
            memory.Acknowledge(1);
        },
        memory => memory.ReadInt64(0) == 0 ? memory.Acknowledged.Count == 0 : memory.ReadInt64(64) == 42);
}
