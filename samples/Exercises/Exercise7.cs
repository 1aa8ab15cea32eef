using Pmem;

namespace Exercises;

/// <summary>Chapter 7. A transfer leaves a note, and recovery does what it says. But recovery crashes as well.</summary>
public class Exercise7
{
    /// <summary>
    /// Finishes what a note says. Where the word at 128 is 1, the words at 136 and 144 are what the accounts at 0 and 64 are to
    /// hold. In the end there is no note: the word at 128 is 0.
    /// </summary>
    public virtual void Recover(IPersistentMemory memory)
    {
        if (memory.ReadInt64(128) != 1) return;
        memory.StoreInt64(128, 0);
        memory.Persist(128, 8);
        memory.StoreInt64(0, memory.ReadInt64(136));
        memory.StoreInt64(64, memory.ReadInt64(144));
        memory.Persist(0, 72);
    }
}
