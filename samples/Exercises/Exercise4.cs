using Pmem;

namespace Exercises;

/// <summary>Chapter 4. Two words can be torn. Make a torn pair be seen.</summary>
public class Exercise4
{
    /// <summary>Saves a pair in the line at 64, whose eight words are yours; at first all are 0.</summary>
    public virtual void Save(IPersistentMemory memory, long first, long second)
    {
        memory.StoreInt64(64, first);
        memory.StoreInt64(72, second);
        memory.Persist(64, 16);
    }

    /// <summary>The pair that was saved, whole; or null, where none was, or where a crash left only a part of it.</summary>
    public virtual (long First, long Second)? Load(IPersistentMemory memory) =>
        (memory.ReadInt64(64), memory.ReadInt64(72));
}
