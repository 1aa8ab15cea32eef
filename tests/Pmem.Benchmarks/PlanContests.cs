namespace Pmem.Benchmarks;

/// <summary>Flush plans: one field of 8 bytes on each of so many lines, four lines apart.</summary>
internal static unsafe class PlanContests
{
    private const long Stride = 256;

    public static readonly int[] AllCounts = [1, 2, 4, 8, 16, 32, 64];

    /// <summary>A prepared plan against libpmem's flush for each field and one drain.</summary>
    public static Contest Prepared(Arena arena, int count)
    {
        PmemMapping map = arena.Map;
        FlushPlan plan = FlushPlan.Of(Ranges(count));
        byte* at = map.Pointer;
        return new Contest("plan, prepared", "flush each, drain once", count,
            n => { for (int i = 0; i < n; i++) { Store(at, count, i); map.Execute(plan); } },
            n =>
            {
                for (int i = 0; i < n; i++)
                {
                    Store(at, count, i);
                    for (int field = 0; field < count; field++) NativeLibPmem.Flush(at + field * Stride, 8);
                    NativeLibPmem.Drain();
                }
            },
            count == 16 ? 1.0 : null);
    }

    /// <summary>A prepared plan against libpmem's persist for each field.</summary>
    public static Contest PreparedOrEach(Arena arena, int count)
    {
        PmemMapping map = arena.Map;
        FlushPlan plan = FlushPlan.Of(Ranges(count));
        byte* at = map.Pointer;
        return new Contest("plan, prepared", "persist each", count,
            n => { for (int i = 0; i < n; i++) { Store(at, count, i); map.Execute(plan); } },
            n => { for (int i = 0; i < n; i++) PersistEach(at, count, i); },
            count == 16 ? 0.10 : null);
    }

    /// <summary>A plan built anew each time against libpmem's persist for each field.</summary>
    public static Contest BuiltOrEach(Arena arena, int count)
    {
        PmemMapping map = arena.Map;
        ByteRange[] ranges = Ranges(count);
        byte* at = map.Pointer;
        return new Contest("plan, built and executed", "persist each", count,
            n => { for (int i = 0; i < n; i++) { Store(at, count, i); map.Execute(FlushPlan.Of(ranges.AsSpan())); } },
            n => { for (int i = 0; i < n; i++) PersistEach(at, count, i); },
            count == 16 ? 0.25 : null);
    }

    private static ByteRange[] Ranges(int count) =>
        [.. Enumerable.Range(0, count).Select(field => new ByteRange(field * Stride, 8))];

    private static void Store(byte* at, int count, long value)
    {
        for (int field = 0; field < count; field++) *(long*)(at + field * Stride) = value;
    }

    private static void PersistEach(byte* at, int count, long value)
    {
        for (int field = 0; field < count; field++)
        {
            *(long*)(at + field * Stride) = value;
            NativeLibPmem.Persist(at + field * Stride, 8);
        }
    }
}
