using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Pmem.Linux;

namespace Pmem;

/// <summary>A file in memory: store to it, and make exactly what was stored durable, in the cheapest correct way.</summary>
/// <remarks>
/// <para>Offsets and lengths are in bytes, offsets relative to the mapping. A range that does not lie in it is an
/// <see cref="ArgumentOutOfRangeException"/>, use after <see cref="Dispose"/> an <see cref="ObjectDisposedException"/>;
/// neither touches memory.</para>
/// <para>All members may be called from many threads. Dispose waits for the calls in progress; later ones throw. Spans and
/// pointers are not watched: after Dispose they must not be used. A mapping that is never disposed stays mapped until
/// the process ends, so that a span that outlives it never points nowhere.</para>
/// <para>Not promised: that a store is not durable before it is persisted (caches write back when they like), and that
/// another process does not shorten the file, which makes any access beyond its end fatal (SIGBUS).</para>
/// </remarks>
public sealed unsafe partial class PmemMapping : IDisposable
{
    private static long s_lastNumber;

    private readonly MappedFile _file;
    private readonly Machine _machine;
    private readonly Sysfs _sysfs;
    private readonly nint _address;
    private readonly long _length;
    private readonly long _number = Interlocked.Increment(ref s_lastNumber);
    private readonly nint _lineMask;
    private readonly nint _pageMask;
    private readonly Persistence _persistence;
    private readonly Copier _copier;
    private readonly bool _isReadOnly;
    private bool _isClosed;

    internal PmemMapping(MappedFile file, Machine machine, Sysfs sysfs)
    {
        Platform platform = file.Info.Facts.Platform;
        _file = file;
        _machine = machine;
        _sysfs = sysfs;
        _address = file.Address;
        _length = file.LengthBytes;
        _lineMask = (nint)(platform.LineSizeBytes - 1);
        _pageMask = (nint)(platform.PageSizeBytes - 1);
        _persistence = file.Info.Granularity switch
        {
            { IsByte: true } => Persistence.Fence,
            { IsCacheLine: true } => Persistence.Lines,
            _ => Persistence.Pages,
        };
        _copier = new Copier(machine, platform, file.Info.Granularity);
        _isReadOnly = file.Info.Facts.IsReadOnly;
    }

    /// <summary>The core's granularity, in the form that the hot path switches on.</summary>
    private enum Persistence { Fence, Lines, Pages }

    /// <summary>The path, as it was given.</summary>
    public string Path => _file.Info.Path;

    /// <summary>The length of the mapping, in bytes.</summary>
    public long Length => _length;

    /// <summary>Whether it is persistent memory: then no system call is needed to make a store durable.</summary>
    public bool IsPmem => _file.Info.IsPmem;

    /// <summary>How much must be flushed to make a store durable.</summary>
    public StoreGranularity Granularity => _file.Info.Granularity;

    /// <summary>The mapping as a value: what it maps, and what was decided about it and why.</summary>
    public MappingInfo Info => _file.Info;

    /// <summary>The first byte. Must not be used after Dispose; a store through it to a read-only mapping ends the process.</summary>
    public byte* Pointer
    {
        get
        {
            ThrowIfClosed();
            return (byte*)_address;
        }
    }

    /// <summary>All bytes, to read and store.</summary>
    /// <exception cref="InvalidOperationException">Read-only, or longer than a span can be (2 GiB): use <see cref="GetSpan"/>.</exception>
    public Span<byte> Span => _length <= int.MaxValue ? GetSpan(0, (int)_length) : throw TooLong(nameof(GetSpan));

    /// <summary>All bytes, to read.</summary>
    /// <exception cref="InvalidOperationException">Longer than a span can be (2 GiB): use <see cref="GetReadOnlySpan"/>.</exception>
    public ReadOnlySpan<byte> ReadOnlySpan =>
        _length <= int.MaxValue ? GetReadOnlySpan(0, (int)_length) : throw TooLong(nameof(GetReadOnlySpan));

