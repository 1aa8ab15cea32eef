using Spectre.Console;

namespace Pmem.Tool;

/// <summary>Something is going on, for as long as it takes.</summary>
internal static class Waiting
{
    public static T For<T>(Screen screen, string doing, Func<T> act) => For(screen, doing, _ => act());

    /// <summary>The act tells how far it is.</summary>
    public static T For<T>(Screen screen, string doing, Func<Action<string>, T> act) =>
        screen.IsJson || !screen.Progress.Profile.Capabilities.Interactive
            ? act(_ => { })
            : screen.Progress.Status().Start(doing, context => act(reached => context.Status($"{doing}: {Markup.Escape(reached)}")));
}
