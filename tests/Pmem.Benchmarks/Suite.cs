namespace Pmem.Benchmarks;

/// <summary>Which contests a run has.</summary>
internal static class Suite
{
    /// <summary>What can be said in a minute.</summary>
    public static List<Contest> Quick(Arena arena) =>
    [
        .. Sizes(arena, CopyContests.QuickSizes),
        .. PackedContests.All(arena),
        .. GrowContests.All(arena),
        CopyContests.Bandwidth(arena, 1 << 20),
        CopyContests.Bandwidth(arena, 16 << 20),
        CopyContests.BareCopy(arena, 16 << 20),
        PlanContests.Prepared(arena, 16),
        PlanContests.PreparedOrEach(arena, 16),
        PlanContests.BuiltOrEach(arena, 16),
        .. JournalContests.AllCounts.Select(count => JournalContests.Prepared(arena, count)),
        .. JournalContests.AllCounts.Select(count => JournalContests.Built(arena, count)),
    ];

    /// <summary>All sizes and all rivals.</summary>
    public static List<Contest> Full(Arena arena)
    {
        long[] large = [1 << 20, 4 << 20, 16 << 20, 64 << 20];
        long[] some = [8, 64, 4 << 10, 1 << 20, 64 << 20];
        return
        [
            .. Sizes(arena, CopyContests.AllSizes),
            .. CopyContests.AllSizes.Select(size => CopyContests.WriteUnaligned(arena, size)),
            .. large.Select(size => CopyContests.Bandwidth(arena, size)),
            .. large.Select(size => CopyContests.BareCopy(arena, size)),
            .. some.Select(size => CopyContests.Memcpy(arena, size)),
            .. some.Select(size => CopyContests.MappedFile(arena, size)),
            .. PlanContests.AllCounts.Select(count => PlanContests.Prepared(arena, count)),
            .. PlanContests.AllCounts.Select(count => PlanContests.PreparedOrEach(arena, count)),
            .. PlanContests.AllCounts.Select(count => PlanContests.BuiltOrEach(arena, count)),
            .. JournalContests.AllCounts.Select(count => JournalContests.Prepared(arena, count)),
            .. JournalContests.AllCounts.Select(count => JournalContests.Built(arena, count)),
        ];
    }

    private static IEnumerable<Contest> Sizes(Arena arena, long[] sizes) =>
    [
        .. sizes.Select(size => CopyContests.Write(arena, size)),
        .. sizes.Select(size => CopyContests.Fill(arena, size)),
        .. sizes.Select(size => CopyContests.Move(arena, size)),
        .. sizes.Select(size => CopyContests.Persist(arena, size)),
    ];
}