    /// <summary>All bytes, for asynchronous code.</summary>
    /// <exception cref="InvalidOperationException">Read-only, or longer than 2 GiB: use <see cref="GetMemory"/>.</exception>
    public Memory<byte> Memory => _length <= int.MaxValue ? GetMemory(0, (int)_length) : throw TooLong(nameof(GetMemory));

    /// <summary>Some bytes, to read and store. Must not be used after Dispose.</summary>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    public Span<byte> GetSpan(long offset, int length)
    {
        ThrowIfReadOnly();
        return SpanOf(offset, length);
    }

    /// <summary>Some bytes, to read. Must not be used after Dispose.</summary>
    public ReadOnlySpan<byte> GetReadOnlySpan(long offset, int length) => SpanOf(offset, length);

    /// <summary>
    /// Some bytes, for asynchronous code. Using its span after Dispose throws; but Dispose does not wait for what is pinned:
    /// an asynchronous read into it must have ended before.
    /// </summary>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    public Memory<byte> GetMemory(long offset, int length)
    {
        ThrowIfReadOnly();
        CheckRange(offset, length);
        return new MappedMemory(this, offset, length).Memory;
    }

    /// <summary>Path, length, is-pmem, granularity and how a persist is done, in a line.</summary>
    public override string ToString() => _file.Info.ToString();

    /// <summary>
    /// Unmaps, after the calls in progress on other threads. What was stored and not persisted is as durable as it happens
    /// to be. Disposing twice does nothing.
    /// </summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isClosed, true)) return;
        InFlight.WaitUntilNobodyIsIn(_number);
        int error = _file.Unmap();
        if (error != 0) throw Failures.OfErrno(error, Path, "unmap");
    }

    /// <summary>Checks the range and marks this thread as using the mapping: until it leaves, nothing is unmapped.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private InFlight Enter(long offset, long length)
    {
        CheckRange(offset, length);
        InFlight slot = InFlight.Slot;
        slot.Enter(_number);
        if (Volatile.Read(ref _isClosed)) ThrowClosed(slot);
        return slot;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void CheckRange(long offset, long length)
    {
        // One comparison each: a negative number is a huge unsigned one. Nothing is added before it is known to fit.
        if ((ulong)offset > (ulong)_length || (ulong)length > (ulong)(_length - offset)) ThrowOutside(offset, length);
    }

    private Span<byte> SpanOf(long offset, int length)
    {
        CheckRange(offset, length);
        ThrowIfClosed();
        // SAFETY: the range lies in the mapping, which is mapped now; the caller must not use the span after Dispose.
        return new Span<byte>((byte*)_address + offset, length);
    }

    private void ThrowIfReadOnly()
    {
        if (_isReadOnly) ThrowReadOnly();
    }

    [DoesNotReturn]
    private void ThrowReadOnly() =>
        throw new InvalidOperationException($"'{Path}' is mapped read-only; use {nameof(GetReadOnlySpan)}, or open it without ReadOnly.");

    private void ThrowIfClosed()
    {
        if (Volatile.Read(ref _isClosed)) throw Closed();
    }

    [DoesNotReturn]
    private void ThrowClosed(InFlight slot)
    {
        slot.Leave();
        throw Closed();
    }

    private ObjectDisposedException Closed() =>
        new(nameof(PmemMapping), $"The mapping of '{Path}' was disposed; this call touched nothing and made nothing durable.");

    [DoesNotReturn]
    private void ThrowOutside(long offset, long length)
    {
        bool isOffset = offset < 0 || offset > _length;
        throw new ArgumentOutOfRangeException(
            isOffset ? nameof(offset) : nameof(length), isOffset ? offset : length,
            $"Offset {offset} with length {length} does not lie in the mapping of '{Path}', which has {_length} bytes.");
    }

    private InvalidOperationException TooLong(string instead) =>
        new($"'{Path}' has {_length} bytes, more than a span can have (2^31 - 1); use {instead} for a part of it.");

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
