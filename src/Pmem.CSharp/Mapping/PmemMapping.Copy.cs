using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

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
        if (options != PmemCopyOptions.None || !_short.Takes(source.Length) || !Bounds.isInside(_length, offset, source.Length))
        {
            WriteLong(offset, source, options);
            return;
        }
        // SAFETY: the destination was checked.
        _short.Copy((byte*)_address + offset, ref MemoryMarshal.GetReference(source), (nuint)source.Length, ref _isClosed, this);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
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
        if (options != PmemCopyOptions.None || !_short.TakesStore(sizeof(T)) || !_short.Takes(sizeof(T)) || !Bounds.isInside(_length, offset, sizeof(T)))
        {
            WriteBytes(offset, value, options);
            return;
        }
        // SAFETY: the destination was checked.
        _short.Write((byte*)_address + offset, BitsOf(value), (nuint)sizeof(T), ref _isClosed, this);
    }

    /// <summary>Apart: a value whose address is taken lies on the stack from the start of the method on.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void WriteBytes<T>(long offset, T value, PmemCopyOptions options) where T : unmanaged =>
        Write(offset, new ReadOnlySpan<byte>(&value, sizeof(T)), options);

    /// <summary>A value of 1, 2, 4 or 8 bytes in a register.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong BitsOf<T>(T value) where T : unmanaged => sizeof(T) switch
    {
        1 => Unsafe.BitCast<T, byte>(value),
        2 => Unsafe.BitCast<T, ushort>(value),
        4 => Unsafe.BitCast<T, uint>(value),
        _ => Unsafe.BitCast<T, ulong>(value),
    };

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
        if (options != PmemCopyOptions.None || !_short.Takes(length) || !Bounds.isInside(_length, offset, length))
        {
            FillLong(offset, length, value, options);
            return;
        }
        // SAFETY: the destination was checked.
        _short.Fill((byte*)_address + offset, value, (nuint)length, ref _isClosed, this);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
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
        if (options != PmemCopyOptions.None || !_short.Takes(length)
            || !Bounds.isInside(_length, sourceOffset, length) || !Bounds.isInside(_length, destinationOffset, length))
        {
            MoveLong(destinationOffset, sourceOffset, length, options);
            return;
        }
        // SAFETY: both ranges were checked, and all is read before the first byte is stored. What overlaps its source has just been read into
        // the cache, and stays there.
        byte* to = (byte*)_address + destinationOffset, from = (byte*)_address + sourceOffset;
        if ((nuint)to - (nuint)from < (nuint)length || (nuint)from - (nuint)to < (nuint)length)
            _short.CopyThrough(to, from, (nuint)length, ref _isClosed, this);
        else _short.Copy(to, ref *from, (nuint)length, ref _isClosed, this);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void MoveLong(long destinationOffset, long sourceOffset, long length, PmemCopyOptions options)
    {
        CopyPlan plan = PlanOf(options);
        CheckRange(sourceOffset, length, nameof(sourceOffset));
        CheckRange(destinationOffset, length, nameof(destinationOffset));
        InFlight slot = Enter();
        // SAFETY: both ranges were checked, and nothing is unmapped until the slot is left.
        Leave(slot, _copier.Move((byte*)_address + destinationOffset, (byte*)_address + sourceOffset, (nuint)length, plan));
    }

    /// <summary>The plan for these flags, where the mapping can be written at all.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private CopyPlan PlanOf(PmemCopyOptions options)
    {
        if (_isReadOnly) ThrowReadOnly();
        return _plans.For(options);
    }
}
