using Pmem.Linux;

namespace Pmem.Testing;

/// <summary>A mapping of page granularity over memory without a file, whose storage is a function.</summary>
internal sealed class SyncedMapping : IDisposable, IPageSync
{
    private readonly GuardedMemory _memory;
    private readonly Func<ByteRange, int> _sync;

    /// <param name="lengthBytes">The length of the mapping, in bytes.</param>
    /// <param name="sync">What becomes of the bytes of a range: 0, or an error number.</param>
    public SyncedMapping(long lengthBytes, Func<ByteRange, int> sync)
    {
        _memory = new GuardedMemory((int)lengthBytes);
        _sync = sync;
        var facts = new MappingFacts("memory", new ByteRange(0, lengthBytes), MappingKind.PageCache, false, PlatformModule.x64(WriteBackKind.Clwb));
        var file = new MappedFile(_memory.Address, MappingModule.decide(facts).ValueOrThrow("memory"), default);
        Mapping = new PmemMapping(file, Persister.For(file, default(NoLines), this, new Sysfs("/nowhere")));
    }

    public PmemMapping Mapping { get; }

    public int Sync(nint start, nint end) => _sync(new ByteRange(start - _memory.Address, end - start));

    public void Dispose()
    {
        Mapping.Dispose();
        _memory.Dispose();
    }
}
