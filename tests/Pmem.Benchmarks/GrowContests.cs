namespace Pmem.Benchmarks;

/// <summary>The same on a mapping that was made with ReserveLength and has grown (ours) and on one that cannot grow (theirs).</summary>
internal static unsafe class GrowContests
{
    private const long WindowBytes = 256 << 10;

    public static List<Contest> All(Arena arena) =>
    [
        new("persist, a mapping that has grown", "one that cannot", 8,
            On(arena, new OurPersist(arena.Growing, 8)), On(arena, new OurPersist(arena.Map, 8)), Limit: 1.05),
        new("write, a mapping that has grown", "one that cannot", 64,
            On(arena, new OurWrite(arena.Growing, 64)), On(arena, new OurWrite(arena.Map, 64)), Limit: 1.05),
    ];

    private static Action<int> On<TTurn>(Arena arena, TTurn turn) where TTurn : struct, ITurn =>
        new Track<Along>(new Along(64, WindowBytes), arena.Source, Arena.MaxBytes).Of(turn);
}
