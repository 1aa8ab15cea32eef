using System.Buffers;

namespace Pmem;

/// <content>The bytes as spans, memory, streams and writers.</content>
public sealed unsafe partial class PmemMapping
{
    /// <summary>All bytes, to read and store.</summary>
    /// <exception cref="InvalidOperationException">Read-only, or longer than a span can be (2 GiB): use <see cref="GetSpan"/>.</exception>
    public Span<byte> Span => GetSpan(0, LengthOfSpan(nameof(GetSpan)));

    /// <summary>All bytes, to read.</summary>
    /// <exception cref="InvalidOperationException">Longer than a span can be (2 GiB): use <see cref="GetReadOnlySpan"/>.</exception>
    public ReadOnlySpan<byte> ReadOnlySpan => GetReadOnlySpan(0, LengthOfSpan(nameof(GetReadOnlySpan)));

    /// <summary>All bytes, for asynchronous code.</summary>
    /// <exception cref="InvalidOperationException">Read-only, or longer than 2 GiB: use <see cref="GetMemory"/>.</exception>
    public Memory<byte> Memory => GetMemory(0, LengthOfSpan(nameof(GetMemory)));

    /// <summary>All bytes, for asynchronous code that reads.</summary>
    /// <exception cref="InvalidOperationException">Longer than 2 GiB: use <see cref="GetReadOnlyMemory"/>.</exception>
    public ReadOnlyMemory<byte> ReadOnlyMemory => GetReadOnlyMemory(0, LengthOfSpan(nameof(GetReadOnlyMemory)));

    /// <summary>Some bytes, to read and store. Must not be used after Dispose.</summary>
    /// <param name="offset">The first byte, in the mapping.</param>
    /// <param name="length">How many bytes.</param>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    public Span<byte> GetSpan(long offset, int length)
    {
        ThrowIfReadOnly();
        return SpanOf(offset, length);
    }

    /// <summary>Some bytes, to read. Must not be used after Dispose.</summary>
    /// <param name="offset">The first byte, in the mapping.</param>
    /// <param name="length">How many bytes.</param>
    public ReadOnlySpan<byte> GetReadOnlySpan(long offset, int length) => SpanOf(offset, length);

    /// <summary>
    /// Some bytes, for asynchronous code. Using its span after Dispose throws; but Dispose does not wait for what is pinned:
    /// an asynchronous read into it must have ended before.
    /// </summary>
    /// <param name="offset">The first byte, in the mapping.</param>
    /// <param name="length">How many bytes.</param>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    public Memory<byte> GetMemory(long offset, int length)
    {
        ThrowIfReadOnly();
        CheckRange(offset, length);
        return new MappedMemory(this, offset, length).Memory;
    }

    /// <summary>Some bytes, for asynchronous code that reads. As with <see cref="GetMemory"/>, Dispose does not wait for what is pinned.</summary>
    /// <param name="offset">The first byte, in the mapping.</param>
    /// <param name="length">How many bytes.</param>
    public ReadOnlyMemory<byte> GetReadOnlyMemory(long offset, int length)
    {
        CheckRange(offset, length);
        return new MappedMemory(this, offset, length).Memory;
    }

    /// <summary>
    /// The bytes as a stream that begins at the first of them and cannot become longer. What is written to it is durable after
    /// Flush, or when the stream is disposed; a mapping that is read-only gives a stream that is.
    /// </summary>
    public Stream AsStream() => AsStream(0, _length);

    /// <inheritdoc cref="AsStream()"/>
    /// <param name="offset">The first byte, in the mapping.</param>
    /// <param name="length">How many bytes.</param>
    public Stream AsStream(long offset, long length)
    {
        CheckRange(offset, length);
        ThrowIfClosed();
        return new PmemStream(this, offset, length);
    }

    /// <summary>A writer for code that wants a buffer to write to, as serialisers do: they write to the mapping itself.</summary>
    /// <param name="offset">Where the first byte goes, in the mapping.</param>
    /// <param name="length">How many bytes there is room for.</param>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    public PmemBufferWriter GetWriter(long offset, long length)
    {
        ThrowIfReadOnly();
        CheckRange(offset, length);
        ThrowIfClosed();
        return new PmemBufferWriter(this, offset, length);
    }

    private int LengthOfSpan(string instead) => _length is var length && length <= int.MaxValue
        ? (int)length
        : throw new InvalidOperationException(
            $"'{Path}' has {length} bytes, more than a span can have (2^31 - 1); use {instead} for a part of it.");

    private Span<byte> SpanOf(long offset, int length)
    {
        CheckRange(offset, length);
        ThrowIfClosed();
        // SAFETY: the range lies in the mapping, which is mapped now; the caller must not use the span after Dispose.
        return new Span<byte>((byte*)_address + offset, length);
    }

    /// <summary>The mapping's bytes for code that wants a <see cref="Memory{T}"/>.</summary>
    private sealed class MappedMemory(PmemMapping mapping, long offset, int length) : MemoryManager<byte>
    {
        public override Span<byte> GetSpan() => mapping.SpanOf(offset, length);

        public override MemoryHandle Pin(int elementIndex = 0)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(elementIndex);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(elementIndex, length);
            return new MemoryHandle(mapping.Pointer + offset + elementIndex);
        }

        public override void Unpin() { }

        protected override void Dispose(bool disposing) { }
    }
}
