using System.CommandLine;

namespace Pmem.Tool;

/// <summary>pmem lint: the mistakes that a trace shows without a crash.</summary>
internal static class LintCommand
{
    public static readonly string[] Examples =
    [
        "pmem lint update.trace",
        "pmem lint store.log --file /mnt/pmem/pool --json",
    ];

    public static Command Make(Action<Command, Func<ParseResult, Screen, CancellationToken, int>> act)
    {
        var command = new Command(
            "lint",
            "The mistakes that a trace shows without a crash: stores that are never durable, flushes for nothing. Ends "
            + "with 1 where there is one.");
        var trace = new TraceFile(command);
        act(command, (parsed, screen, _) => Run(screen, trace.Read(parsed), trace.ModelOf(parsed)));
        return command;
    }

    private static int Run(Screen screen, PersistTrace trace, PersistencyModel model)
    {
        // A loop makes the same mistake many times.
        Mistake[] found = PersistLint.Check(model, trace.Events)
            .GroupBy(diagnostic => diagnostic.ToString())
            .Select(group => new Mistake(group.Key, group.Count()))
            .ToArray();
        screen.Answer(
            new LintAnswer(model.ToString(), trace.Events.Count, found),
            () =>
            {
                foreach (Mistake mistake in found)
                    screen.Line(mistake.Times == 1 ? mistake.Text : $"{mistake.Text} ({mistake.Times} times)");
                if (found.Length == 0) screen.Line($"Nothing to complain about in {trace.Events.Count} events.");
            });
        return found.Length == 0 ? ExitCodes.Fine : ExitCodes.Found;
    }
}
