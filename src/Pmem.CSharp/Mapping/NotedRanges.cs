namespace Pmem;

/// <summary>Ranges that were flushed and not drained: a list that is sorted when it is full or read, and then as short as can be.</summary>
/// <remarks>Noting costs n log n altogether, and nothing is allocated once the list has grown to what a program needs.</remarks>
internal sealed class NotedRanges
{
    private ByteRange[] _ranges = new ByteRange[16];
    private ByteRange[] _joined = [];
    private int _count;

    public bool IsEmpty => _count == 0;

    public void Add(ByteRange range)
    {
        if (range.IsEmpty) return;
        // What follows on the last one, as in a log, lengthens it.
        if (_count != 0 && _ranges[_count - 1] is var last && last.Offset <= range.Offset && range.Offset <= last.End)
        {
            _ranges[_count - 1] = new ByteRange(last.Offset, Math.Max(last.End, range.End) - last.Offset);
            return;
        }
        if (_count == _ranges.Length) MakeRoom();
        _ranges[_count++] = range;
    }

    public void Clear() => _count = 0;

    /// <summary>The ranges, sorted, disjoint and coalesced.</summary>
    public ReadOnlySpan<ByteRange> Coalesced()
    {
        _count = SyncRanges.coalesce(_ranges.AsSpan(0, _count));
        return _ranges.AsSpan(0, _count);
    }

    /// <summary>The ranges to sync for so many who wait, sorted: as few as pay, so that something else may lie in them.</summary>
    public ReadOnlySpan<ByteRange> Joined(int waiting)
    {
        ReadOnlySpan<ByteRange> ranges = Coalesced();
        if (_joined.Length < ranges.Length) _joined = new ByteRange[_ranges.Length];
        ranges.CopyTo(_joined);
        return _joined.AsSpan(0, SyncRanges.join(waiting, _joined.AsSpan(0, ranges.Length)));
    }

    /// <summary>Twice the room, unless half of it is free once neighbours are one.</summary>
    private void MakeRoom()
    {
        _ = Coalesced();
        if (_count > _ranges.Length / 2) Array.Resize(ref _ranges, 2 * _ranges.Length);
    }
}
