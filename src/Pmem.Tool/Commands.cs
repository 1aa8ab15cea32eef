using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.ComponentModel;

namespace Pmem.Tool;

/// <summary>The command line: what can be asked, and what a mistake is answered with.</summary>
internal static class Commands
{
    private static readonly Option<bool> Json = new("--json")
    {
        Description = "Answer in JSON, errors too.",
        Recursive = true,
    };

    /// <summary>Runs one command line; its exit code.</summary>
    public static async Task<int> Run(string[] arguments, TextWriter output, TextWriter error)
    {
        ParseResult parsed = Root(output, error).Parse(arguments);
        if (parsed.Action is ParseErrorAction)
        {
            // Some of the library's sentences go over several lines.
            string mistakes = string.Join(' ', string.Join(' ', parsed.Errors.Select(mistake => mistake.Message)).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
            Complain($"{mistakes} See pmem --help.", arguments.Contains("--json"), output, error);
            return ExitCodes.Mistake;
        }
        return await parsed.InvokeAsync(new InvocationConfiguration
        {
            Output = output,
            Error = error,
            EnableDefaultExceptionHandler = false,
            // Long enough for a command to take back what is half done.
            ProcessTerminationTimeout = TimeSpan.FromSeconds(5),
        });
    }

    private static RootCommand Root(TextWriter output, TextWriter error)
    {
        var root = new RootCommand(
            "Persistent memory: what a persist does here, what it costs, and whether recorded code survives a power failure. "
            + "Exit codes: 0 fine; 1 something is wrong; 2 a mistake in what was asked; 3 the budget was used up first; 130 Ctrl-C.");
        root.Options.Add(Json);
        (Command Command, string[] Examples)[] commands =
        [
            (InfoCommand.Make(Act), InfoCommand.Examples),
            (BenchCommand.Make(Act), BenchCommand.Examples),
            (CheckCommand.Make(Act), CheckCommand.Examples),
            (LintCommand.Make(Act), LintCommand.Examples),
            (DrawCommand.Make(Act), DrawCommand.Examples),
        ];
        foreach ((Command command, _) in commands) root.Subcommands.Add(command);
        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithExamples((HelpAction)help.Action!, commands, output);
        return root;

        void Act(Command command, Func<ParseResult, Screen, CancellationToken, int> act) =>
            command.SetAction((parsed, cancellation) => Task.Run(() => Guarded(parsed, act, output, error, cancellation), CancellationToken.None));
    }

    private static int Guarded(
        ParseResult parsed, Func<ParseResult, Screen, CancellationToken, int> act, TextWriter output, TextWriter error,
        CancellationToken cancellation)
    {
        bool isJson = parsed.GetValue(Json);
        try
        {
            return act(parsed, new Screen(output, error, isJson), cancellation);
        }
        catch (OperationCanceledException)
        {
            Complain("Cancelled.", isJson, output, error);
            return ExitCodes.Cancelled;
        }
        catch (Exception e) when (IsForUser(e))
        {
            Complain(e.Message, isJson, output, error);
            return ExitCodes.Mistake;
        }
    }

    /// <summary>What a person can do something about: files, formats, sizes, programs, this machine. The rest is a bug, with a trace.</summary>
    private static bool IsForUser(Exception e) =>
        e is IOException or UnauthorizedAccessException or FormatException or ArgumentException or InvalidOperationException
            or Win32Exception or PlatformNotSupportedException or OutOfMemoryException;

    private static void Complain(string message, bool isJson, TextWriter output, TextWriter error)
    {
        if (isJson) new Screen(output, error, true).Answer(new ErrorAnswer(message), () => { });
        else error.WriteLine($"pmem: {message}");
    }
}
