using Pmem;

namespace Exercises;

/// <summary>Chapter 5. A log: records, and a commit word that counts them. Put the steps in an order that survives.</summary>
public class Exercise5
{
    /// <summary>Appends a record of two words. The count is the word at 0; record i stands at 64 + 64 * i. Recovery takes
    /// every record that is counted for whole.</summary>
    public virtual void Append(IPersistentMemory memory, long first, long second)
    {
        long count = memory.ReadInt64(0);
        long record = 64 + 64 * count;
        memory.StoreInt64(0, count + 1);
        memory.StoreInt64(record, first);
        memory.StoreInt64(record + 8, second);
        memory.Persist(0, record + 16);
    }
}
