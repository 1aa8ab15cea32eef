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

    /// <summary>Maps an existing file, or a device-DAX device.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">Offset, Length, ReadOnly and RequiredGranularity; the others do nothing here.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be accessed.</exception>
    /// <exception cref="ArgumentOutOfRangeException">Offset and Length do not lie in the file.</exception>
    /// <exception cref="PmemException">It cannot be mapped, or not with the granularity required; the message says why.</exception>
    public static PmemMapping Open(string path, PmemMapOptions? options = null) =>
        Over(FileMapper.Open(Checked(path), options ?? PmemMapOptions.Default));

    /// <summary>
    /// Makes a file of this length, with storage behind every byte, and maps it. A file that exists is extended or cut to
    /// this length and keeps its bytes. Length and name are durable when this returns.
    /// </summary>
    /// <param name="path">The file. For a device-DAX device the length must be 0 or the device's.</param>
    /// <param name="length">The exact length of the file, in bytes.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such directory.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be made or accessed.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The length is not positive, or Offset and Length do not lie in it.</exception>
    /// <exception cref="PmemException">No space, the file exists and must not, it cannot be mapped …: the message says.</exception>
    /// <remarks>
    /// Where it throws, a file that was there has its old length and bytes, and one that was not is not there: a new file
    /// gets its name last. Only if the storage fails after an existing file was cut is the cut not taken back.
    /// </remarks>
    public static PmemMapping Create(string path, long length, PmemMapOptions? options = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        return Over(FileMapper.Create(Checked(path), length, options ?? PmemMapOptions.Default));
    }

    /// <summary>Makes a file without a name and maps it; its storage is free again after Dispose, or when the process ends.</summary>
    /// <param name="directory">An existing directory on the file system to use.</param>
    /// <param name="length">The length, in bytes.</param>
    /// <param name="options">Sparse and RequiredGranularity; the file is always its owner's alone.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such directory.</exception>
    /// <exception cref="PmemException">No space, or not with the granularity required; the message says why.</exception>
    public static PmemMapping CreateTemporary(string directory, long length, PmemMapOptions? options = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        return Over(FileMapper.CreateTemporary(Checked(directory), length, options ?? PmemMapOptions.Default));
    }

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

    private static PmemMapping Over(MappedFile file) => new(file, PmemPlatform.CurrentMachine, Sysfs.Machine);

    internal static string Checked(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return path.Contains('\0', StringComparison.Ordinal)
            ? throw new ArgumentException("A path cannot contain a zero character.", nameof(path))
            : path;
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
