using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Pmem.Linux;

namespace Pmem;

/// <summary>
/// The functions of libpmem, one to one, for code that is ported line by line: same arguments, same return values, errors
/// in <see cref="ErrorMessage"/> and <see cref="Marshal.GetLastPInvokeError"/> (errno).
/// </summary>
/// <remarks>
/// As in C, addresses are the caller's responsibility: nothing is checked, and nothing waits for an unmap. New code
/// is better served by <see cref="PmemMapping"/>.
/// </remarks>
[SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
public static unsafe partial class LibPmem
{
    /// <summary>PMEM_MAJOR_VERSION</summary>
    public const int MajorVersion = 1;

    /// <summary>PMEM_MINOR_VERSION</summary>
    public const int MinorVersion = 1;

    [ThreadStatic] private static string? t_error;
    [ThreadStatic] private static LibPmemMachine? t_machine;
    private static readonly Lazy<LibPmemMachine> Real =
        new(() => new LibPmemMachine<StubLines>(PmemPlatform.Current, PmemPlatform.CurrentLines, FileMapper.System));

    /// <summary>What executes.</summary>
    private static LibPmemMachine Machine => t_machine ?? Real.Value;

    /// <summary>A test has the calls of its thread executed by another, until it says null.</summary>
    internal static void ExecuteOn(LibPmemMachine? machine) => t_machine = machine;

    /// <summary><c>pmem_map_file</c>: maps a file; null where it fails.</summary>
    /// <param name="path">The file, the DAX device, or for a temporary file the directory.</param>
    /// <param name="length">With Create, the length of the file in bytes; else 0.</param>
    /// <param name="flags">How to open.</param>
    /// <param name="mode">The permissions of a new file, as in 0b110_000_000 for its owner alone; less the umask.</param>
    /// <param name="mappedLength">The length of the mapping; untouched memory of the caller stays 0 where it fails.</param>
    /// <param name="isPmem">Whether <see cref="Persist"/> makes stores durable; else <see cref="Msync"/> does.</param>
    public static byte* MapFile(string path, nuint length, PmemFileModes flags, int mode, out nuint mappedLength, out bool isPmem)
    {
        (mappedLength, isPmem) = (0, false);
        try
        {
            MappedFile file = FileMapper.Map(RequestFor(path, length, flags, mode));
            (mappedLength, isPmem) = ((nuint)file.LengthBytes, file.IsPmem);
            return (byte*)file.Address;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            Fail(Failures.ErrnoOf(e), e.Message);
            return null;
        }
    }

    /// <summary><c>pmem_unmap</c>: unmaps the pages of a range; 0, or -1 where it fails, and then the range is as it was.</summary>
    public static int Unmap(byte* address, nuint length)
    {
        nint start = (nint)address, page = Environment.SystemPageSize - 1;
        MappedFile? whole = RangeTracker.FileOf(start, (nint)length);
        int error = whole is not null && whole.Address == start && whole.LengthBytes == (nint)length
            ? whole.Unmap()
            : RangeTracker.Unmap(start, (nint)Units.up(page, (nint)length));
        return error == 0 ? 0 : Fail(error, "munmap");
    }

    /// <summary>
    /// <c>pmem_is_pmem</c>: whether every byte of the range lies in live mappings of persistent memory, made here or by
    /// <see cref="PmemMapping"/>. PMEM_IS_PMEM_FORCE overrides it; no byte is never persistent memory.
    /// </summary>
    public static bool IsPmem(void* address, nuint length)
    {
        if (length == 0) return false;
        Setting force = PmemPlatform.Current.Environment.IsPmemForce;
        if (!force.IsUnset) return force.IsOn;
        return length <= (nuint)nint.MaxValue && RangeTracker.Covers((nint)address, (nint)length);
    }

    /// <summary><c>pmem_persist</c>: flush, then drain. Does nothing useful where <see cref="IsPmem"/> is false.</summary>
    public static void Persist(void* address, nuint length)
    {
        Flush(address, length);
        Drain();
    }

    /// <summary>
    /// <c>pmem_msync</c>: msync(MS_SYNC) on the whole pages of the range; 0, or -1 where it fails. Pages of a live
    /// <see cref="PmemMapping"/> are synced as by its Persist: it hears an error too, and one that it heard before is told again.
    /// </summary>
    public static int Msync(void* address, nuint length)
    {
        if (length == 0) return 0;
        nint page = Environment.SystemPageSize - 1, first = (nint)address;
        int error = SyncPages((nint)Units.down(page, first), (nint)Units.up(page, first + (nint)length));
        return error == 0 ? 0 : Fail(error, "msync");
    }

    /// <summary>
    /// Syncs whole pages, whoever mapped them, past what cannot be synced, as msync(2) goes on behind a hole: 0, or the first error.
    /// </summary>
    private static int SyncPages(nint start, nint end)
    {
        int first = 0;
        while (start < end)
        {
            MappedFile? file = RangeTracker.PieceAt(start, end, out nint next);
            int error = file?.PagePersister is { } owner ? owner.Sync(start, next) : Machine.Pages.SyncCounted(start, next);
            if (first == 0) first = error;
            start = next;
        }
        return first;
    }

    /// <summary>
    /// <c>pmem_flush</c>: starts writing back the lines of the range; nothing where its own region has eADR. A process that is refused
    /// executable memory has no write-back: then it is msync.
    /// </summary>
    public static void Flush(void* address, nuint length)
    {
        if (!Machine.IsFlushElided(address, length)) DeepFlush(address, length);
    }

    /// <summary><c>pmem_drain</c>: waits until what was flushed is durable.</summary>
    public static void Drain() => Machine.Fence();

    /// <summary><c>pmem_deep_flush</c>: as <see cref="Flush"/>, but never left out.</summary>
    public static void DeepFlush(void* address, nuint length)
    {
        if (length == 0) return;
        Platform platform = Machine.Platform;
        if (platform.WriteBack.IsNoWriteBack)
        {
            if (Msync(address, length) != 0)
                throw new PmemException($"No cache line can be written back here, and {ErrorMessage()}; nothing was made durable.");
            return;
        }
        nint line = (nint)platform.LineSizeBytes - 1, first = (nint)address;
        Machine.WriteBack((nint)Units.down(line, first), (nint)Units.up(line, first + (nint)length));
    }

    /// <summary>
    /// <c>pmem_deep_drain</c>: drains, and has the device empty its own buffers; 0, or -1 where it fails. A length of 0 does
    /// nothing.
    /// </summary>
    public static int DeepDrain(void* address, nuint length)
    {
        if (length == 0) return 0;
        Drain();
        nint page = Environment.SystemPageSize - 1;
        nint start = (nint)Units.down(page, (nint)address), end = (nint)Units.up(page, (nint)address + (nint)length);
        try
        {
            while (start < end)
            {
                MappedFile? file = RangeTracker.PieceAt(start, end, out nint next);
                bool isDirect = file is { Kind.IsPageCache: false };
                int error = isDirect ? file!.DeepDrain(start, next, Machine.Pages, Sysfs.Machine) : SyncPages(start, next);
                if (error != 0) return Fail(error, isDirect ? "deep flush" : "msync");
                start = next;
            }
            return 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Fail(Failures.ErrnoOf(e), e.Message);
        }
    }

    /// <summary><c>pmem_deep_persist</c>: deep flush, then deep drain; 0, or -1 where it fails.</summary>
    public static int DeepPersist(void* address, nuint length)
    {
        DeepFlush(address, length);
        return DeepDrain(address, length);
    }

    /// <summary><c>pmem_has_auto_flush</c>: whether every NVDIMM's caches are flushed on power failure (eADR).</summary>
    public static bool HasAutoFlush() => PmemPlatform.Current.HasAutoFlush;

    /// <summary><c>pmem_has_hw_drain</c>: whether there is a drain instruction of its own; no known machine has one.</summary>
    public static bool HasHwDrain() => PmemPlatform.Current.HasHardwareDrain;

    /// <summary>
    /// <c>pmem_check_version</c>: null where this version (1.1) will do; else the reason why not, which is then
    /// <see cref="ErrorMessage"/> too.
    /// </summary>
    public static string? CheckVersion(uint majorRequired, uint minorRequired)
    {
        if (majorRequired != MajorVersion)
            return t_error = $"libpmem major version mismatch (need {majorRequired}, found {MajorVersion})";
        return minorRequired <= MinorVersion
            ? null
            : t_error = $"libpmem minor version mismatch (need {minorRequired}, found {MinorVersion})";
    }

    /// <summary><c>pmem_errormsg</c>: what the last function that failed on this thread had to say; empty before.</summary>
    public static string ErrorMessage() => t_error ?? "";

    private static MapRequest RequestFor(string path, nuint length, PmemFileModes flags, int mode)
    {
        const PmemFileModes ofDevice = PmemFileModes.Create | PmemFileModes.Sparse;
        const PmemFileModes known = ofDevice | PmemFileModes.Exclusive | PmemFileModes.Temporary;
        if ((flags & ~known) != 0) throw new ArgumentException($"The flags {flags} are not all known.");
        if (path.Length == 0) throw Failures.OfErrno(Errno.OfThisSystem(Errno.ENOENT), path, "open");
        path = PmemMapping.Checked(path);
        long lengthBytes = length <= long.MaxValue ? (long)length : throw new ArgumentException("The length is over 2^63 - 1.");
        if (FileMapper.System.IsDaxDevice(path))
        {
            if ((flags & ~ofDevice) != 0) throw new ArgumentException($"The flags {flags & ~ofDevice} mean nothing for a DAX device.");
            return new MapRequest(new FileRequest(path) { New = new NewFile(lengthBytes) });
        }
        bool isCreated = flags.HasFlag(PmemFileModes.Create), isTemporary = flags.HasFlag(PmemFileModes.Temporary);
        if (isTemporary && !isCreated) throw new ArgumentException("Temporary needs Create.");
        if (lengthBytes != 0 && !isCreated) throw new ArgumentException("Without Create the length must be 0.");
        var made = new NewFile(lengthBytes)
        {
            IsExclusive = flags.HasFlag(PmemFileModes.Exclusive),
            IsTemporary = isTemporary,
            IsSparse = flags.HasFlag(PmemFileModes.Sparse),
            Longer = Longer.CutBelowMappings,
            Mode = (UnixFileMode)(mode & 0xFFF),
        };
        return new MapRequest(new FileRequest(path) { New = isCreated ? made : null });
    }

    private static int Fail(int errorNumber, string message)
    {
        t_error = message.Contains(' ', StringComparison.Ordinal) ? message : $"{message}: {Errno.Describe(errorNumber)}";
        Marshal.SetLastPInvokeError(Errno.Of(errorNumber));
        return -1;
    }
}
