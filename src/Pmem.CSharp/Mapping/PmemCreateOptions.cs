namespace Pmem;

/// <summary>How a file is made, or made longer, and mapped. What cannot apply is refused.</summary>
public sealed class PmemCreateOptions : PmemMapOptions
{
    internal static PmemCreateOptions Default { get; } = new();

    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private readonly UnixFileMode? _mode;

    /// <summary>Refuse a file that exists (EEXIST): of several processes that create one name, exactly one succeeds.</summary>
    public bool Exclusive { get; init; }

    /// <summary>Reserve no storage: blocks are allocated as they are written, and a store for which there is no space ends the process.</summary>
    public bool Sparse { get; init; }

    /// <summary>
    /// Cut a file that is longer. Without it such a file is refused. What lay behind the new end is lost; a file is never
    /// cut below the end of a live mapping of this process. Another process that has it mapped there dies (SIGBUS).
    /// </summary>
    public bool Truncate { get; init; }

    /// <summary>
    /// The permissions of a new file, less the umask. Only the owner by default. A file that exists keeps its own. Refused on Windows, where a
    /// new file has what its directory hands down.
    /// </summary>
    public UnixFileMode UnixFileMode
    {
        get => _mode ?? OwnerOnly;
        init => _mode = value;
    }

    internal MapRequest ForPath(string path, long lengthBytes)
    {
        if (Exclusive && Truncate)
            throw Failures.OfRefusal(Refusal.NewContradiction(nameof(Exclusive), nameof(Truncate)), path);
        if (_mode is not null && OperatingSystem.IsWindows()) throw DoesNotApply(nameof(UnixFileMode), "a file on Windows", path);
        return For(new FileRequest(path), new NewFile(lengthBytes));
    }

    internal MapRequest ForTemporary(string directory, long lengthBytes)
    {
        RefuseWhatNeedsAName("a temporary file", directory);
        if (Truncate) throw DoesNotApply(nameof(Truncate), "a temporary file", directory);
        return For(new FileRequest(directory), new NewFile(lengthBytes) { IsTemporary = true });
    }

    internal MapRequest ForHandle(FileRequest file, long lengthBytes)
    {
        RefuseWhatNeedsAName("a file that is open", file.Path);
        return For(file, new NewFile(lengthBytes));
    }

    private unsafe MapRequest For(FileRequest file, NewFile made) => new(file with
    {
        New = made with
        {
            IsExclusive = Exclusive,
            IsSparse = Sparse,
            Longer = Truncate ? Longer.Cut : Longer.Refused,
            Mode = UnixFileMode,
        },
    })
    {
        Address = (nint)Address,
        Offset = Offset,
        LengthBytes = Length,
        Required = RequiredGranularity,
        IsPrefaulted = Prefault,
        ReserveLengthBytes = ReserveLength,
    };

    private void RefuseWhatNeedsAName(string what, string path)
    {
        if (Exclusive) throw DoesNotApply(nameof(Exclusive), what, path);
        if (_mode is not null) throw DoesNotApply(nameof(UnixFileMode), what, path);
    }

    private static Exception DoesNotApply(string option, string to, string path) =>
        Failures.OfRefusal(Refusal.NewDoesNotApply(option, to), path);
}
