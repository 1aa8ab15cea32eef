using Pmem;

namespace Exercises;

/// <summary>The tests of chapters 1, 2, 3 and 9: what was saved is there.</summary>
internal static class Stores
{
    public static void Check(Exercise1 exercise) => Trial.Survives(
        new byte[64],
        memory =>
        {
            for (long score = 1; score <= 3; score++)
            {
                exercise.Save(memory, 10 * score);
                memory.Acknowledge(score);
            }
        },
        memory =>
        {
            long found = memory.ReadInt64(0);
            return found == 10 * Trial.Promised(memory) || found == 10 * (Trial.Promised(memory) + 1);
        });

    public static void Check(Exercise2 exercise)
    {
        foreach (int length in (int[])[8, 64, 65, 200])
        {
            byte[] record = [.. Enumerable.Range(1, length).Select(value => (byte)value)];
            Trial.Survives(
                new byte[512],
                memory =>
                {
                    exercise.Save(memory, record);
                    memory.Acknowledge(1);
                },
                memory => Trial.Promised(memory) == 0 || memory.ReadBytes(64, length).SequenceEqual(record));
        }
    }

    public static void Check(Exercise3 exercise)
    {
        void Save(RecordedMemory memory)
        {
            exercise.Save(memory, 1, 2, 3);
            memory.Acknowledge(1);
        }

        Trial.Survives(new byte[192], Save, memory => Trial.Promised(memory) == 0 || IsThere(memory, [1, 2, 3]));
        Trial.Demand(Trial.Drains(new byte[192], Save) == 1, "It is durable, but it waits more than once.");
    }

    public static void Check(Exercise9 exercise)
    {
        long[] fields = [.. Enumerable.Range(1, 16).Select(value => (long)value)];
        void Save(RecordedMemory memory)
        {
            exercise.Save(memory, fields);
            memory.Acknowledge(1);
        }

        Trial.Survives(new byte[1024], Save, memory => Trial.Promised(memory) == 0 || IsThere(memory, fields));
        int drains = Trial.Drains(new byte[1024], Save);
        Trial.Demand(drains == 1, $"It is durable, but it waits {drains} times.");
    }

    private static bool IsThere(CrashedMemory memory, long[] fields) =>
        fields.Select((value, i) => memory.ReadInt64(64 * i) == value).All(holds => holds);
}
