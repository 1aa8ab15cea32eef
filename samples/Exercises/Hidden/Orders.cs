using Pmem;

namespace Exercises;

/// <summary>The tests of chapters 4 and 5: what counts is whole.</summary>
internal static class Orders
{
    public static void Check(Exercise4 exercise)
    {
        foreach ((long First, long Second) pair in (ReadOnlySpan<(long, long)>)[(1, 2), (7, 7), (-5, 5), (0, 9)])
        {
            Trial.Survives(
                new byte[128],
                memory =>
                {
                    exercise.Save(memory, pair.First, pair.Second);
                    memory.Acknowledge(1);
                },
                memory => exercise.Load(memory) is { } found ? found == pair : Trial.Promised(memory) == 0);
        }
    }

    public static void Check(Exercise5 exercise) => Trial.Survives(
        new byte[512],
        memory =>
        {
            for (long i = 1; i <= 3; i++)
            {
                exercise.Append(memory, i, i * i);
                memory.Acknowledge(i);
            }
        },
        memory =>
        {
            long count = memory.ReadInt64(0);
            if (count < Trial.Promised(memory) || count > 3) return false;
            for (long i = 1; i <= count; i++)
            {
                if (memory.ReadInt64(64 * i) != i || memory.ReadInt64(64 * i + 8) != i * i) return false;
            }

            return true;
        });
}
