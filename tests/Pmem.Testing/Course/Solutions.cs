using System.Collections.Immutable;
using Exercises;
using Pmem;

namespace Course;

/// <summary>A solution of each exercise of samples/Exercises: the hidden tests accept these.</summary>
public static class Solutions
{
    public static IReadOnlyList<object> All { get; } =
    [
        new Solution1(), new Solution2(), new Solution3(), new Solution4(), new Solution5(),
        new Solution6(), new Solution7(), new Solution8(), new Solution9(),
    ];

    private sealed class Solution1 : Exercise1
    {
        public override void Save(IPersistentMemory memory, long score)
        {
            memory.StoreInt64(0, score);
            memory.Persist(0, 8);
        }
    }

    private sealed class Solution2 : Exercise2
    {
        public override void Save(IPersistentMemory memory, ReadOnlySpan<byte> record)
        {
            memory.Store(64, record);
            memory.Persist(64, record.Length);
        }
    }

    private sealed class Solution3 : Exercise3
    {
        public override void Save(IPersistentMemory memory, long first, long second, long third)
        {
            base.Save(memory, first, second, third);
            memory.Drain();
        }
    }

    private sealed class Solution4 : Exercise4
    {
        private static long Sum(long first, long second) =>
            unchecked((first * 31 + second) * 0x2545F4914F6CDD1D + 0x517CC1B727220A95);

        public override void Save(IPersistentMemory memory, long first, long second)
        {
            memory.StoreInt64(64, first);
            memory.StoreInt64(72, second);
            memory.StoreInt64(80, Sum(first, second));
            memory.Persist(64, 24);
        }

        public override (long First, long Second)? Load(IPersistentMemory memory)
        {
            (long first, long second) = (memory.ReadInt64(64), memory.ReadInt64(72));
            return memory.ReadInt64(80) == Sum(first, second) ? (first, second) : null;
        }
    }

    private sealed class Solution5 : Exercise5
    {
        public override void Append(IPersistentMemory memory, long first, long second)
        {
            long count = memory.ReadInt64(0);
            long record = 64 + 64 * count;
            memory.StoreInt64(record, first);
            memory.StoreInt64(record + 8, second);
            memory.Persist(record, 16);
            memory.StoreInt64(0, count + 1);
            memory.Persist(0, 8);
        }
    }

    private sealed class Solution6 : Exercise6
    {
        private static readonly ByteRange Range = new(1024, 1024);

        public override void Prepare(IPersistentMemory memory) => Journal.Format(memory, Range);

        public override void Transfer(IPersistentMemory memory, long amount) =>
            Journal.Open(memory, Range).Commit(
                PersistProgram.Empty
                    .Write(0, memory.ReadInt64(0) - amount)
                    .Write(64, memory.ReadInt64(64) + amount));

        public override void Recover(IPersistentMemory memory) => Journal.Open(memory, Range);
    }

    private sealed class Solution7 : Exercise7
    {
        public override void Recover(IPersistentMemory memory)
        {
            if (memory.ReadInt64(128) != 1) return;
            memory.StoreInt64(0, memory.ReadInt64(136));
            memory.StoreInt64(64, memory.ReadInt64(144));
            memory.Persist(0, 72);
            memory.StoreInt64(128, 0);
            memory.Persist(128, 8);
        }
    }

    private sealed class Solution8 : Exercise8
    {
        public override ImmutableList<long> Model(StackOperation operation, ImmutableList<long> items) => operation switch
        {
            StackOperation.Pop => items.IsEmpty ? items : items.RemoveAt(items.Count - 1),
            _ when items.Count == 4 => items,
            StackOperation.PushOne => items.Add(1),
            _ => items.Add(2),
        };
    }

    private sealed class Solution9 : Exercise9
    {
        public override void Save(IPersistentMemory memory, long[] fields)
        {
            for (int i = 0; i < fields.Length; i++)
            {
                memory.StoreInt64(64 * i, fields[i]);
                memory.Flush(64 * i, 8);
            }

            memory.Drain();
        }
    }
}
