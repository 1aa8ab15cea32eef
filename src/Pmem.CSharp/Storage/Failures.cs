using Microsoft.FSharp.Core;

namespace Pmem;

/// <summary>The one place where refusals and error numbers become exceptions.</summary>
internal static class Failures
{
    /// <summary>The value of a decision, or the exception for its refusal.</summary>
    public static T ValueOrThrow<T>(this FSharpResult<T, Refusal> decision, string path) =>
        decision.IsOk ? decision.ResultValue : throw OfRefusal(decision.ErrorValue, path);

    public static Exception OfRefusal(Refusal refusal, string path)
    {
        PmemMeter.Refused(refusal);
        string message = path.Length == 0 ? refusal.ToString() : $"Cannot map '{path}'. {refusal}";
        return refusal switch
        {
            Refusal.LengthNotPositive or Refusal.LengthNotAligned or Refusal.DeviceLength => new ArgumentOutOfRangeException("length", message),
            Refusal.OffsetNotAligned or Refusal.OutsideFile => new ArgumentOutOfRangeException("options", message),
            Refusal.Contradiction or Refusal.DoesNotApply => new ArgumentException(message, "options"),
            _ => new PmemException(message, path, refusal),
        };
    }

    /// <summary>The flags of a copy exclude each other, or are not all known.</summary>
    public static ArgumentException OfCopyFlags(Refusal refusal)
    {
        PmemMeter.Refused(refusal);
        return new ArgumentException(refusal.ToString(), "options");
    }

    /// <summary>
    /// A call that failed. Where .NET has an exception of its own for the error, the number is in its inner exception.
    /// </summary>
    /// <param name="number">The error number, as the seam carries it.</param>
    /// <param name="path">The file or directory; empty where there is none.</param>
    /// <param name="doing">What was being done, as in "allocate 4096 bytes of".</param>
    public static Exception OfErrno(int number, string path, string doing)
    {
        if (number == WinError.ERROR_PATH_NOT_FOUND) return OfMissingDirectory(path, doing, number);
        string what = path.Length == 0 ? doing : $"{doing} '{path}'";
        var known = new PmemException($"Cannot {what}: {Errno.Describe(number)}. {Advice(number)}", path, number);
        return Errno.Of(number) switch
        {
            Errno.ENOENT => new FileNotFoundException(known.Message, path, known),
            Errno.EACCES or Errno.EPERM => new UnauthorizedAccessException(known.Message, known),
            _ => known,
        };
    }

    /// <summary>The directory that a file is to be made in, itself or where a link points, is not there.</summary>
    public static DirectoryNotFoundException OfMissingDirectory(string path, string doing, int number = Errno.ENOENT)
    {
        string message = $"Cannot {doing} '{path}': {Errno.Describe(number)}. There is no such directory, or a link on the way leads nowhere.";
        return new DirectoryNotFoundException(message, new PmemException(message, path, number));
    }

    /// <summary>Something of this name is there, or others make and remove it again and again.</summary>
    public static Exception OfTakenName(string path) => OfErrno(Errno.OfThisSystem(Errno.EEXIST), path, "create");

    /// <summary>Asking all the same would end the process (SIGXFSZ).</summary>
    public static PmemException OfFileSizeLimit(string path, string doing) => new(
        $"Cannot {doing} '{path}': {Errno.Describe(Errno.EFBIG)}. This process may not make files of that length; "
        + "ask for fewer bytes, or raise the limit (ulimit -f, RLIMIT_FSIZE).",
        path, Errno.EFBIG);

    /// <summary>The error number that C would have; EINVAL where the library itself refused.</summary>
    public static int ErrnoOf(Exception exception) => (exception as PmemException ?? exception.InnerException as PmemException) switch
    {
        { SystemError: not 0 } known => Errno.Of(known.SystemError),
        _ => Errno.EINVAL,
    };

    /// <summary>A sync or a deep flush failed: what was stored in the range may not be durable.</summary>
    public static PmemException OfPersist(int number, string path, long offset, long length, string doing) => new(
        $"Cannot {doing} bytes {offset} to {offset + length} of '{path}': {Errno.Describe(number)}. "
        + "What was stored there since the last successful persist may be lost. Storage may have failed or be full: "
        + "keep the data, and do not count on a second try (the operating system may report an error only once).",
        path, number)
    { NotDurable = [new ByteRange(offset, length).AlignOut(Environment.SystemPageSize)] };

