namespace Pmem.Linux;

/// <summary>msync(MS_SYNC) of whole pages.</summary>
internal sealed class Msync : IPageSync
{
    public static Msync Instance { get; } = new();

    public int Sync(nint start, nint end) => SysMman.Sync(start, (nuint)(end - start));
}
