using Spectre.Console;

namespace Pmem.Tool;

/// <summary>Something is going on, for as long as it takes.</summary>
internal static class Waiting
{
    public static T For<T>(Screen screen, string doing, Func<T> act) =>
        screen.IsJson || !screen.Progress.Profile.Capabilities.Interactive
            ? act()
            : screen.Progress.Status().Start(doing, _ => act());
}
