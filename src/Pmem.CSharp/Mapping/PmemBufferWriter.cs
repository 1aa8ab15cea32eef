using System.Buffers;

namespace Pmem;

/// <summary>
/// Writes to a mapping for code that wants a buffer, as serialisers do: the buffer is the mapping. What was advanced over is
/// flushed, and durable after <see cref="Drain"/>.
/// </summary>
/// <remarks>Not for several threads at once. A buffer must not be used after the mapping's Dispose.</remarks>
public sealed class PmemBufferWriter : IBufferWriter<byte>
{
    private readonly PmemMapping _mapping;
    private readonly long _start;
    private readonly long _length;

    internal PmemBufferWriter(PmemMapping mapping, long start, long length)
    {
        _mapping = mapping;
        _start = start;
        _length = length;
    }

    /// <summary>How many bytes were written.</summary>
    public long WrittenCount { get; private set; }

    /// <summary>How many bytes there is room for yet.</summary>
    public long FreeCount => _length - WrittenCount;

    /// <summary>Says that so many bytes of the buffer were written, and flushes them.</summary>
    /// <param name="count">How many bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">More than there was room for.</exception>
    /// <exception cref="PmemException">With page granularity: the storage failed before.</exception>
    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, FreeCount);
        _mapping.Flush(_start + WrittenCount, count);
        WrittenCount += count;
    }

    /// <summary>Waits until everything that was written is durable.</summary>
    /// <exception cref="PmemException">The storage failed; what was written may be lost.</exception>
    public void Drain() => _mapping.Drain();

    /// <summary>All that is free of the mapping, as far as a memory can be long.</summary>
    /// <param name="sizeHint">How many bytes there must be at least; 0 for one.</param>
    /// <exception cref="ArgumentException">There is not that much room.</exception>
    public Memory<byte> GetMemory(int sizeHint = 0) => _mapping.GetMemory(_start + WrittenCount, FreeLength(sizeHint));

    /// <summary>All that is free of the mapping, as far as a span can be long.</summary>
    /// <param name="sizeHint">How many bytes there must be at least; 0 for one.</param>
    /// <exception cref="ArgumentException">There is not that much room.</exception>
    public Span<byte> GetSpan(int sizeHint = 0) => _mapping.GetSpan(_start + WrittenCount, FreeLength(sizeHint));

    private int FreeLength(int sizeHint)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sizeHint);
        return Math.Max(sizeHint, 1) <= FreeCount
            ? (int)Math.Min(FreeCount, int.MaxValue)
            : throw new ArgumentException($"There is room for {FreeCount} bytes, not for {Math.Max(sizeHint, 1)}.", nameof(sizeHint));
    }
}
