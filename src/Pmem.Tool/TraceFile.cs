using System.CommandLine;

namespace Pmem.Tool;

/// <summary>A saved trace, and the options of the commands that read one.</summary>
internal sealed class TraceFile
{
    private static readonly Dictionary<string, PersistencyModel> Models = new PersistencyModel[]
        {
            PersistencyModel.X86, PersistencyModel.Eadr, PersistencyModel.PageCache, PersistencyModel.Relaxed,
        }.ToDictionary(model => model.ToString(), StringComparer.OrdinalIgnoreCase);

    private readonly Argument<string> _path = new("TRACE")
    {
        Description = "A trace (docs/traces.md), or a log of pmemcheck's --log-stores=yes; - reads the standard input.",
    };

    private readonly Option<string> _model =
        Options.Of("--model", "What is guaranteed about durability.", "X86");

    private readonly Option<string> _file =
        Options.Of("--file", "In pmemcheck's log: the mapped file to follow, where it has several.", "");

    public TraceFile(Command command)
    {
        _model.AcceptOnlyFromAmong([.. Models.Keys]);
        command.Arguments.Add(_path);
        command.Options.Add(_model);
        command.Options.Add(_file);
    }

    public PersistencyModel ModelOf(ParseResult parsed) => Models[parsed.GetRequiredValue(_model)];

    public string PathOf(ParseResult parsed) => parsed.GetRequiredValue(_path);

    public PersistTrace Read(ParseResult parsed)
    {
        string path = PathOf(parsed);
        string[] lines = path == "-" ? Console.In.ReadToEnd().Split('\n') : File.ReadAllLines(path);
        string first = lines.FirstOrDefault(line => line.Length > 0 && line[0] != '#') ?? "";
        try
        {
            return first.StartsWith("pmem-trace", StringComparison.Ordinal)
                ? PersistTrace.Parse(lines)
                : PersistTrace.ParsePmemcheck(lines, parsed.GetRequiredValue(_file));
        }
        catch (FormatException e)
        {
            throw new FormatException($"{path}: {e.Message}", e);
        }
    }
}
