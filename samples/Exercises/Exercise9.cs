using Pmem;

namespace Exercises;

/// <summary>Chapter 9. Correct, and ten times too slow. A drain is what it costs.</summary>
public class Exercise9
{
    /// <summary>Saves field i at 64 * i. When this returns, no power failure may lose any; they may be lost one by one before.</summary>
    public virtual void Save(IPersistentMemory memory, long[] fields)
    {
        for (int i = 0; i < fields.Length; i++)
        {
            memory.StoreInt64(64 * i, fields[i]);
            memory.Persist(64 * i, 8);
        }
    }
}
