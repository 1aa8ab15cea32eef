using System.CommandLine;
using System.Runtime.ExceptionServices;

namespace Pmem.Tool;

/// <summary>pmem check: what a power failure can leave behind, counted, or judged by a program.</summary>
internal static class CheckCommand
{
    private static readonly Option<string[]> Program = new("--program")
    {
        Description = "Run on each image: a command and its arguments, to which the path of the image is added. 0: it is consistent.",
        AllowMultipleArgumentsPerToken = true,
    };

    private static readonly Option<bool> States = new("--states") { Description = "Count the distinct states; what is done without --program." };

    private static readonly Option<string?> Image = new("--image") { Description = "A file with what memory held before the trace; zeros otherwise." };

    private static readonly Option<long> Budget = Options.Of("--budget", "How many images are tried at most.", 100_000L);

    private static readonly Option<int> Timeout = Options.Of("--timeout", "How many seconds the program may take for an image; longer is inconsistent.", 60);

    private static readonly Option<string?> Svg = new("--svg") { Description = "Draws the verdict into this file." };

    public static readonly string[] Examples =
    [
        "pmem check update.trace --states",
        "pmem check store.log --program ./checker --strict --budget 5000",
    ];

    public static Command Make(Action<Command, Func<ParseResult, Screen, CancellationToken, int>> act)
    {
        var command = new Command(
            "check",
            "What a power failure can leave behind at any point of a trace. With --program it is judged: a program "
            + "looks at each image, as pmreorder's checker does, and the story in which it says no is told. "
            + "Ends with 1 where there is one.");
        var trace = new TraceFile(command);
        foreach (Option option in new Option[] { Program, States, Image, Budget, Timeout, Svg }) command.Options.Add(option);
        command.Validators.Add(result =>
        {
            if (result.GetValue(States) && result.GetValue(Program) is { Length: > 0 })
                result.AddError("--states counts, --program judges; give one of them.");
        });
        act(command, (parsed, screen, cancellation) => Run(parsed, screen, trace.Read(parsed), trace.ModelOf(parsed), cancellation));
        return command;
    }

    private static int Run(ParseResult parsed, Screen screen, PersistTrace trace, PersistencyModel model, CancellationToken cancellation)
    {
        byte[] image = ImageOf(parsed.GetValue(Image), trace.LengthBytes);
        if (parsed.GetValue(Program) is not { Length: > 0 } program) return Count(screen, trace, model, image);
        using var checker = new ImageChecker(program, TimeSpan.FromSeconds(parsed.GetValue(Timeout)), cancellation);
        CrashReport report = Judge(parsed, screen, trace, model, image, checker, cancellation);
        cancellation.ThrowIfCancellationRequested();
        if (parsed.GetValue(Svg) is string path) OutputFile.Write(path, report.ToSvg());
        screen.Answer(
            new CheckAnswer(
                report.Verdict.ToString(), model.ToString(), report.CrashPoints, report.RecoveryRuns, checker.Runs,
                StoresOf(report, counterexample => counterexample.Lost), StoresOf(report, counterexample => counterexample.Durable),
                report.ToString()),
            () =>
            {
                screen.Line(report.ToString());
                screen.Line($"The program was run on {checker.Runs} distinct images.");
            });
        return report.HasCounterexample ? ExitCodes.Found
            : report.Verdict == CrashVerdict.Consistent ? ExitCodes.Fine : ExitCodes.Undecided;
    }

    private static CrashReport Judge(
        ParseResult parsed, Screen screen, PersistTrace trace, PersistencyModel model, byte[] image, ImageChecker checker,
        CancellationToken cancellation)
    {
        CrashCheckOptions options = CrashCheckOptions.Default
            .WithModel(model)
            .WithBudget(parsed.GetValue(Budget))
            .WithCancellation(cancellation)
            // What the program does to its image is not seen, and so cannot be crashed.
            .WithRecoveryCrashes(0);
        CrashReport report = Waiting.For(
            screen, "running the program", reached => CrashCheck.RunTrace(options, image, trace.Events, (CrashedMemory memory) =>
            {
                reached($"{checker.Runs} distinct images");
                return checker.IsConsistent(memory);
            }));
        if (checker.Failure is Exception failure) ExceptionDispatchInfo.Throw(failure);
        return report;
    }

    private static int Count(Screen screen, PersistTrace trace, PersistencyModel model, byte[] image)
    {
        int states = Waiting.For(screen, "counting", () => StatesOf(trace, model, image));
        screen.Answer(
            new StatesAnswer(model.ToString(), trace.Events.Count, states),
            () => screen.Line($"{states} distinct states after a power failure, under {model}, at any point of {trace.Events.Count} events."));
        return ExitCodes.Fine;
    }

    private static int StatesOf(PersistTrace trace, PersistencyModel model, byte[] image)
    {
        try { return CrashStates.Enumerate(model, image, trace.Events.Select(recorded => recorded.Event)).Count; }
        catch (InvalidOperationException e)
        {
            throw new InvalidOperationException($"{e.Message} Here: --program judges them without a list.", e);
        }
    }

    private static string[] StoresOf(CrashReport report, Func<CrashCounterexample, IReadOnlyList<TracedStore>> stores) =>
        report.HasCounterexample ? [.. stores(report.Counterexample).Select(store => store.ToString())] : [];

    private static byte[] ImageOf(string? path, long lengthBytes)
    {
        if (lengthBytes > Array.MaxLength)
            throw new FormatException($"The trace's memory has {lengthBytes} bytes; at most {Array.MaxLength} can be checked.");
        if (path is null) return new byte[lengthBytes];
        byte[] image = File.ReadAllBytes(path);
        return image.Length == lengthBytes
            ? image
            : throw new FormatException($"{path} has {image.Length} bytes, and the trace's memory {lengthBytes}.");
    }
}
