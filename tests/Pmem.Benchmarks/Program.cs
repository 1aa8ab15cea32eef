using System.Globalization;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Pmem.Benchmarks;
using Spectre.Console;

// --quick             two tables within a minute
// --full [DIRECTORY]  all sizes and rivals; renews the table in DIRECTORY/benchmarks.md, and benchmarks.svg
// --files [ROUNDS]    ordinary files on a disk, in seconds; --quick has it too, with few rounds
// --crash [THREADS]   what crash checks cost, at N and at 2N
// --meter             what it costs to be watched, and not to be
// --linear            what may grow with n log n at most, on n things and on 2n
// anything else       BenchmarkDotNet's own arguments, as in --filter '*Copy*'

AnsiConsole.Profile.Width = 160;
switch (args)
{
    case ["--quick"]:
        FileContests.RunApart("--files", "5");
        Run(Suite.Quick, new Rounds(51, TimeSpan.FromMilliseconds(2)), directory: null);
        break;
    case ["--full", .. var rest]:
        Run(Suite.Full, new Rounds(151, TimeSpan.FromMilliseconds(2)), rest.FirstOrDefault("."));
        break;
    case ["--files"]:
        RunFiles(rounds: 21, eachWrites: 1000);
        break;
    case ["--files", var rounds]:
        RunFiles(int.Parse(rounds, CultureInfo.InvariantCulture), eachWrites: 100);
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

static void RunFiles(int rounds, int eachWrites)
{
    if (FileArena.DirectoryOnDisk is not string directory)
    {
        Console.WriteLine("Ordinary files: left out, there is no directory on a disk; set TMPDIR to one.");
        return;
    }
    using var arena = new FileArena(directory);
    foreach (string line in FileContests.Conditions(arena)) Console.WriteLine(line);
    List<Contest> contests = FileContests.All(arena, eachWrites);
    Rounds.WarmUp(contests, passes: 1);
    var inTurn = new Rounds(rounds, default);
    AnsiConsole.Write(Report.Of(contests.Select(inTurn.Run), TableBorder.Rounded));
}

static void Run(Func<Arena, List<Contest>> suite, Rounds rounds, string? directory)
{
    using var arena = new Arena();
    string[] conditions = [.. Report.Conditions(arena)];
    foreach (string line in conditions) Console.WriteLine(line);
    List<Contest> contests = suite(arena);
    Rounds.WarmUp(contests);
    List<Outcome> outcomes = [.. contests.Select(rounds.Run)];
    AnsiConsole.Write(Report.Of(outcomes, TableBorder.Rounded));
    if (directory is null) return;

    using var table = new StringWriter();
    foreach (string line in conditions) table.WriteLine($"* {line}");
    IAnsiConsole markdown = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, Out = new AnsiConsoleOutput(table) });
    markdown.Profile.Width = 240;
    markdown.Write(Report.Of(outcomes, TableBorder.Markdown));

    // The text before the table is written by hand, and stays.
    const string heading = "## The table\n";
    string path = Path.Combine(directory, "benchmarks.md");
    string text = File.Exists(path) ? File.ReadAllText(path).Split(heading)[0] : "";
    IEnumerable<string> lines = table.ToString().Split('\n').Select(line => line.TrimEnd());
    File.WriteAllText(path, $"{text}{heading}\n{string.Join('\n', lines).TrimEnd()}\n");
    Plot.Of(outcomes).Save(Path.Combine(directory, "benchmarks.svg"));
}
