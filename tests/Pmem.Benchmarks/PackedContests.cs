namespace Pmem.Benchmarks;

/// <summary>
/// What programs do most: records one behind the other, as a log appends them; lines at random places of a large file; a
/// source and a destination that move along. No address is met again before the caches have forgotten it.
/// </summary>
internal static unsafe class PackedContests
{
    private const string Rival = "libpmem";
    private const int LineBytes = 64;

    private static readonly int[] s_records = [8, 24, 40, 100, 200, 500];

    /// <summary>The rows of the table, each with the limit beside it where there is machine code for it.</summary>
    public static List<Contest> All(Arena arena) =>
    [
        .. s_records.Select(size => Append(arena, size)),
        .. s_records.Select(size => Fill(arena, size)),
        Persist(arena),
        Random(arena),
        Stream(arena, LineBytes, 0.75),
        .. new[] { 4 << 10, 64 << 10, 1 << 20, 16 << 20 }.Select(size => Stream(arena, size, 1.0)),
        Move(arena, 4 << 10),
    ];

    /// <summary>The ways to the same bytes: how much of the time is the mapping's, and how much the kernel's.</summary>
    public static IEnumerable<Contest> Ways(Arena arena) => s_records.SelectMany(size => new[] { ByPointer(arena, size), BySpan(arena, size) });

    private static Contest Append(Arena arena, int size) => Packed(arena, "append", size, new OurWrite(arena.Map, size), TheirWrite(arena, size), 1.0);

    private static Contest ByPointer(Arena arena, int size) =>
        Packed(arena, "append, LibPmem.MemCpyPersist", size, new OurPointer(arena.Map.Pointer, size), TheirWrite(arena, size), null);

    private static Contest BySpan(Arena arena, int size) =>
        Packed(arena, "append, span and Persist", size, new OurSpan(arena.Map, size), TheirWrite(arena, size), null);

    private static Contest Fill(Arena arena, int size) =>
        Packed(arena, "append by Fill", size, new OurFill(arena.Map, size), new TheirFill(arena.Map.Pointer, size), 1.0);

    private static Contest Persist(Arena arena) =>
        Packed(arena, "append, 8 B and Persist", 8, new OurPersist(arena.Map, 8), new TheirPersist(arena.Map.Pointer, 8), 1.0);

    private static Contest Stream(Arena arena, int size, double limit)
    {
        Track<Along> track = Track(arena, size);
        return On(track, "stream", size, new OurWrite(arena.Map, size), TheirWrite(arena, size), limit) with
        {
            Bare = size == LineBytes ? track.Of(BareOf(arena.Map, size, isPast: true)) : null,
        };
    }

    private static Contest Random(Arena arena)
    {
        PmemMapping map = arena.Large;
        var track = new Track<Anywhere>(new Anywhere(map.Length), arena.Source, Arena.MaxBytes);
        return new Contest("64 B anywhere in 1 GiB", Rival, LineBytes,
            track.Of(new OurWrite(map, LineBytes)), track.Of(new TheirWrite(map.Pointer, LineBytes)), 0.75)
        {
            BytesPerTurn = LineBytes,
            Bare = track.Of(BareOf(map, LineBytes, isPast: true)),
        };
    }

    private static Contest Move(Arena arena, int size)
    {
        var track = new Track<Along>(new Along(size / 2, Arena.MaxBytes - size), arena.Map.Pointer, Arena.MaxBytes);
        return new Contest("move up by half", Rival, size,
            track.Of(new OurMove(arena.Map, size)), track.Of(new TheirMove(arena.Map.Pointer, size)), 1.0)
        { BytesPerTurn = size };
    }

    private static Contest Packed<TOurs, TTheirs>(Arena arena, string group, int size, TOurs ours, TTheirs theirs, double? limit)
        where TOurs : struct, ITurn where TTheirs : struct, ITurn
    {
        Track<Along> track = Track(arena, size);
        return On(track, group, size, ours, theirs, limit) with { Bare = track.Of(BareOf(arena.Map, size, isPast: false)) };
    }

    private static Contest On<TOurs, TTheirs>(Track<Along> track, string group, int size, TOurs ours, TTheirs theirs, double? limit)
        where TOurs : struct, ITurn where TTheirs : struct, ITurn =>
        new(group, Rival, size, track.Of(ours), track.Of(theirs), limit) { BytesPerTurn = size };

    private static Track<Along> Track(Arena arena, int size) => new(new Along(size, Arena.MaxBytes), arena.Source, Arena.MaxBytes);

    private static TheirWrite TheirWrite(Arena arena, int size) => new(arena.Map.Pointer, size);

    private static Bare BareOf(PmemMapping map, int size, bool isPast) => new(new BareCode(size, isPast, map.Info.Facts.Platform), map.Pointer);
}
