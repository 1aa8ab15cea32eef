using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace Pmem;

/// <content>Opening and making files.</content>
public sealed unsafe partial class PmemMapping
{
    /// <summary>Maps an existing file, or a device-DAX device.</summary>
    /// <param name="path">The file. What its parts and links mean, only the operating system decides.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="DirectoryNotFoundException">There is no such directory.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be accessed.</exception>
    /// <exception cref="ArgumentOutOfRangeException">Offset and Length do not lie in the file.</exception>
    /// <exception cref="ArgumentException">Options exclude each other, or cannot apply.</exception>
    /// <exception cref="PmemException">It cannot be mapped, or not with the granularity required; the message says why.</exception>
    [SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
    public static PmemMapping Open(string path, PmemOpenOptions? options = null) =>
        Over((options ?? PmemOpenOptions.Default).For(new FileRequest(Checked(path))));

    /// <summary>Maps a file that the caller has open, and may close afterwards: the mapping keeps the file.</summary>
    /// <param name="file">The file, open to read and write (or to read, for ReadOnly).</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <inheritdoc cref="Open(string, PmemOpenOptions)"/>
    [SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
    public static PmemMapping Open(SafeFileHandle file, PmemOpenOptions? options = null) =>
        Over((options ?? PmemOpenOptions.Default).For(Checked(file)));

    /// <summary>
    /// Makes a file of this length, with storage behind every byte, and maps it. A file that exists is made longer and keeps
    /// its bytes; one that is longer is refused, unless Truncate is set. Length and name are durable when this returns.
    /// </summary>
    /// <param name="path">The file. For a device-DAX device the length must be 0 or the device's.</param>
    /// <param name="length">The exact length of the file, in bytes.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such directory.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be made or accessed.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The length is not positive, or Offset and Length do not lie in it.</exception>
    /// <exception cref="ArgumentException">Options exclude each other, or cannot apply.</exception>
    /// <exception cref="PmemException">No space, the file exists and must not, it is longer, it cannot be mapped …: the message says.</exception>
    /// <remarks>
    /// <para>Where it throws, a file that was there has its old length and bytes, and one that was not is not there. But what
    /// another process has open by then stays, because it is that process's too; and so does, with its name and new length, a file
    /// of which that cannot be known: where the file system has no leases (NFS, CIFS, 9p), or the file is another user's. The next
    /// Create completes it. A new file gets its name last, or where
    /// the file system has no files without a name (FUSE, NFS), its name first and its length later: a process that is killed
    /// in between leaves a file that is too short, and the next Create completes it.</para>
    /// <para>Many processes may create one name at once: without Exclusive all get the same file. Storage is reserved by
    /// fallocate(2); where the file system has none, zeros are written behind the old end, and holes before it stay holes.
    /// Only if the storage fails after an existing file was cut is the cut not taken back.</para>
    /// <para>On Windows a file has its name first and its length before it is mapped, and is taken back in the same way, but for the length
    /// of an empty file that the caller has open. Its storage is reserved by the file system (NTFS: all of it, unless the file is sparse or
    /// compressed). The name is durable where the file system journals it: NTFS and ReFS, not FAT and exFAT. The file is shared with
    /// whoever opens it to write as well; a program that does not share it (<see cref="FileShare.None"/>,
    /// <see cref="File.ReadAllBytes(string)"/>) cannot have it open meanwhile.</para>
    /// </remarks>
    [SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
    public static PmemMapping Create(string path, long length, PmemCreateOptions? options = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        return Over((options ?? PmemCreateOptions.Default).ForPath(Checked(path), length));
    }

    /// <summary>
    /// Gives a file that the caller has open this length, and maps it; as for a path that exists. Its name is the caller's: a
    /// new file is safe when its directory was synced.
    /// </summary>
    /// <param name="file">The file, open to read and write; it may be closed afterwards.</param>
    /// <param name="length">The exact length of the file, in bytes.</param>
    /// <param name="options">How, without Exclusive and UnixFileMode; null for the defaults.</param>
    /// <inheritdoc cref="Create(string, long, PmemCreateOptions)"/>
    [SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
    public static PmemMapping Create(SafeFileHandle file, long length, PmemCreateOptions? options = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        return Over((options ?? PmemCreateOptions.Default).ForHandle(Checked(file), length));
    }

    /// <summary>Makes a file without a name and maps it; its storage is free again after Dispose, or when the process ends.</summary>
    /// <param name="directory">An existing directory on the file system to use.</param>
    /// <param name="length">The length, in bytes.</param>
    /// <param name="options">How, without Exclusive, Truncate and UnixFileMode; the file is always its owner's alone.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such directory.</exception>
    /// <exception cref="ArgumentException">An option cannot apply.</exception>
    /// <exception cref="PmemException">No space, or not with the granularity required; the message says why.</exception>
    [SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
    public static PmemMapping CreateTemporary(string directory, long length, PmemCreateOptions? options = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        return Over((options ?? PmemCreateOptions.Default).ForTemporary(Checked(directory), length));
    }

    internal static string Checked(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return path.Contains('\0', StringComparison.Ordinal)
            ? throw new ArgumentException("A path cannot contain a zero character.", nameof(path))
            : path;
    }

    internal static FileRequest Checked(SafeFileHandle file)
    {
        ArgumentNullException.ThrowIfNull(file);
        if (file.IsInvalid) throw new ArgumentException("The handle is of no open file.", nameof(file));
        ObjectDisposedException.ThrowIf(file.IsClosed, file);
        return new FileRequest($"descriptor {file.DangerousGetHandle()}") { Handle = file };
    }

    internal static PmemMapping Over(MapRequest request)
    {
        MappedFile file = FileMapper.Map(request);
        var mapping = new PmemMapping(file, Persister.For(file));
        if (file.Room is { } room) room.Mapping = mapping;
        return mapping;
    }
}
