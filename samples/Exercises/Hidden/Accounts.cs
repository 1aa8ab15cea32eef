using Pmem;

namespace Exercises;

/// <summary>The tests of chapters 6 and 7: no money is made or lost.</summary>
internal static class Accounts
{
    public static void Check(Exercise6 exercise)
    {
        var prepared = new RecordedMemory(new byte[2048], PersistencyModel.X86);
        exercise.Prepare(prepared);
        prepared.StoreInt64(0, 100);
        Trial.Survives(
            prepared.ToArray(),
            memory =>
            {
                for (long i = 1; i <= 2; i++)
                {
                    exercise.Transfer(memory, 10);
                    memory.Acknowledge(i);
                }
            },
            memory =>
            {
                exercise.Recover(memory);
                long moved = memory.ReadInt64(64);
                return memory.ReadInt64(0) == 100 - moved
                    && (moved == 10 * Trial.Promised(memory) || moved == 10 * (Trial.Promised(memory) + 1));
            });
    }

    /// <summary>Recovery promises nothing, so the one after its crash is held to the same.</summary>
    public static void Check(Exercise7 exercise) => Trial.Survives(
        new byte[192],
        memory =>
        {
            memory.StoreInt64(136, 90);
            memory.StoreInt64(144, 10);
            memory.Persist(136, 16);
            memory.StoreInt64(128, 1);
            memory.Persist(128, 8);
            memory.Acknowledge(1);
        },
        memory =>
        {
            exercise.Recover(memory);
            (long, long) found = (memory.ReadInt64(0), memory.ReadInt64(64));
            return memory.ReadInt64(128) == 0 && (found == (90, 10) || (Trial.Promised(memory) == 0 && found == (0, 0)));
        });
}
