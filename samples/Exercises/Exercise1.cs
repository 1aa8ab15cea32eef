using Pmem;

namespace Exercises;

/// <summary>Chapter 1. The player is told that her score is saved. Make that true.</summary>
public class Exercise1
{
    /// <summary>Saves the score, the word at 0. When this returns, no power failure may lose it.</summary>
    public virtual void Save(IPersistentMemory memory, long score)
    {
        memory.StoreInt64(0, score);
    }
}
