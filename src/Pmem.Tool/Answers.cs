using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Pmem.Tool;

/// <summary>What went wrong.</summary>
internal sealed record ErrorAnswer(string Error);

/// <summary>This machine.</summary>
internal sealed record MachineAnswer(
    string Describes, string Architecture, string WriteBack, string Fence, bool HasAutoFlush, long LineSizeBytes, long PageSizeBytes,
    int VectorBits, IReadOnlyDictionary<string, string> Environment, IReadOnlyList<Region> Regions, IReadOnlyList<PmemNamespace> Namespaces,
    IReadOnlyList<DaxDevice> DaxDevices, IReadOnlyList<Mount> Mounts);

/// <summary>What a mapping of a path would be.</summary>
internal sealed record PathAnswer(
    string Path, string Kind, bool IsPmem, string Granularity, string Why, string Persist, Mount? Mount, IReadOnlyList<string> Advice);

/// <summary>A block device, which is not mapped itself.</summary>
internal sealed record BlockDeviceAnswer(string Path, string Kind, bool IsPmem, IReadOnlyList<string> Advice);

/// <summary>What was timed.</summary>
internal sealed record BenchAnswer(string Directory, string Mapping, string Caution, int Rounds, IReadOnlyList<Timing> Timings);

/// <summary>What a program said of the images that a crash can leave.</summary>
internal sealed record CheckAnswer(
    string Verdict, string Model, long CrashPoints, long RecoveryRuns, int ProgramRuns, IReadOnlyList<string> Lost,
    IReadOnlyList<string> Durable, string Report);

/// <summary>How many images a crash can leave.</summary>
internal sealed record StatesAnswer(string Model, int Events, int States);

/// <summary>Where a picture is.</summary>
internal sealed record DrawAnswer(string Picture, int Events);

/// <summary>A mistake, and how often it was made.</summary>
internal sealed record Mistake(string Text, int Times);

/// <summary>The mistakes of a trace.</summary>
internal sealed record LintAnswer(string Model, int Events, IReadOnlyList<Mistake> Diagnostics);

/// <summary>How answers are written as JSON, by code that the compiler makes: so the tool can be compiled ahead of time.</summary>
[JsonSerializable(typeof(ErrorAnswer))]
[JsonSerializable(typeof(MachineAnswer))]
[JsonSerializable(typeof(PathAnswer))]
[JsonSerializable(typeof(BlockDeviceAnswer))]
[JsonSerializable(typeof(BenchAnswer))]
[JsonSerializable(typeof(CheckAnswer))]
[JsonSerializable(typeof(StatesAnswer))]
[JsonSerializable(typeof(DrawAnswer))]
[JsonSerializable(typeof(LintAnswer))]
internal sealed partial class AnswerJson : JsonSerializerContext
{
    private static readonly AnswerJson Readable = new(new JsonSerializerOptions(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });

    public static string Of(object answer) => JsonSerializer.Serialize(answer, answer.GetType(), Readable);
}
