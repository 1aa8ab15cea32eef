using Pmem;

namespace Exercises;

/// <summary>Chapter 3. Three counters on three lines. Make all of them durable, and wait only once.</summary>
public class Exercise3
{
    /// <summary>Saves the words at 0, 64 and 128. When this returns, no power failure may lose any. One drain is enough.</summary>
    public virtual void Save(IPersistentMemory memory, long first, long second, long third)
    {
        memory.StoreInt64(0, first);
        memory.StoreInt64(64, second);
        memory.StoreInt64(128, third);
        memory.Flush(0, 8);
        memory.Flush(64, 8);
        memory.Flush(128, 8);
    }
}
