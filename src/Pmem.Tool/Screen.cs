using Spectre.Console;

namespace Pmem.Tool;

/// <summary>What the commands write to: words for a person, or JSON for a program.</summary>
internal sealed class Screen
{
    private readonly TextWriter _output;

    public Screen(TextWriter output, TextWriter error, bool isJson)
    {
        _output = output;
        IsJson = isJson;
        Console = Over(output);
        Progress = Over(error);
    }

    public bool IsJson { get; }

    /// <summary>Where tables go.</summary>
    public IAnsiConsole Console { get; }

    /// <summary>Where progress is shown; nothing that is redirected holds it.</summary>
    public IAnsiConsole Progress { get; }

    public void Line(string text) => _output.WriteLine(text);

    /// <summary>The answer: JSON of a value that <see cref="AnswerJson"/> knows, or what a person is shown instead.</summary>
    public void Answer(object value, Action words)
    {
        if (IsJson) _output.WriteLine(AnswerJson.Of(value));
        else words();
    }

    private static IAnsiConsole Over(TextWriter writer)
    {
        bool isTerminal = writer == System.Console.Out ? !System.Console.IsOutputRedirected
            : writer == System.Console.Error && !System.Console.IsErrorRedirected;
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
            Interactive = isTerminal ? InteractionSupport.Detect : InteractionSupport.No,
        });
        if (!isTerminal) console.Profile.Width = 160;
        return console;
    }
}
