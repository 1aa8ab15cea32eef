using Microsoft.Win32.SafeHandles;

namespace Pmem;

/// <summary>
/// The seam of an operating system: a file is opened or made, mapped, and its pages are synced. Each system has a folder
/// with the three; nothing above asks for more.
/// </summary>
internal abstract class Storage : IPageSync
{
    /// <summary>Opens the file, or makes it; it is closed, and taken back, by its Dispose.</summary>
    public abstract StoredFile Open(FileRequest request);

    /// <summary>Opens an existing file, to ask what it is before it is mapped.</summary>
    public abstract SafeFileHandle OpenToAsk(string path, bool isReadOnly);

    /// <summary>Whether a path leads to a device-DAX device. Opens nothing: a device can mind.</summary>
    public abstract bool IsDaxDevice(string path);

    /// <summary>What the offset of an ordinary file in a mapping is a multiple of at least; the file may end where it likes.</summary>
    public abstract long GranuleBytes { get; }

    /// <summary>
    /// Only bytes that a file has are mapped, and none are cut while they are: so a file has its length before it is mapped. Else a file
    /// is mapped first, which leaves nothing behind.
    /// </summary>
    public abstract bool IsMappedAsLong { get; }

    /// <summary>Maps bytes of the file. Where it fails, nothing is mapped.</summary>
    public abstract RawMapping Map(StoredFile file, in MapPlan plan);

    /// <summary>Unmaps; 0, or the error number.</summary>
    public abstract int Unmap(nint address, long lengthBytes);

    /// <summary>Makes whole pages durable: 0, or the error number.</summary>
    public abstract int Sync(nint start, nint end);

    /// <summary>Makes every page of a mapping present: 0, or the error number.</summary>
    public abstract int Populate(nint address, long lengthBytes, bool isReadOnly);

    /// <summary>Whether every page of a range is mapped, and may be accessed.</summary>
    public abstract bool IsMapped(nint address, long lengthBytes);

    /// <summary>The character device that is mapped in all of a range; the default where none is.</summary>
    public abstract DeviceNumber DeviceAt(nint address, long lengthBytes);

    /// <summary>
    /// Copies through the kernel, by the file where one is given and bytes are read: 0, or the error number where memory is broken.
    /// </summary>
    public abstract int TryCopy(SafeFileHandle? file, nint address, long fileOffset, Span<byte> bytes, bool isRead);

    /// <summary>Reads all of the bytes at an offset of the file, or writes them: 0, or the error number.</summary>
    public abstract int Transfer(SafeFileHandle file, long offset, Span<byte> bytes, bool isRead);

    /// <summary>Maps private memory without a file; 0 and the error number where it fails.</summary>
    public abstract nint MapAnonymous(long lengthBytes, PmemProtection protection, out int error);

    /// <summary>Reserves address space, at an address where one is given: its start, or 0 and the error number.</summary>
    public abstract nint ReserveSpace(nint address, long lengthBytes, long alignmentBytes, out int error);

    /// <summary>Unmaps what lies in reserved space, which stays reserved throughout: 0, or the error number.</summary>
    public abstract int Vacate(nint address, long lengthBytes);

    /// <summary>Moves a mapping into reserved space: 0, or the error number, and then the mapping is where it was.</summary>
    public abstract int Move(nint from, nint to, long lengthBytes);
}

/// <summary>The part of it that makes pages durable.</summary>
internal interface IPageSync
{
    /// <summary>Has the whole pages of a range written to storage, and waits: 0, or the error number. Does not throw.</summary>
    int Sync(nint start, nint end);
}

/// <summary>How bytes of a file are to be mapped.</summary>
/// <param name="Bytes">Which.</param>
/// <param name="IsReadOnly">Whether only reading is possible.</param>
/// <param name="AlignmentBytes">What the address should be a multiple of, beside the offset.</param>
/// <param name="Hint">Where to look for room; 0 for anywhere, at random.</param>
internal readonly record struct MapPlan(ByteRange Bytes, bool IsReadOnly, long AlignmentBytes, long Hint)
{
    /// <summary>The descriptor is to outlive the mapping call.</summary>
    public bool IsKept { get; init; }

    /// <summary>What may be done with the pages.</summary>
    public PmemProtection Protection { get; init; } = IsReadOnly ? PmemProtection.Read : PmemProtection.Read | PmemProtection.Write;

    /// <summary>Stores are to a copy of the pages, and never reach the file.</summary>
    public bool IsPrivate { get; init; }
}

/// <summary>What came of it.</summary>
/// <param name="Address">The first byte.</param>
/// <param name="Kind">What the mapping is made of.</param>
/// <param name="PersistenceDomain">What the region that holds the memory says of its caches; empty where none does.</param>
internal readonly record struct RawMapping(nint Address, MappingKind Kind, string PersistenceDomain)
{
    /// <summary>The open file that was mapped, where it is to be kept.</summary>
    public SafeFileHandle? Kept { get; init; }
}

/// <summary>Which file it is, whatever its names: the device that holds it, and its number there.</summary>
internal readonly record struct FileIdentity(ulong Device, ulong Number);

/// <summary>A device's number.</summary>
internal readonly record struct DeviceNumber(uint Major, uint Minor)
{
    public override string ToString() => $"{Major}:{Minor}";
}

/// <summary>
/// An open file while it is being mapped. What was done to it, and it itself if it is new, is taken back by Dispose, unless it
/// was kept.
/// </summary>
internal abstract class StoredFile : IDisposable
{
    public abstract string Path { get; }

    public abstract FileKind Kind { get; }

    public abstract FileIdentity Identity { get; }

    /// <summary>The device that holds the file, or that it is.</summary>
    public abstract DeviceNumber Device { get; }

    /// <summary>What offset and length of a mapping must be multiples of, in bytes; the file's end is one as well.</summary>
    public abstract long UnitBytes { get; }

    public abstract long LengthBytes { get; }

    /// <summary>Makes sure that the file has at least this many bytes, with storage behind them unless it is sparse.</summary>
    public abstract void Grow(long lengthBytes, bool isSparse);

    /// <summary>Reserves storage for bytes that the file has.</summary>
    public abstract void Reserve(ByteRange bytes);

    /// <summary>Makes length and storage durable.</summary>
    public abstract void Sync();

    /// <summary>The same by an open file of its own, so that a mapping of this one still hears of each failed write-back.</summary>
    public abstract void SyncApart();

    /// <summary>
    /// Gives a new file its name, and makes the name durable; from here on nothing is taken back. False where somebody took
    /// the name meanwhile.
    /// </summary>
    public abstract bool Keep();

    /// <summary>Cuts the file to this many bytes, durably.</summary>
    public void Cut(long lengthBytes)
    {
        SetLength(lengthBytes);
        Sync();
    }

    protected abstract void SetLength(long lengthBytes);

    public abstract void Dispose();
}
