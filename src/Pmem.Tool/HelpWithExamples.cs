using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Pmem.Tool;

/// <summary>The library's help, and examples after it.</summary>
internal sealed class HelpWithExamples(HelpAction help, (Command Command, string[] Examples)[] commands, TextWriter output)
    : SynchronousCommandLineAction
{
    public override int Invoke(ParseResult parseResult)
    {
        int result = help.Invoke(parseResult);
        Command asked = parseResult.CommandResult.Command;
        string[] examples = [.. commands.Where(one => one.Command == asked).SelectMany(one => one.Examples)];
        // Of the tool itself: the first of each.
        if (examples.Length == 0) examples = [.. commands.Select(one => one.Examples[0])];
        output.WriteLine("Examples:");
        foreach (string example in examples) output.WriteLine($"  {example}");
        return result;
    }
}
