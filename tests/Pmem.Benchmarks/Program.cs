using System.Globalization;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Pmem.Benchmarks;
using Spectre.Console;

// --quick             two tables within a minute
// --full [DIRECTORY]     all sizes and rivals; renews its table in DIRECTORY/benchmarks.md, and benchmarks.svg
// --packed [DIRECTORY]   packed records, random places, streams; renews its table and benchmarks-packed.svg
// --threads [DIRECTORY]  one to eight threads; renews its table and benchmarks-threads.svg
// --files [ROUNDS [DIRECTORY]]  ordinary files on a disk, in seconds; --quick has it too, with few rounds
// --touch [PLACES]       the first touch of 1 GiB in each of these directories
// --crash [THREADS]   what crash checks cost, at N and at 2N
// --meter             what it costs to be watched, and not to be
// --linear            what may grow with n log n at most, on n things and on 2n
// anything else       BenchmarkDotNet's own arguments, as in --filter '*Copy*'

AnsiConsole.Profile.Width = 160;
switch (args)
{
    case ["--quick"]:
        FileContests.RunApart("--files", "5");
        Run(Suite.Quick, new Rounds(51, TimeSpan.FromMilliseconds(2)), directory: null, "quick");
        break;
    case ["--full", .. var rest]:
        Run(Suite.Full, new Rounds(151, TimeSpan.FromMilliseconds(2)), rest.FirstOrDefault("."), "all");
        break;
    case ["--packed", .. var rest]:
        Run(arena => [.. PackedContests.All(arena), .. PackedContests.Ways(arena)], new Rounds(401, TimeSpan.FromMilliseconds(0.25)), rest.FirstOrDefault(), "packed");
        break;
    case ["--threads", .. var rest]:
        Run(arena => arena.Threads.All(), new Rounds(151, TimeSpan.FromMilliseconds(2)), rest.FirstOrDefault(), "threads");
        break;
    case ["--touch", .. var rest]:
        AnsiConsole.Write(TouchContests.Run(rest is [] ? ["/dev/shm"] : rest));
        break;
    case ["--files"]:
        RunFiles(rounds: 21, eachWrites: 1000, directory: null);
        break;
    case ["--files", var rounds, .. var rest]:
        RunFiles(int.Parse(rounds, CultureInfo.InvariantCulture), eachWrites: 100, rest.FirstOrDefault());
        break;
    case ["--crash"]:
        CrashContests.Run(threads: 1);
        break;
    case ["--crash", var threads]:
        CrashContests.Run(int.Parse(threads, CultureInfo.InvariantCulture));
        break;
    case ["--meter"]:
        MeterContests.Run();
        break;
    case ["--linear"]:
        AnsiConsole.Write(Linear.Run());
        break;
    default:
        // In this process, because libpmem's environment must be set before it is loaded.
        ManualConfig config = DefaultConfig.Instance.AddJob(Job.Default.WithToolchain(InProcessEmitToolchain.Instance));
        BenchmarkSwitcher.FromAssembly(typeof(CopyBenchmarks).Assembly).Run(args, config);
        break;
}

static void RunFiles(int rounds, int eachWrites, string? directory)
{
    if (FileArena.DirectoryOnDisk is not string disk)
    {
        Console.WriteLine("Ordinary files: left out, there is no directory on a disk; set TMPDIR to one.");
        return;
    }
    using var arena = new FileArena(disk);
    Show(FileContests.Conditions(arena), FileContests.All(arena, eachWrites), new Rounds(rounds, default), warmUpPasses: 1, directory, "files");
}

static void Run(Func<Arena, List<Contest>> suite, Rounds rounds, string? directory, string name)
{
    using var arena = new Arena();
    Show(Report.Conditions(arena), suite(arena), rounds, warmUpPasses: 4, directory, name);
}

static void Show(IEnumerable<string> conditions, List<Contest> contests, Rounds rounds, int warmUpPasses, string? directory, string name)
{
    string[] lines = [.. conditions];
    foreach (string line in lines) Console.WriteLine(line);
    Rounds.WarmUp(contests, warmUpPasses);
    List<Outcome> outcomes = [.. contests.Select(rounds.Run)];
    AnsiConsole.Write(Report.Of(outcomes, TableBorder.Rounded));
    if (directory is not null) Page.Renew(directory, name, lines, outcomes);
}
