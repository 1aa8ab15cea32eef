namespace Pmem;

/// <summary>A file could not be mapped, or a store to it could not be made durable.</summary>
/// <remarks>
/// The message names the path, the offsets, the error of the operating system and what to do. A file that was not found,
/// or that may not be accessed, is the exception that .NET has for it (<see cref="FileNotFoundException"/>,
/// <see cref="DirectoryNotFoundException"/>, <see cref="UnauthorizedAccessException"/>), with the same message.
/// </remarks>
public sealed class PmemException : IOException
{
    /// <summary>An exception with a message of its own.</summary>
    public PmemException(string message) : base(message) => Path = ErrorName = "";

    /// <summary>An exception with a message of its own and its cause.</summary>
    public PmemException(string message, Exception innerException) : base(message, innerException) => Path = ErrorName = "";

    /// <summary>An exception without a message.</summary>
    public PmemException() => Path = ErrorName = "";

    internal PmemException(string message, string path, int errorNumber) : base(message)
    {
        Path = path;
        SystemError = errorNumber;
        ErrorNumber = errorNumber < 0 ? WinError.CodeOf(errorNumber) : errorNumber;
        if (errorNumber < 0) HResult = errorNumber;
        ErrorName = errorNumber == 0 ? "" : Errno.Name(errorNumber);
    }

    internal PmemException(string message, string path, Refusal refusal) : this(message, path, 0) => Refusal = refusal;

    /// <summary>The path of the file, as it was given; empty where there is none.</summary>
    public string Path { get; }

    /// <summary>The operating system's error number (errno; on Windows what GetLastError says); 0 where the library itself refused.</summary>
    public int ErrorNumber { get; }

    /// <summary>The same as the seam carries it.</summary>
    internal int SystemError { get; }

    /// <summary>Its name, as in ENOSPC or ERROR_DISK_FULL; empty where the library itself refused.</summary>
    public string ErrorName { get; }

    /// <summary>Why the library itself refused; null where it did not.</summary>
    public Refusal? Refusal { get; }

    /// <summary>
    /// Where storage failed: the ranges of the mapping that were flushed and are not known to be durable, as whole pages, sorted.
    /// What was stored and not flushed is not among them, and may be lost as well. Empty for any other error.
    /// </summary>
    public IReadOnlyList<ByteRange> NotDurable { get; internal init; } = [];
}