    /// <summary>The kernel could not copy to or from memory that is mapped.</summary>
    public static PmemException OfBroken(int number, string path, long offset, long length, string doing)
    {
        string advice = Errno.Of(number) is Errno.EIO or Errno.EFAULT
            ? "Somebody shortened the file, or its memory is broken: look at the length, and at the bad blocks (PmemSource.FindBadBlocks, "
                + "ndctl list --media-errors)."
            : Advice(Errno.Of(number) == Errno.EACCES ? Errno.EBADF : number);
        return new PmemException($"Cannot {doing} bytes {offset} to {offset + length} of '{path}': {Errno.Describe(number)}. {advice}", path, number);
    }

    /// <summary>A mapping to store to, of a file that is open to read only: mmap(2), EACCES.</summary>
    public static UnauthorizedAccessException OfReadOnlyFile(string path, string doing)
    {
        int number = Errno.OfThisSystem(Errno.EACCES);
        string message = $"Cannot {doing} '{path}': {Errno.Describe(number)}. It is open to read only, or append-only: open it to read and write, "
            + "or set ReadOnly, or Private.";
        return new UnauthorizedAccessException(message, new PmemException(message, path, number));
    }

    /// <summary>A deep flush that cannot reach the device. What an ordinary persist made durable stays so.</summary>
    public static PmemException OfDeepFlush(Refusal refusal, string path)
    {
        PmemMeter.Refused(refusal);
        return new PmemException($"Cannot deep-flush '{path}'. {refusal} An ordinary persist works.", path, refusal);
    }

    private static string Advice(int number) => number switch
    {
        WinError.ERROR_ACCESS_DENIED => "The file or its volume is read-only, somebody is removing it, or this user lacks the permission; open with ReadOnly, or choose another place.",
        WinError.ERROR_SHARING_VIOLATION => "Another process has it open and does not share it; try again when it is closed.",
        WinError.ERROR_LOCK_VIOLATION => "Another process has locked a part of it; try again when it is done.",
        WinError.ERROR_USER_MAPPED_FILE => "Somebody has it mapped, and Windows cuts no file that is; try again when it is unmapped.",
        WinError.ERROR_NOT_ENOUGH_MEMORY => "Too little memory or address space; unmap some, or ask for fewer bytes.",
        < 0 when Errno.Of(number) is Errno.EPERM or Errno.ENOMEM or Errno.EMFILE or Errno.EINVAL => "See Microsoft's System Error Codes for what this means.",
        < 0 => Advice(Errno.Of(number)),
        Errno.ENOENT => "Create it first, or check the spelling.",
        Errno.EACCES => "Ask its owner for the permission, or choose another place.",
        Errno.EPERM => "The file or its file system forbids it to everybody (immutable, append-only: lsattr), or it needs privileges.",
        Errno.EBADF => "It is closed, or not open for that: open it to read and write.",
        Errno.ENOTTY => "The device, or the bus that it is on, has no such command.",
        Errno.EAGAIN => "Another process holds a lease or a lock on it; try again when it is done.",
        Errno.EEXIST => "A file, directory or link of that name is there. Leave Exclusive out to use a file, or choose another name.",
        Errno.EFAULT => "There is no storage behind a page, or it is broken: free some space, or ask for fewer bytes.",
        Errno.ENOSPC or Errno.EDQUOT => "Free some space, or ask for fewer bytes.",
        Errno.EISDIR => "It is a directory; give the path of a file.",
        Errno.ENOTDIR => "A part of the path is a file; give a directory there.",
        Errno.EROFS => "The file system is read-only; open with ReadOnly, or choose another place.",
        Errno.EOPNOTSUPP => "The file system cannot do that.",
        Errno.EFBIG => "The file system has no files of that length; ask for fewer bytes.",
        Errno.ENODEV => "This file cannot be mapped; choose a file on a disk or on persistent memory.",
        Errno.ENOMEM => "Too little address space or too many mappings; unmap some, or raise the limit (ulimit -v, vm.max_map_count).",
        Errno.ENFILE or Errno.EMFILE => "Too many open files; close some, or raise the limit (ulimit -n).",
        _ => "See the manual page of the call for what this means here.",
    };
}
