using Pmem;

namespace Course;

/// <summary>Measuring it: what an update costs is how often it waits.</summary>
public static class Chapter9
{
    public static void PersistsEach(IPersistentMemory memory)
    {
        for (long i = 0; i < 4; i++)
        {
            memory.StoreInt64(64 * i, i + 1);
            memory.Persist(64 * i, 8);
        }
    }

    public static void DrainsOnce(IPersistentMemory memory)
    {
        for (long i = 0; i < 4; i++)
        {
            memory.StoreInt64(64 * i, i + 1);
            memory.Flush(64 * i, 8);
        }

        memory.Drain();
    }

    /// <summary>How often an update waits.</summary>
    public static int Drains(Action<IPersistentMemory> update)
    {
        var memory = new RecordedMemory(new byte[256], PersistencyModel.X86);
        update(memory);
        return memory.Trace.Count(recorded => recorded.Event.ToString() == "fence");
    }
}
