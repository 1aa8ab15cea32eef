using System.Runtime.CompilerServices;

namespace Pmem;

/// <content>The mapping as memory that a data structure is written against.</content>
public sealed unsafe partial class PmemMapping : IPersistentMemory
{
    /// <summary>Copies as many bytes as the destination has out of the mapping.</summary>
    /// <param name="offset">Where from, in bytes.</param>
    /// <param name="destination">Where to.</param>
    public void Read(long offset, Span<byte> destination)
    {
        InFlight slot = Enter(offset, destination.Length);
        // SAFETY: the range was checked, and nothing is unmapped until the slot is left.
        new ReadOnlySpan<byte>((byte*)_address + offset, destination.Length).CopyTo(destination);
        slot.Leave();
    }

    /// <summary>Stores a value with one ordinary store, as it lies in memory; it is durable after a persist.</summary>
    /// <param name="offset">Where to, in bytes; any alignment.</param>
    /// <param name="value">The value. One of 8 bytes at a multiple of 8 is never torn.</param>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store<T>(long offset, T value) where T : unmanaged
    {
        // SAFETY: the range was checked.
        if (_short.TakesStore(sizeof(T)) && Bounds.isInside(_length, offset, sizeof(T)))
            _short.Store((byte*)_address + offset, BitsOf(value), (nuint)sizeof(T), ref _isClosed, this);
        else StoreInside(offset, value);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void StoreInside<T>(long offset, T value) where T : unmanaged
    {
        ThrowIfReadOnly();
        InFlight slot = Enter(offset, sizeof(T));
        // SAFETY: the range was checked, the mapping is writable, and nothing is unmapped until the slot is left.
        Unsafe.WriteUnaligned((byte*)_address + offset, value);
        slot.Leave();
    }

    /// <summary>Stores bytes with ordinary stores; they are durable after a persist.</summary>
    /// <param name="offset">Where to, in bytes.</param>
    /// <param name="bytes">What.</param>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    public void Store(long offset, ReadOnlySpan<byte> bytes)
    {
        ThrowIfReadOnly();
        InFlight slot = Enter(offset, bytes.Length);
        StoreBytes(offset, bytes);
        slot.Leave();
    }

    /// <summary>Stores bytes past the cache: durable after the next drain, without a flush.</summary>
    /// <param name="offset">Where to, in bytes.</param>
    /// <param name="bytes">What.</param>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    public void StoreNonTemporal(long offset, ReadOnlySpan<byte> bytes) =>
        Write(offset, bytes, PmemCopyOptions.NonTemporal | PmemCopyOptions.NoDrain);

    /// <summary>
    /// Stores a word where it holds the comparand, as one atomic step that other threads and processes see whole, and returns
    /// what it held before. It is durable after a persist.
    /// </summary>
    /// <param name="offset">Where, in bytes; a multiple of 8.</param>
    /// <param name="value">What to store.</param>
    /// <param name="comparand">What the word must hold.</param>
    /// <exception cref="ArgumentException">The offset is no multiple of 8.</exception>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    public long CompareExchange(long offset, long value, long comparand)
    {
        ThrowIfReadOnly();
        if (offset % sizeof(long) != 0)
            throw new ArgumentException($"A word lies at a multiple of 8 bytes, not at offset {offset}.", nameof(offset));
        InFlight slot = Enter(offset, sizeof(long));
        // SAFETY: the range was checked, it is aligned because the mapping is, and nothing is unmapped until the slot is left.
        long before = Interlocked.CompareExchange(ref *(long*)(_address + (nint)offset), value, comparand);
        slot.Leave();
        return before;
    }

    /// <summary>Notes that a caller was promised the operation with this number: nothing to do on real memory.</summary>
    /// <param name="operation">Its number.</param>
    public void Acknowledge(long operation)
    {
        InFlight slot = Enter();
        Leave(slot, _persister.Acknowledge(operation));
    }

    /// <summary>Stores in the mapping, which this thread is in; the range was checked.</summary>
    private void StoreBytes(long offset, ReadOnlySpan<byte> bytes)
    {
        byte* to = (byte*)_address + offset;
        // A word by one instruction: an aligned one is never torn. The copier promises that of whole words only.
        if (bytes.Length == sizeof(long)) Unsafe.WriteUnaligned(to, Unsafe.ReadUnaligned<long>(in bytes[0]));
        else if (bytes.Length == sizeof(int)) Unsafe.WriteUnaligned(to, Unsafe.ReadUnaligned<int>(in bytes[0]));
        else
        {
            // SAFETY: the caller checked the destination, and nothing is unmapped until it leaves; the source is pinned.
            fixed (byte* from = bytes) _ = _copier.Move(to, from, (nuint)bytes.Length, _plans.For(PmemCopyOptions.NoFlush));
        }
    }

    void IPersistentMemory.Read(long offset, Span<byte> destination, SourceLine source) => Read(offset, destination);

    void IPersistentMemory.Store(long offset, ReadOnlySpan<byte> bytes, SourceLine source) => Store(offset, bytes);

    void IPersistentMemory.StoreNonTemporal(long offset, ReadOnlySpan<byte> bytes, SourceLine source) => StoreNonTemporal(offset, bytes);

    long IPersistentMemory.CompareExchange(long offset, long value, long comparand, SourceLine source) =>
        CompareExchange(offset, value, comparand);

    void IPersistentMemory.Flush(long offset, long length, SourceLine source) => Flush(offset, length);

    void IPersistentMemory.Drain(SourceLine source) => Drain();

    void IPersistentMemory.Persist(long offset, long length, SourceLine source) => Persist(offset, length);

    void IPersistentMemory.Acknowledge(long operation, SourceLine source) => Acknowledge(operation);
}
