using System.Runtime.CompilerServices;

namespace Pmem;

/// <content>Copying to the mapping, durably.</content>
public sealed unsafe partial class PmemMapping
{
    /// <summary>
    /// Copies bytes to the mapping; they are durable when this returns, unless the options say otherwise. The source may lie in
    /// the mapping itself, and overlap.
    /// </summary>
    /// <param name="offset">Where to, in bytes.</param>
    /// <param name="source">What.</param>
    /// <param name="options">Hints, and what to leave to a later call.</param>
    /// <exception cref="ArgumentException">Flags exclude each other.</exception>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    /// <exception cref="PmemException">The storage failed, at this call or before; the bytes are stored, and may be lost.</exception>
    /// <remarks>
    /// Where offset and length are multiples of 8, no aligned 8-byte word is ever seen, or left by a power failure, half
    /// written. Words have no order among themselves.
    /// </remarks>
    public void Write(long offset, ReadOnlySpan<byte> source, PmemCopyOptions options = PmemCopyOptions.None)
    {
        if (options != PmemCopyOptions.None || !_short.Takes(offset, source.Length))
        {
            WriteLong(offset, source, options);
            return;
        }
        // SAFETY: the destination was checked, and nothing is unmapped until the slot is left; the source is pinned. It is pinned before
        // the slot is taken: what the stack is written between that and the record makes the record's line come later.
        fixed (byte* from = source)
        {
            InFlight slot = EnterToStore(offset, source.Length);
            _short.Copy((byte*)_address + offset, from, (nuint)source.Length);
            slot.Leave();
        }
    }

    private void WriteLong(long offset, ReadOnlySpan<byte> source, PmemCopyOptions options)
    {
        CopyPlan plan = PlanOf(options);
        InFlight slot = Enter(offset, source.Length);
        Exception? failure;
        // SAFETY: the destination was checked, and nothing is unmapped until the slot is left; the source is pinned.
        fixed (byte* from = source) failure = _copier.Move((byte*)_address + offset, from, (nuint)source.Length, plan);
        Leave(slot, failure);
    }

    /// <summary>Stores a value as it lies in memory; it is durable when this returns, unless the options say otherwise.</summary>
    /// <param name="offset">Where to, in bytes; any alignment.</param>
    /// <param name="value">The value. One of 8 bytes at a multiple of 8 is never torn.</param>
    /// <param name="options">Hints, and what to leave to a later call.</param>
    /// <exception cref="ArgumentException">Flags exclude each other.</exception>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    /// <exception cref="PmemException">The storage failed, at this call or before; the value is stored, and may be lost.</exception>
    public void Write<T>(long offset, T value, PmemCopyOptions options = PmemCopyOptions.None) where T : unmanaged
    {
        if (options != PmemCopyOptions.None || !_short.Takes(offset, sizeof(T)))
        {
            WriteLong(offset, new ReadOnlySpan<byte>(&value, sizeof(T)), options);
            return;
        }
        InFlight slot = EnterToStore(offset, sizeof(T));
        // SAFETY: as above; the value is on the stack.
        _short.Copy((byte*)_address + offset, (byte*)&value, (nuint)sizeof(T));
        slot.Leave();
    }

    /// <summary>Reads a value as it lies in memory. One of 8 bytes at a multiple of 8 is never torn.</summary>
    /// <param name="offset">Where from, in bytes; any alignment.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Read<T>(long offset) where T : unmanaged
    {
        InFlight slot = Enter(offset, sizeof(T));
        // SAFETY: the range was checked, and nothing is unmapped until the slot is left.
        T value = Unsafe.ReadUnaligned<T>((byte*)_address + offset);
        slot.Leave();
        return value;
    }

    /// <summary>Stores one byte over and over; durable when this returns, unless the options say otherwise.</summary>
    /// <param name="offset">Where to, in bytes.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="value">The byte.</param>
    /// <param name="options">Hints, and what to leave to a later call.</param>
    /// <exception cref="ArgumentException">Flags exclude each other.</exception>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    /// <exception cref="PmemException">The storage failed, at this call or before; the bytes are stored, and may be lost.</exception>
    public void Fill(long offset, long length, byte value, PmemCopyOptions options = PmemCopyOptions.None)
    {
        if (options != PmemCopyOptions.None || !_short.Takes(offset, length))
        {
            FillLong(offset, length, value, options);
            return;
        }
        InFlight slot = EnterToStore(offset, length);
        // SAFETY: the range was checked, and nothing is unmapped until the slot is left.
        _short.Fill((byte*)_address + offset, value, (nuint)length);
        slot.Leave();
    }

    private void FillLong(long offset, long length, byte value, PmemCopyOptions options)
    {
        CopyPlan plan = PlanOf(options);
        InFlight slot = Enter(offset, length);
        // SAFETY: the range was checked, and nothing is unmapped until the slot is left.
        Leave(slot, _copier.Fill((byte*)_address + offset, value, (nuint)length, plan));
    }

    /// <summary>
    /// Copies bytes from one place in the mapping to another, which may overlap it; durable when this returns, unless the
    /// options say otherwise.
    /// </summary>
    /// <param name="destinationOffset">Where to, in bytes.</param>
    /// <param name="sourceOffset">Where from, in bytes.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="options">Hints, and what to leave to a later call.</param>
    /// <exception cref="ArgumentException">Flags exclude each other.</exception>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    /// <exception cref="PmemException">The storage failed, at this call or before; the bytes are stored, and may be lost.</exception>
    public void Move(long destinationOffset, long sourceOffset, long length, PmemCopyOptions options = PmemCopyOptions.None)
    {
        CopyPlan plan = PlanOf(options);
        CheckRange(sourceOffset, length, nameof(sourceOffset));
        CheckRange(destinationOffset, length, nameof(destinationOffset));
        InFlight slot = Enter();
        // SAFETY: both ranges were checked, and nothing is unmapped until the slot is left.
        Leave(slot, _copier.Move((byte*)_address + destinationOffset, (byte*)_address + sourceOffset, (nuint)length, plan));
    }

    /// <summary>Checks the range, asks for its first and its last line, then enters: so they come while this thread does.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private InFlight EnterToStore(long offset, long length)
    {
        CheckRange(offset, length);
        ShortStores.Expect((byte*)_address + offset, length);
        return Enter();
    }

    /// <summary>The plan for these flags, where the mapping can be written at all.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private CopyPlan PlanOf(PmemCopyOptions options)
    {
        if (_isReadOnly) ThrowReadOnly();
        return _plans.For(options);
    }
}
