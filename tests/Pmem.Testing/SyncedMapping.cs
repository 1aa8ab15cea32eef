using Pmem.Linux;

namespace Pmem.Testing;

/// <summary>A mapping of page granularity over memory without a file, whose storage is a function.</summary>
internal sealed class SyncedMapping : IDisposable, IPageSync
{
    /// <summary>The message of the exception that <see cref="ThrowsInside"/> throws.</summary>
    public const string Inside = "thrown and caught inside of a call";

    private readonly GuardedMemory _memory;
    private readonly MappedFile _file;
    private readonly Func<ByteRange, int> _sync;

    /// <param name="lengthBytes">The length of the mapping, in bytes.</param>
    /// <param name="sync">What becomes of the bytes of a range: 0, or an error number.</param>
    public SyncedMapping(long lengthBytes, Func<ByteRange, int> sync)
    {
        _memory = new GuardedMemory((int)lengthBytes);
        _sync = sync;
        var facts = new MappingFacts("memory", new ByteRange(0, lengthBytes), MappingKind.PageCache, false, "", Platform.X64(WriteBackKind.Clwb));
        _file = new MappedFile(_memory.Give(), MappingInfo.Decide(facts).ValueOrThrow("memory"), default);
        Mapping = new PmemMapping(_file, PersisterFor(_file));
        Mark.CopyTo(_memory.Span);
    }

    private static ReadOnlySpan<byte> Mark => "a mapping of the tests"u8;

    public PmemMapping Mapping { get; }

    /// <summary>Whether the memory is still there. What another thread was given at the same address is not this.</summary>
    public bool IsMapped => TestMemory.IsMapped(_memory.Address, _memory.Length) && _memory.Span.StartsWith(Mark);

    /// <summary>Storage that works, and in which something throws and is caught.</summary>
    public static int ThrowsInside(ByteRange range)
    {
        try { throw new InvalidOperationException(Inside); }
        catch (InvalidOperationException) { return 0; }
    }

    /// <summary>Has it found by its addresses, as a mapping of a file is.</summary>
    public void Track() => RangeTracker.Add(_file);

    /// <summary>A mapping of the same memory that no system unmaps.</summary>
    public PmemMapping Misaligned()
    {
        MappedFile file = _file with { Address = _file.Address + 1 };
        return new PmemMapping(file, PersisterFor(file));
    }

    public int Sync(nint start, nint end) => _sync(new ByteRange(start - _memory.Address, end - start));

    public void Dispose()
    {
        Mapping.Dispose();
        _memory.Dispose();
    }

    private Persister PersisterFor(MappedFile file) => Persister.For(file, default(NoLines), this, new Sysfs("/nowhere"));
}
