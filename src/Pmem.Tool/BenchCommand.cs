using System.CommandLine;
using Spectre.Console;

namespace Pmem.Tool;

/// <summary>pmem bench: what making bytes durable costs in a directory.</summary>
internal static class BenchCommand
{
    private static readonly Option<string?> Svg = new("--svg") { Description = "Draws the times into this file." };

    private static readonly Argument<string> DirectoryOf = new("DIR")
    {
        Description = "Where to measure; the current directory where it is left out. 48 MiB are used there, and given back.",
        DefaultValueFactory = _ => ".",
    };

    private static readonly Option<int> RoundsOf = Options.Of("--rounds", "How often each is timed.", 25);

    public static readonly string[] Examples =
    [
        "pmem bench /mnt/pmem",
        "pmem bench . --rounds 100 --svg bench.svg",
    ];

    public static Command Make(Action<Command, Func<ParseResult, Screen, CancellationToken, int>> act)
    {
        var command = new Command(
            "bench",
            "What a persist, durable writes of 64 B and 4 KiB, and a flush plan cost in a directory, beside msync "
            + "(MemoryMappedFile) and fsync (RandomAccess). Medians; the quartiles are the spread.");
        command.Arguments.Add(DirectoryOf);
        command.Options.Add(RoundsOf);
        command.Options.Add(Svg);
        RoundsOf.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < 1) result.AddError("--rounds is 1 or more.");
        });
        act(command, (parsed, screen, cancellation) =>
            Run(screen, parsed.GetRequiredValue(DirectoryOf), parsed.GetValue(RoundsOf), parsed.GetValue(Svg), cancellation));
        return command;
    }

    private static int Run(Screen screen, string directory, int rounds, string? svg, CancellationToken cancellation)
    {
        using var bench = new Bench(directory);
        IReadOnlyList<Timing> timings = Measured(screen, bench, rounds, cancellation);
        string caution = Caution(bench.Info, new Machine().MountOf(directory));
        if (svg is not null) OutputFile.Write(svg, BenchPlot.Of(timings, directory));
        screen.Answer(new BenchAnswer(directory, bench.Info.ToString(), caution, rounds, timings), () =>
        {
            screen.Line(bench.Info.ToString());
            var table = new Table { Border = TableBorder.Simple };
            table.AddColumns("what", "by", "time", "spread", "GB/s");
            foreach (Timing timing in timings)
                table.AddRow(
                    Markup.Escape(timing.Name), timing.By, Sizes.Time(timing.Nanoseconds),
                    $"{Sizes.Time(timing.LowNanoseconds)} to {Sizes.Time(timing.HighNanoseconds)}", Sizes.Number(timing.GigabytesPerSecond));
            screen.Console.Write(table);
            screen.Line(caution);
        });
        return ExitCodes.Fine;
    }

    private static IReadOnlyList<Timing> Measured(Screen screen, Bench bench, int rounds, CancellationToken cancellation)
    {
        if (screen.IsJson || !screen.Progress.Profile.Capabilities.Interactive)
            return Rounds.Run(bench.Subjects(), rounds, () => { }, cancellation);
        return screen.Progress.Progress().Start(context =>
        {
            ProgressTask task = context.AddTask("measuring", maxValue: rounds);
            return Rounds.Run(bench.Subjects(), rounds, () => task.Increment(1), cancellation);
        });
    }

    /// <summary>What the numbers do not say.</summary>
    private static string Caution(MappingInfo info, Mount? mount)
    {
        if (info.IsPmem && info.Facts.Kind == MappingKind.PageCache)
            return "PMEM_IS_PMEM_FORCE takes ordinary memory for persistent memory: these are the instructions' times on DRAM, and nothing is durable.";
        if (mount is { FileSystem: "tmpfs" or "ramfs" })
            return $"{mount.FileSystem} is memory: its msync does nothing, and nothing is durable.";
        return info.IsPmem
            ? "The kernel calls this persistent memory. Emulated NVDIMMs (memmap=, virtual machines) are DRAM, and faster than media."
            : "This is msync: the times are the file system's and the device's. A device with a volatile cache that does not flush it looks fast.";
    }
}
