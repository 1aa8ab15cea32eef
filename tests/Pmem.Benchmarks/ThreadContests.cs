namespace Pmem.Benchmarks;

/// <summary>Persists of 8 bytes and writes of 64, by several threads at once: on one mapping, each in a part of its own, and on one each.</summary>
internal sealed unsafe class ThreadContests : IDisposable
{
    private const long PartBytes = 4L << 20;
    private const int MostThreads = 8;

    private static readonly int[] s_counts = [1, 2, 4, MostThreads];
    private static readonly bool[] s_sharing = [true, false];

    private readonly PmemMapping _shared;
    private readonly PmemMapping[] _own;
    private readonly byte* _source;
    private readonly Dictionary<int, Team> _teams = [];

    public ThreadContests(Arena arena)
    {
        _shared = PmemMapping.CreateTemporary(arena.Where, MostThreads * PartBytes);
        _own = [.. Enumerable.Range(0, MostThreads).Select(_ => PmemMapping.CreateTemporary(arena.Where, PartBytes))];
        _source = arena.Source;
        foreach (PmemMapping map in _own.Append(_shared)) map.Fill(0, map.Length, 1);
    }

    public List<Contest> All() =>
    [
        .. from threads in s_counts
           from isShared in s_sharing
           from contest in new[] { Persist(threads, isShared), Write(threads, isShared) }
           select contest,
    ];

    private Contest Persist(int threads, bool isShared)
    {
        PmemMapping MapOf(int me) => isShared ? _shared : _own[me];
        return Of("append, 8 B and Persist", threads, isShared, 8, 1.0,
            me => new OurPersist(MapOf(me), 8), me => new TheirPersist(MapOf(me).Pointer, 8));
    }

    private Contest Write(int threads, bool isShared)
    {
        PmemMapping MapOf(int me) => isShared ? _shared : _own[me];
        return Of("write 64 B", threads, isShared, 64, 0.75,
            me => new OurWrite(MapOf(me), 64), me => new TheirWrite(MapOf(me).Pointer, 64));
    }

    private Contest Of<TOurs, TTheirs>(string group, int threads, bool isShared, int size, double limit, Func<int, TOurs> ours, Func<int, TTheirs> theirs)
        where TOurs : struct, ITurn where TTheirs : struct, ITurn
    {
        // Each thread has a track of its own; a turn is one of each thread.
        Track<Along>[] tracks =
            [.. Enumerable.Range(0, threads).Select(me => new Track<Along>(new Along(size, PartBytes, isShared ? me * PartBytes : 0), _source, Arena.MaxBytes))];
        Action<int>[] oursOf = [.. tracks.Select((track, me) => track.Of(ours(me)))];
        Action<int>[] theirsOf = [.. tracks.Select((track, me) => track.Of(theirs(me)))];
        Team team = TeamOf(threads);
        return new Contest(
            $"{group}, {(isShared ? "one mapping" : "one each")}", "libpmem", size,
            n => team.Run(n, (me, turns) => oursOf[me](turns)), n => team.Run(n, (me, turns) => theirsOf[me](turns)), limit)
        { BytesPerTurn = threads * size, Threads = threads };
    }

    private Team TeamOf(int threads)
    {
        if (!_teams.TryGetValue(threads, out Team? team)) _teams[threads] = team = new Team(threads);
        return team;
    }

    public void Dispose()
    {
        foreach (Team team in _teams.Values) team.Dispose();
        foreach (PmemMapping map in _own.Append(_shared)) map.Dispose();
    }
}
