using Pmem.Benchmarks;
using Spectre.Console;

using var arena = new Arena();
var rounds = new Rounds(61, TimeSpan.FromMilliseconds(2));
var table = new Table().AddColumns("what", "against", "size", "ours ns", "theirs ns", "ratio", "low", "high", "GB/s", "B", "limit");
List<Contest> contests = [];
long[] sizes = args.Contains("--all") ? CopyContests.AllSizes : CopyContests.QuickSizes;
foreach (long size in sizes) contests.Add(CopyContests.Write(arena, size));
foreach (long size in sizes) contests.Add(CopyContests.WriteUnaligned(arena, size));
foreach (long size in sizes) contests.Add(CopyContests.Fill(arena, size));
foreach (long size in sizes) contests.Add(CopyContests.Move(arena, size));
foreach (long size in sizes) contests.Add(CopyContests.Persist(arena, size));
contests.Add(PlanContests.Prepared(arena, 16));
contests.Add(PlanContests.PreparedOrEach(arena, 16));
contests.Add(PlanContests.BuiltOrEach(arena, 16));
if (args.Contains("--only")) contests.RemoveAll(c => !args.Contains(c.Group));
Rounds.WarmUp(contests);
foreach (var c in contests)
{
    var o = rounds.Run(c);
    Console.WriteLine($"{c.Group,-25} {c.Size,10} {o.OursNanoseconds,12:F1} {o.TheirsNanoseconds,12:F1} {o.Ratio,6:F3} [{o.Low:F3} {o.High:F3}] {o.GigabytesPerSecond,6:F2} {o.AllocatedBytes:F1} limit {c.Limit} {(o.Ratio > c.Limit ? "!!!" : "")}");
}
