namespace Pmem.Tool;

/// <summary>What the tool ends with. Documented in docs/tool.md.</summary>
internal static class ExitCodes
{
    public const int Fine = 0;

    /// <summary>It did what it was asked, and found something wrong.</summary>
    public const int Found = 1;

    /// <summary>It could not do what it was asked.</summary>
    public const int Mistake = 2;

    /// <summary>The budget was used up before the answer was known.</summary>
    public const int Undecided = 3;

    /// <summary>Ctrl-C: 128 + SIGINT, as shells have it.</summary>
    public const int Cancelled = 130;
}
