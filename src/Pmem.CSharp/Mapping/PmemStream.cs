namespace Pmem;

/// <summary>A part of a mapping as a stream. What is written is flushed as it comes, and Flush drains.</summary>
internal sealed class PmemStream(PmemMapping mapping, long start, long length) : Stream
{
    private long _position;

    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => !mapping.IsReadOnly;

    public override long Length => length;

    public override long Position
    {
        get => _position;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _position = value;
        }
    }

    public override int Read(Span<byte> buffer)
    {
        int count = (int)Math.Clamp(length - _position, 0, buffer.Length);
        mapping.Read(start + Math.Min(_position, length), buffer[..count]);
        _position += count;
        return count;
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        return Read(buffer.AsSpan(offset, count));
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (!CanWrite) throw new NotSupportedException($"'{mapping.Path}' is mapped read-only.");
        if (_position > length || buffer.Length > length - _position)
            throw new NotSupportedException($"The stream has {length} bytes and cannot become longer: {buffer.Length} at {_position}.");
        mapping.Write(start + _position, buffer, PmemCopyOptions.NoDrain);
        _position += buffer.Length;
    }

    public override void Write(byte[] buffer, int offset, int count)
    {
        ValidateBufferArguments(buffer, offset, count);
        Write(buffer.AsSpan(offset, count));
    }

    /// <summary>Everything that was written is durable when this returns.</summary>
    public override void Flush()
    {
        if (CanWrite) mapping.Drain();
    }

    public override Task FlushAsync(CancellationToken cancellationToken) =>
        CanWrite ? mapping.DrainAsync(cancellationToken) : Task.CompletedTask;

    public override long Seek(long offset, SeekOrigin origin) => Position = checked(offset + origin switch
    {
        SeekOrigin.Begin => 0,
        SeekOrigin.Current => _position,
        SeekOrigin.End => length,
        _ => throw new ArgumentOutOfRangeException(nameof(origin)),
    });

    public override void SetLength(long value) => throw new NotSupportedException("A mapping keeps its length.");

    protected override void Dispose(bool disposing)
    {
        if (disposing) Flush();
        base.Dispose(disposing);
    }
}
