using System.CommandLine;

namespace Pmem.Tool;

/// <summary>Options with what holds where they are left out.</summary>
internal static class Options
{
    public static Option<T> Of<T>(string name, string description, T fallback) =>
        new(name) { Description = description, DefaultValueFactory = _ => fallback };
}
