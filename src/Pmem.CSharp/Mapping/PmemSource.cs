using System.Diagnostics.CodeAnalysis;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;
using Pmem.Linux;

namespace Pmem;

/// <summary>
/// What a mapping can be made of, and what is known of it before it is mapped: a file, a device, or memory without a file.
/// </summary>
/// <remarks>
/// As struct pmem2_source of libpmem2: pmem2_source_from_fd(3), pmem2_source_size(3) and the manual pages beside them. What the kernel does not
/// say is refused with the reason, never guessed.
/// </remarks>
public sealed partial class PmemSource : IDisposable
{
    private readonly SafeFileHandle? _handle;
    private readonly bool _isOurs;
    private readonly long _lengthBytes;
    private readonly Sysfs _sysfs;

    private PmemSource(string path, SafeFileHandle? handle, bool isOurs, long lengthBytes, Sysfs sysfs) =>
        (Path, _handle, _isOurs, _lengthBytes, _sysfs) = (path, handle, isOurs, lengthBytes, sysfs);

    /// <summary>A file or a device, by its path.</summary>
    /// <param name="path">The file.</param>
    /// <param name="readOnly">Whether it is only read.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be accessed.</exception>
    /// <exception cref="PmemException">It is no regular file and no device-DAX device.</exception>
    [SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
    public static PmemSource Open(string path, bool readOnly = false) => Open(path, readOnly, Sysfs.Machine);

    /// <summary>A file or a device that the caller has open, and keeps open as long as the source is used.</summary>
    /// <param name="file">The file, open to read, or to read and write.</param>
    /// <exception cref="PmemException">It is open to write only, or is no regular file and no device-DAX device.</exception>
    [SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
    public static PmemSource Open(SafeFileHandle file) => Open(file, Sysfs.Machine);

    /// <summary>Memory without a file, which reads as zero: nothing in it is ever durable. As pmem2_source_from_anon(3).</summary>
    /// <param name="length">How much, in bytes.</param>
    [SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
    public static PmemSource Anonymous(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        return new PmemSource("anonymous memory", null, isOurs: false, length, Sysfs.Machine);
    }

    internal static PmemSource Open(string path, bool readOnly, Sysfs sysfs)
    {
        SafeFileHandle handle = FileMapper.System.OpenToAsk(PmemMapping.Checked(path), readOnly);
        try { return Checked(path, handle, isOurs: true, sysfs); }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    internal static PmemSource Open(SafeFileHandle file, Sysfs sysfs) => Checked(PmemMapping.Checked(file).Path, file, isOurs: false, sysfs);

    /// <summary>The path, as it was given.</summary>
    public string Path { get; }

    /// <summary>Whether it is memory without a file.</summary>
    public bool IsAnonymous => _handle is null;

    /// <summary>Whether it is a device-DAX device.</summary>
    public bool IsDevice => !IsAnonymous && Asked(file => file.Kind.IsDaxDevice);

    /// <summary>The open file; null for memory without a file.</summary>
    public SafeFileHandle? Handle => _handle;

    /// <summary>The length now, in bytes: of the file, of the device, or that was asked for.</summary>
    public long Length => IsAnonymous ? _lengthBytes : Asked(file => file.LengthBytes);

    /// <summary>What offset and length of a mapping must be multiples of, in bytes. (A file may end where it likes.)</summary>
    public long Alignment => IsAnonymous ? Environment.SystemPageSize : Asked(file => file.UnitBytes);

    /// <summary>Maps it. Of memory without a file a Length of 0 is all, and Offset says nothing.</summary>
    /// <param name="options">How; null for the defaults.</param>
    /// <exception cref="PmemException">As <see cref="PmemMapping.Open(string, PmemOpenOptions)"/> says.</exception>
    public PmemMapping Map(PmemOpenOptions? options = null) => PmemMapping.Over(RequestFor(options ?? PmemOpenOptions.Default));

    /// <summary>
    /// Reads bytes of the file through the kernel: where blocks are bad it is false and says why. As pmem2_source_pread_mcsafe(3).
    /// </summary>
    /// <param name="offset">Where from, in the file, in bytes.</param>
    /// <param name="destination">Where to.</param>
    /// <param name="error">What failed; null where it is true.</param>
    /// <exception cref="ArgumentOutOfRangeException">The offset is negative. (A range behind the end is no exception: anybody may shorten the
    /// file.)</exception>
    public bool TryRead(long offset, Span<byte> destination, [NotNullWhen(false)] out PmemException? error)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        int number = FileMapper.System.Transfer(RegularFile("be read"), offset, destination, isRead: true);
        error = number == 0 ? null : Failures.OfBroken(number, Path, offset, destination.Length, "read");
        return error is null;
    }

    /// <summary>Writes bytes of the file through the kernel, which does not make it longer. As pmem2_source_pwrite_mcsafe(3).</summary>
    /// <param name="offset">Where to, in the file, in bytes.</param>
    /// <param name="source">What.</param>
    /// <param name="error">What failed; null where it is true.</param>
    /// <exception cref="ArgumentOutOfRangeException">The offset is negative.</exception>
    public unsafe bool TryWrite(long offset, ReadOnlySpan<byte> source, [NotNullWhen(false)] out PmemException? error)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        SafeFileHandle file = RegularFile("be written");
        bool isInside = Bounds.isWithin(Length, offset, source.Length);
        int number = Errno.OfThisSystem(Errno.EFAULT);
        // SAFETY: the source is pinned, and a write out of it only reads it.
        fixed (byte* from = source)
            if (isInside) number = FileMapper.System.Transfer(file, offset, new Span<byte>(from, source.Length), isRead: false);
        error = number == 0 ? null : Failures.OfBroken(number, Path, offset, source.Length, "write");
        return error is null;
    }

    /// <summary>Closes the file, if it was opened here. Mappings made of it stay.</summary>
    public void Dispose()
    {
        if (_isOurs) _handle?.Dispose();
    }

    internal MapRequest RequestFor(PmemOpenOptions options)
    {
        var file = new FileRequest(Path) { Handle = _handle, AnonymousBytes = IsAnonymous ? _lengthBytes : null };
        MapRequest request = options.For(file);
        return IsAnonymous ? request with { Offset = 0 } : request;
    }

    private static PmemSource Checked(string path, SafeFileHandle handle, bool isOurs, Sysfs sysfs)
    {
        var source = new PmemSource(path, handle, isOurs, 0, sysfs);
        _ = source.Asked(file => file.LengthBytes);
        return source;
    }

    private T Asked<T>(Func<StoredFile, T> question)
    {
        using StoredFile file = FileMapper.System.Open(new FileRequest(Path) { Handle = _handle });
        return question(file);
    }

    private SafeFileHandle RegularFile(string what) => _handle is { } handle && Asked(file => file.Kind.IsRegularFile)
        ? handle
        : throw NotKnown($"only a regular file can {what} through the kernel");

    private PmemException NotKnown(string why) => (PmemException)Failures.OfRefusal(Refusal.NewNotKnown(why), Path);
}
