using System.Collections.Immutable;
using Pmem;

namespace Course;

/// <summary>A chapter's check of the program that fails, and of its repair.</summary>
public sealed record Lesson(int Chapter, string Name, Func<CrashReport> Broken, Func<CrashReport> Repaired);

/// <summary>The chapters' examples, as the tests run them.</summary>
public static class Chapters
{
    public static IReadOnlyList<Lesson> Lessons { get; } =
    [
        new(1, "a store", () => Chapter1.Check(Chapter1.Forgets), () => Chapter1.Check(Chapter1.Keeps)),
        new(2, "a flush", () => Chapter2.Check(Chapter2.FlushesOneLine), () => Chapter2.Check(Chapter2.FlushesAll)),
        new(3, "a drain", () => Chapter3.Check(Chapter3.DoesNotWait), () => Chapter3.Check(Chapter3.Waits)),
        new(
            4,
            "a torn pair",
            () => Chapter4.Check(Chapter4.Unchecked, Chapter4.LoadUnchecked),
            () => Chapter4.Check(Chapter4.Checked, Chapter4.LoadChecked)),
        new(5, "a commit word", () => Chapter5.Check(Chapter5.AllAtOnce), () => Chapter5.Check(Chapter5.InOrder)),
        new(6, "two words", () => Chapter6.Check(Chapter6.OneAfterTheOther), () => Chapter6.Check(Chapter6.Together)),
        new(
            7,
            "a recovery",
            () => Chapter7.Check(Chapter7.TakesNoteBackFirst, 1),
            () => Chapter7.Check(Chapter7.TakesNoteBackLast, 1)),
    ];

    /// <summary>The recovery of chapter 7 that is wrong, which is not crashed itself.</summary>
    public static CrashReport RecoveredOnce() => Chapter7.Check(Chapter7.TakesNoteBackFirst, 0);

    public static DurableStructure<byte, ImmutableList<long>> BrokenLog => Chapter8.Log(Chapter8.CountFirst);

    public static DurableStructure<byte, ImmutableList<long>> RepairedLog => Chapter8.Log(Chapter8.ItemFirst);

    /// <summary>How often each program of chapter 9 waits.</summary>
    public static (int Each, int Together) Drains =>
        (Chapter9.Drains(Chapter9.PersistsEach), Chapter9.Drains(Chapter9.DrainsOnce));
}
