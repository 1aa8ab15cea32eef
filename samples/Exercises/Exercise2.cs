using Pmem;

namespace Exercises;

/// <summary>Chapter 2. A long record loses its end. Find out which lines were flushed.</summary>
public class Exercise2
{
    /// <summary>Saves a record of any length from 64 on. When this returns, no power failure may lose any of it.</summary>
    public virtual void Save(IPersistentMemory memory, ReadOnlySpan<byte> record)
    {
        memory.Store(64, record);
        memory.Flush(64, 8);
        memory.Drain();
    }
}
