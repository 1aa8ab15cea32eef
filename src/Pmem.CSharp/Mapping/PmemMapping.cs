using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

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
    private const int NotMapped = 0, StillMapped = 1;
    private static long s_lastNumber;

    private MappedFile _file;
    private readonly Persister _persister;
    private readonly Copier _copier;
    private readonly CopyPlans _plans;
    private readonly ShortCalls _short;
    private readonly nint _address;
    private long _length;
    private long _endOfLastLine;
    private readonly long _number = Interlocked.Increment(ref s_lastNumber);
    private readonly bool _isReadOnly;

    /// <summary>No call may enter: it was disposed, or its pages may not be accessed at all.</summary>
    private bool _isClosed;
    private bool _isDisposed;
    private int _mapped = StillMapped;

    internal PmemMapping(MappedFile file, Persister persister)
    {
        Platform platform = file.Info.Facts.Platform;
        _file = file;
        _persister = persister;
        _copier = persister.Copier;
        _plans = CopyPlans.Of(platform, file.Info.Granularity);
        _address = file.Address;
        _length = file.LengthBytes;
        _endOfLastLine = EndOfLastLine(file);
        _isReadOnly = file.Info.Facts.IsReadOnly;
        if (!_isReadOnly) _short = persister.Short.For(_plans.For(PmemCopyOptions.None), &ThrowClosed);
        _isClosed = IsBarred;
    }

    /// <summary>The path, as it was given.</summary>
    public string Path => _file.Info.Path;

    /// <summary>The length of the mapping, in bytes.</summary>
    public long Length => _length;

    /// <summary>Whether it is persistent memory: then no system call is needed to make a store durable.</summary>
    public bool IsPmem => _file.Info.IsPmem;

    /// <summary>Whether only reading is possible.</summary>
    public bool IsReadOnly => _isReadOnly;

    /// <summary>How much must be flushed to make a store durable.</summary>
    public StoreGranularity Granularity => _file.Info.Granularity;

    /// <summary>The mapping as a value: what it maps, and what was decided about it and why.</summary>
    public MappingInfo Info => _file.Info;

    /// <summary>The first byte. Must not be used after Dispose; a store through it to a read-only mapping ends the process.</summary>
    public byte* Pointer
    {
        get
        {
            if (Volatile.Read(ref _isDisposed)) throw Closed();
            return (byte*)_address;
        }
    }

    /// <summary>Whether its pages may neither be read nor stored to.</summary>
    private bool IsBarred => (_file.Protection & (PmemProtection.Read | PmemProtection.Write)) == PmemProtection.None;

    /// <summary>Path, length, is-pmem, granularity and how a persist is done, in a line.</summary>
    public override string ToString() => _file.Info.ToString();

    /// <summary>
    /// Unmaps, after the calls in progress on other threads. What was stored and not persisted is as durable as it happens
    /// to be. Disposing twice does nothing.
    /// </summary>
    /// <exception cref="PmemException">The system refuses to unmap. The mapping is closed all the same; another Dispose tries again.</exception>
    /// <remarks>
    /// <para>Called from inside of a call of the same mapping, as a handler of FirstChanceException can, it returns at once, and the
    /// mapping is unmapped when that call has ended.</para>
    /// <para>Where short writes of persistent memory are machine code (x86-64, not Windows, neither read-only nor eADR) it has the youngest objects
    /// collected, which stops all threads: some 50 microseconds in a small program, more with many threads and young objects, and it
    /// waits for a collection in the background. A no-GC region ends by it. No thread is in a short write or persist while a collection begins, and
    /// so none pays for being waited for.</para>
    /// </remarks>
    public void Dispose()
    {
        Volatile.Write(ref _isDisposed, true);
        Volatile.Write(ref _isClosed, true);
        if (InFlight.IsThisThreadIn(_number)) ThreadPool.UnsafeQueueUserWorkItem(static mapping => mapping.Unmap(), this, preferLocal: false);
        else if (Unmap() is var error and not 0) throw Failures.OfErrno(error, Path, "unmap");
    }

    /// <summary>0, or the error number. Where it fails, the next one tries again.</summary>
    private int Unmap()
    {
        if (Interlocked.CompareExchange(ref _mapped, NotMapped, StillMapped) != StillMapped) return 0;
        InFlight.WaitUntilNobodyIsIn(_number);
        _short.WaitUntilNobodyIsIn();
        int error = _file.Unmap();
        if (error != 0) Volatile.Write(ref _mapped, StillMapped);
        return error;
    }

    /// <summary>Marks this thread as using the mapping: until it leaves, nothing is unmapped, and nothing may throw.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private InFlight Enter()
    {
        InFlight slot = InFlight.Enter(_number);
        if (Volatile.Read(ref _isClosed)) ThrowClosed(slot);
        return slot;
    }

    /// <summary>Checks the range, then enters.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private InFlight Enter(long offset, long length)
    {
        CheckRange(offset, length);
        return Enter();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void CheckRange(long offset, long length, string offsetName = "offset")
    {
        if (!Bounds.isInside(_length, offset, length)) ThrowOutside(offset, length, offsetName);
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

    /// <summary>What a short call of a closed mapping does instead.</summary>
    private static void ThrowClosed(object mapping) => throw ((PmemMapping)mapping).Closed();

    private InvalidOperationException Closed() => IsBarred && !_isDisposed
        ? new InvalidOperationException($"'{Path}' is mapped without {nameof(PmemProtection.Read)} and {nameof(PmemProtection.Write)}; only its {nameof(Pointer)} can be used.")
        : new ObjectDisposedException(nameof(PmemMapping), $"The mapping of '{Path}' was disposed; this call touched nothing and made nothing durable.");

    [DoesNotReturn]
    private void ThrowOutside(long offset, long length, string offsetName)
    {
        bool isOffset = offset < 0 || offset > _length;
        throw new ArgumentOutOfRangeException(
            isOffset ? offsetName : nameof(length), isOffset ? offset : length,
            $"Offset {offset} with length {length} does not lie in the mapping of '{Path}', which has {_length} bytes.");
    }
}
