using System.Diagnostics;

namespace Pmem;

//  fact                                                                     source
//  -----------------------------------------------------------------------  ---------------------------------------------
//  a page whose write-back failed is marked clean: a second msync succeeds,  fsync(2), NOTES; Linux, Documentation/
//  and its bytes are lost                                                    filesystems/vfs.rst, "Handling errors during writeback"
//  the error is reported once for each open file description, to the call    Linux, lib/errseq.c; mm/filemap.c,
//  that asks first, whatever its range                                       file_check_and_advance_wb_err
//  msync asks for the open file that was mapped (vma->vm_file), which lives  Linux, mm/msync.c; mmap(2): closing the
//  as long as the mapping, though its descriptor is closed                   descriptor does not unmap

/// <summary>
/// Page granularity: the operating system writes the page cache to storage. A flush only notes its range; a drain or a persist syncs
/// all that was noted, at once. After the first failure nothing of the mapping can be made durable any more, and everything that
/// would says so.
/// </summary>
/// <remarks>
/// Syncs go one after another, because the error of one may be the loss of another's bytes. Who comes while one runs waits, and
/// then one sync serves all who waited (group commit): one of them, the leader, makes the call for all. Where several came to the
/// last one, the leader gives them a moment to come again: who has just been served is about to, and would miss this sync.
/// </remarks>
internal sealed class PagePersister : Persister
{
    /// <summary>The longest moment, whatever a sync takes.</summary>
    private static readonly long LongestMoment = Stopwatch.Frequency / 1000;

    private readonly MappedStorage _storage;
    private readonly object _gate = new();

    // All below is guarded by the gate, but _syncing while a sync runs: then it is the leader's.
    private NotedRanges _noted = new();
    private NotedRanges _syncing = new();
    private bool _isSyncing;

    /// <summary>How many wait for what is noted now. The leader looks at it from outside.</summary>
    private int _waiting;

    /// <summary>How many the last sync served, or kept waiting.</summary>
    private int _crowd;

    private long _syncTicks;

    /// <summary>What is noted now is durable when the sync of this number has returned.</summary>
    private long _generation = 1;

    private long _syncedGeneration;
    private StorageFailure? _failure;

    public PagePersister(MappedStorage storage)
    {
        _storage = storage;
        storage.File.PagePersister = this;
        Copier = new PageCopier(this, storage);
    }

    public override Copier Copier { get; }

    public override Exception? Flush(long offset, long length) => Guarded(offset, length, null, isDrained: false);

    public override Exception? Drain() => Drained(0, 0, null);

    public override Exception? Persist(long offset, long length) => Drained(offset, length, null);

    public override Exception? Execute(FlushPlan plan) => Drained(0, 0, plan);

    public override Exception? DeepFlush(long offset, long length) => Flush(offset, length);

    /// <summary>msync has the device empty its buffers too.</summary>
    public override Exception? DeepDrain(long offset, long length) => Persist(offset, length);

    public override Exception? DeepPersist(long offset, long length) => Persist(offset, length);

    public override Exception? Msync(long offset, long length) => Persist(offset, length);

    private Exception? Drained(long offset, long length, FlushPlan? plan)
    {
        long began = PmemMeter.BeginPersist();
        Exception? failure = Guarded(offset, length, plan, isDrained: true);
        PmemMeter.EndPersist(began);
        return failure;
    }

    /// <summary>Persists the pages of an address range: 0, or the error number.</summary>
    public int Sync(nint start, nint end) => Persist(start - _storage.Address, end - start) switch
    {
        null => 0,
        PmemException { SystemError: var error } => error,
        ThreadInterruptedException => Errno.EINTR,
        _ => Errno.ENOMEM,
    };

    /// <summary>Notes a range, or the lines of a plan, and waits until all that is noted is durable, or does not.</summary>
    private Exception? Guarded(long offset, long length, FlushPlan? plan, bool isDrained)
    {
        try
        {
            lock (_gate)
            {
                Note(offset, length, plan);
                return isDrained ? WaitUntilSynced(offset, length) : Failure(offset, length);
            }
        }
        catch (Exception e) when (e is ThreadInterruptedException or OutOfMemoryException)
        {
            return e;
        }
    }

