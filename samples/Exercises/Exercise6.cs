using Pmem;

namespace Exercises;

/// <summary>Chapter 6. Money goes from one account to another. No crash may make or lose any.</summary>
public class Exercise6
{
    /// <summary>Makes memory ready, once; all of it is 0. The accounts are the words at 0 and 64; from 1024 to 2048 is yours.</summary>
    public virtual void Prepare(IPersistentMemory memory)
    {
    }

    /// <summary>Moves an amount from the account at 0 to the one at 64: both change, or none.</summary>
    public virtual void Transfer(IPersistentMemory memory, long amount)
    {
        memory.StoreInt64(0, memory.ReadInt64(0) - amount);
        memory.StoreInt64(64, memory.ReadInt64(64) + amount);
        memory.Persist(0, 72);
    }

    /// <summary>Runs after a crash, before the accounts are read.</summary>
    public virtual void Recover(IPersistentMemory memory)
    {
    }
}
