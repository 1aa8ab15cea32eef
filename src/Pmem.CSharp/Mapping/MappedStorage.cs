using Pmem.Linux;

namespace Pmem;

/// <summary>The mapped file, and the system's ways to reach its storage.</summary>
internal sealed record MappedStorage(MappedFile File, IPageSync Pages, Sysfs Sysfs)
{
    public nint Address => File.Address;

    public string Path => File.Info.Path;

    public Platform Platform => File.Info.Facts.Platform;

    /// <summary>Syncs the whole pages of a range: 0, or the error number.</summary>
    public int Sync(long offset, long length)
    {
        if (length == 0) return 0;
        long mask = Platform.PageSizeBytes - 1;
        return Pages.SyncCounted((nint)Units.down(mask, Address + offset), (nint)Units.up(mask, Address + offset + length));
    }

    /// <summary>Has the device empty its own buffers, as far as it has some that a power failure does not.</summary>
    public Exception? DeepDrain(long offset, long length)
    {
        if (length == 0) return null;
        long mask = Platform.PageSizeBytes - 1;
        nint start = (nint)Units.down(mask, Address + offset), end = (nint)Units.up(mask, Address + offset + length);
        try
        {
            int error = File.DeepDrain(start, end, Pages, Sysfs);
            return error == 0 ? null : Failures.OfPersist(error, Path, offset, length, "deep-drain");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ThreadInterruptedException)
        {
            return e;
        }
    }
}