    private void Note(long offset, long length, FlushPlan? plan)
    {
        if (_failure is not null) return;
        if (plan is null)
        {
            _noted.Add(PagesOf(new ByteRange(offset, length)));
            return;
        }
        foreach (ByteRange range in plan.Ranges) _noted.Add(PagesOf(range));
    }

    private PmemException? WaitUntilSynced(long offset, long length)
    {
        // Nothing noted: what this thread flushed can be with a sync that runs.
        long generation = _noted.IsEmpty ? _generation - 1 : _generation;
        if (!_noted.IsEmpty) _waiting++;
        while (_syncedGeneration < generation && _failure is null)
        {
            if (_isSyncing) Monitor.Wait(_gate);
            else SyncAsLeader();
        }
        return Failure(offset, length);
    }

    /// <summary>Syncs what is noted, for all who wait. The gate is left meanwhile, so that others can note and wait.</summary>
    private void SyncAsLeader()
    {
        _isSyncing = true;
        try
        {
            if (_waiting < _crowd) WaitForTheCrowd();
            // What can throw, for want of memory, before anything is taken.
            ReadOnlySpan<ByteRange> ranges = _noted.Joined(_waiting);
            SyncTaken(ranges);
        }
        finally
        {
            _isSyncing = false;
            Monitor.PulseAll(_gate);
        }
    }

    private void SyncTaken(ReadOnlySpan<ByteRange> ranges)
    {
        (_noted, _syncing) = (_syncing, _noted);
        long generation = _generation++;
        int served = _waiting;
        _waiting = 0;
        Monitor.Exit(_gate);
        long start = Stopwatch.GetTimestamp();
        int error = Sync(ranges, out long durableUpTo);
        _syncTicks = Stopwatch.GetTimestamp() - start;
        EnterUninterrupted();

        if (error != 0) _failure = new StorageFailure(error, NotDurable(durableUpTo));
        _crowd = served + _waiting;
        _syncedGeneration = generation;
        _syncing.Clear();
    }

    /// <summary>Leaves the gate until as many wait as came to the last sync, but for half of what that took at most.</summary>
    private void WaitForTheCrowd()
    {
        Monitor.Exit(_gate);
        long end = Stopwatch.GetTimestamp() + Math.Min(_syncTicks / 2, LongestMoment);
        while (Volatile.Read(ref _waiting) < _crowd && Stopwatch.GetTimestamp() < end) _ = Thread.Yield();
        EnterUninterrupted();
    }

    private int Sync(ReadOnlySpan<ByteRange> ranges, out long durableUpTo)
    {
        foreach (ByteRange range in ranges)
        {
            durableUpTo = range.Offset;
            int error = _storage.Sync(range.Offset, range.Length);
            if (error != 0) return error;
        }
        durableUpTo = long.MaxValue;
        return 0;
    }

    private ByteRange[] NotDurable(long durableUpTo)
    {
        foreach (ByteRange range in _syncing.Coalesced())
            if (range.Offset >= durableUpTo) _noted.Add(range);
        return _noted.Coalesced().ToArray();
    }

    /// <summary>A leader that was interrupted would leave all others waiting.</summary>
    private void EnterUninterrupted()
    {
        bool wasInterrupted = false;
        while (true)
        {
            try
            {
                Monitor.Enter(_gate);
                break;
            }
            catch (ThreadInterruptedException)
            {
                wasInterrupted = true;
            }
        }
        if (wasInterrupted) Thread.CurrentThread.Interrupt();
    }

    private PmemException? Failure(long offset, long length) => _failure?.ToException(_storage.Path, new ByteRange(offset, length));

    /// <summary>The whole pages of a range, as far as they are in the mapping.</summary>
    private ByteRange PagesOf(ByteRange range)
    {
        if (range.IsEmpty) return default;
        // A mapping begins at a page: offsets round as addresses do.
        long mask = _storage.Platform.PageSizeBytes - 1;
        long start = Units.down(mask, range.Offset);
        return new ByteRange(start, Units.up(mask, range.End) - start);
    }
}
