using Microsoft.Win32.SafeHandles;

namespace Pmem;

/// <summary>Which file is to be opened or made, and how.</summary>
/// <param name="Path">Its path; of a temporary file the directory; with a handle what people are told.</param>
internal sealed record FileRequest(string Path)
{
    /// <summary>The file itself, where the caller has it open.</summary>
    public SafeFileHandle? Handle { get; init; }

    /// <summary>The handle is that of a live mapping, and more of the file is to be mapped by it.</summary>
    public bool IsMapped { get; init; }

    /// <summary>Memory without a file, of so many bytes; null for a file.</summary>
    public long? AnonymousBytes { get; init; }

    public bool IsReadOnly { get; init; }

    /// <summary>What to do about a file that is not there; null where it must be.</summary>
    public NewFile? New { get; init; }
}

/// <summary>How a file is made, or made longer.</summary>
internal sealed record NewFile(long LengthBytes)
{
    /// <summary>There must be nothing of that name.</summary>
    public bool IsExclusive { get; init; }

    /// <summary>It never gets a name.</summary>
    public bool IsTemporary { get; init; }

    /// <summary>No storage is reserved.</summary>
    public bool IsSparse { get; init; }

    /// <summary>What becomes of a file that is longer.</summary>
    public Longer Longer { get; init; }

    public UnixFileMode Mode { get; init; } = UnixFileMode.UserRead | UnixFileMode.UserWrite;
}

/// <summary>What becomes of a file that is longer than it is to be.</summary>
internal enum Longer
{
    Refused,

    /// <summary>It is cut, but not below a live mapping.</summary>
    Cut,

    /// <summary>It is cut whatever is mapped, as libpmem does it.</summary>
    CutBelowMappings,
}
