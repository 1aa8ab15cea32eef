using System.CommandLine;

namespace Pmem.Tool;

/// <summary>pmem draw: a trace as a picture.</summary>
internal static class DrawCommand
{
    public static readonly string[] Examples =
    [
        "pmem draw update.trace",
        "pmem draw store.log --output picture.html",
    ];

    public static Command Make(Action<Command, Func<ParseResult, Screen, CancellationToken, int>> act)
    {
        var command = new Command(
            "draw",
            "Draws a trace: a column a cache line, time runs down, what a fence covers. As SVG, or as HTML where the "
            + "file's name ends so.");
        var trace = new TraceFile(command);
        var output = new Option<string?>("--output", "-o") { Description = "The picture; TRACE.svg where it is left out, - for the standard output." };
        command.Options.Add(output);
        act(command, (parsed, screen, _) =>
        {
            string path = parsed.GetValue(output) ?? (trace.PathOf(parsed) == "-" ? "-" : trace.PathOf(parsed) + ".svg");
            return Run(screen, trace.Read(parsed), trace.ModelOf(parsed), path);
        });
        return command;
    }

    private static int Run(Screen screen, PersistTrace trace, PersistencyModel model, string path)
    {
        string picture = path.EndsWith(".html", StringComparison.OrdinalIgnoreCase)
            ? trace.Events.ToHtml(model)
            : trace.Events.ToSvg(model);
        if (path == "-")
        {
            screen.Line(picture);
            return ExitCodes.Fine;
        }
        OutputFile.Write(path, picture);
        screen.Answer(new DrawAnswer(path, trace.Events.Count), () => screen.Line(path));
        return ExitCodes.Fine;
    }
}
