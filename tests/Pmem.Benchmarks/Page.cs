using Spectre.Console;

namespace Pmem.Benchmarks;

/// <summary>The page of the documentation that holds the tables: each between two marks, the text around them written by hand.</summary>
internal static class Page
{
    /// <summary>Renews one table of DIRECTORY/benchmarks.md, and its picture beside it.</summary>
    /// <param name="directory">Where the page is.</param>
    /// <param name="name">The table's, in its marks and its picture's name.</param>
    /// <param name="conditions">Where it was measured, in a line each.</param>
    /// <param name="outcomes">The rows.</param>
    public static void Renew(string directory, string name, IEnumerable<string> conditions, IReadOnlyCollection<Outcome> outcomes)
    {
        using var table = new StringWriter();
        foreach (string line in conditions) table.WriteLine($"* {line}");
        IAnsiConsole markdown = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, Out = new AnsiConsoleOutput(table) });
        markdown.Profile.Width = 240;
        markdown.Write(Report.Of(outcomes, TableBorder.Markdown));
        IEnumerable<string> lines = table.ToString().Split('\n').Select(line => line.TrimEnd());

        string path = Path.Combine(directory, "benchmarks.md"), begin = $"<!-- table {name} -->\n", end = $"<!-- end {name} -->\n";
        string text = File.ReadAllText(path);
        // A table that was not there yet stands at the end.
        (string before, string after) = text.Split(begin) is [var head, var rest] && rest.Split(end) is [_, var tail] ? (head, tail) : (text + "\n", "");
        File.WriteAllText(path, $"{before}{begin}{string.Join('\n', lines).TrimEnd()}\n{end}{after}");
        string rival = outcomes.Any(outcome => outcome.Contest.Rival == "libpmem") ? "libpmem" : "what .NET has";
        Plot.Of(outcomes, $"Time of a durable operation, ours / {rival} (below 1: ours is faster)")
            .Save(Path.Combine(directory, name == "all" ? "benchmarks.svg" : $"benchmarks-{name}.svg"));
    }
}
