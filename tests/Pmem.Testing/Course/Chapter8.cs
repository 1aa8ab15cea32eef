using System.Collections.Immutable;
using Pmem;

namespace Course;

/// <summary>Property-based checking: a structure against its model, crashed everywhere.</summary>
public static class Chapter8
{
    public static void CountFirst(byte item, IPersistentMemory memory)
    {
        long count = memory.ReadInt64(0);
        memory.StoreInt64(0, count + 1);
        memory.Persist(0, 8);
        memory.StoreInt64(64 + 8 * count, item);
        memory.Persist(64 + 8 * count, 8);
    }

    public static void ItemFirst(byte item, IPersistentMemory memory)
    {
        long count = memory.ReadInt64(0);
        memory.StoreInt64(64 + 8 * count, item);
        memory.Persist(64 + 8 * count, 8);
        memory.StoreInt64(0, count + 1);
        memory.Persist(0, 8);
    }

    public static DurableStructure<byte, ImmutableList<long>> Log(Action<byte, IPersistentMemory> append) => new(
        image: new byte[1024],
        initial: [],
        apply: append,
        model: (item, items) => items.Add(item),
        recover: memory =>
            [.. Enumerable.Range(0, (int)memory.ReadInt64(0)).Select(i => memory.ReadInt64(64 + 8 * i))]);
}
