using System.Collections.Immutable;
using FsCheck;
using Pmem;

namespace Structures;

/// <summary>The C# of docs/properties.md, compiled and run. A test holds each block of it against this file.</summary>
public static class CSharp
{
    public static DurableStructure<byte, ImmutableList<long>> Log { get; } = new(
        image: new byte[1024],
        initial: [],
        apply: (item, memory) =>
        {
            long count = memory.ReadInt64(0);
            memory.StoreInt64(64 + 8 * count, item);
            memory.Persist(64 + 8 * count, 8);
            memory.StoreInt64(0, count + 1);
            memory.Persist(0, 8);
        },
        model: (item, items) => items.Add(item),
        recover: memory =>
        {
            var items = ImmutableList.CreateBuilder<long>();
            for (long index = 0; index < memory.ReadInt64(0); index++) items.Add(memory.ReadInt64(64 + 8 * index));
            return items.ToImmutable();
        });

    public static void CheckLog() => Check.QuickThrowOnFailure(Log.IsDurable);

    /// <summary>Each is refused: what it is given is asynchronous.</summary>
    public static DurableStructure<byte, long> Asynchronous() => new(
        image: new byte[64],
        initial: 0,
        apply: async (_, _) => await Task.Yield(),
        model: (item, sum) => sum + item,
        recover: memory => memory.ReadInt64(0));
}
