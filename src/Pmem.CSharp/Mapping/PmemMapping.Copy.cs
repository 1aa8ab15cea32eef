using System.Runtime.CompilerServices;

namespace Pmem;

/// <content>Copying to the mapping, durably.</content>
public sealed unsafe partial class PmemMapping
{
    /// <summary>
    /// Copies bytes to the mapping; they are durable when this returns, unless the flags say otherwise. The source may lie in
    /// the mapping itself, and overlap.
    /// </summary>
    /// <param name="offset">Where to, in bytes.</param>
    /// <param name="source">What.</param>
    /// <param name="how">Hints, and what to leave to a later call.</param>
    /// <exception cref="ArgumentException">Flags exclude each other.</exception>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    /// <exception cref="PmemException">msync failed; what was stored in the range may be lost.</exception>
    /// <remarks>
    /// Where offset and length are multiples of 8, no aligned 8-byte word is ever seen, or left by a power failure, half
    /// written. Words have no order among themselves. With page granularity <see cref="PmemCopyOptions.NoDrain"/> waits all the same,
    /// because a drain does nothing there.
    /// </remarks>
    public void Write(long offset, ReadOnlySpan<byte> source, PmemCopyOptions how = PmemCopyOptions.None)
    {
        CopyPlan plan = PlanOf(how);
        if (plan.SyncsPages)
        {
            Write(offset, source, PmemCopyOptions.NoFlush);
            SyncCopied(offset, source.Length, "write");
            return;
        }
        InFlight slot = Enter(offset, source.Length);
        // SAFETY: the destination was checked, and nothing is unmapped until the slot is left; the source is pinned.
        fixed (byte* from = source) _copier.Move((byte*)_address + offset, from, (nuint)source.Length, plan);
        slot.Leave();
    }

    /// <summary>Stores a value as it lies in memory; it is durable when this returns, unless the flags say otherwise.</summary>
    /// <param name="offset">Where to, in bytes; any alignment.</param>
    /// <param name="value">The value. One of 8 bytes at a multiple of 8 is never torn.</param>
    /// <param name="how">Hints, and what to leave to a later call.</param>
    /// <exception cref="ArgumentException">Flags exclude each other.</exception>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    /// <exception cref="PmemException">msync failed; what was stored in the range may be lost.</exception>
    public void Write<T>(long offset, T value, PmemCopyOptions how = PmemCopyOptions.None) where T : unmanaged
    {
        CopyPlan plan = PlanOf(how);
        if (plan.SyncsPages)
        {
            Write(offset, value, PmemCopyOptions.NoFlush);
            SyncCopied(offset, sizeof(T), "write");
            return;
        }
        InFlight slot = Enter(offset, sizeof(T));
        // SAFETY: as above; the value is on the stack.
        _copier.Move((byte*)_address + offset, (byte*)&value, (nuint)sizeof(T), plan);
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

    /// <summary>Stores one byte over and over; durable when this returns, unless the flags say otherwise.</summary>
    /// <param name="offset">Where to, in bytes.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="value">The byte.</param>
    /// <param name="how">Hints, and what to leave to a later call.</param>
    /// <exception cref="ArgumentException">Flags exclude each other.</exception>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    /// <exception cref="PmemException">msync failed; what was stored in the range may be lost.</exception>
    public void Fill(long offset, long length, byte value, PmemCopyOptions how = PmemCopyOptions.None)
    {
        CopyPlan plan = PlanOf(how);
        if (plan.SyncsPages)
        {
            Fill(offset, length, value, PmemCopyOptions.NoFlush);
            SyncCopied(offset, length, "fill");
            return;
        }
        InFlight slot = Enter(offset, length);
        // SAFETY: the range was checked, and nothing is unmapped until the slot is left.
        _copier.Fill((byte*)_address + offset, value, (nuint)length, plan);
        slot.Leave();
    }

    /// <summary>
    /// Copies bytes from one place in the mapping to another, which may overlap it; durable when this returns, unless the
    /// flags say otherwise.
    /// </summary>
    /// <param name="destinationOffset">Where to, in bytes.</param>
    /// <param name="sourceOffset">Where from, in bytes.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="how">Hints, and what to leave to a later call.</param>
    /// <exception cref="ArgumentException">Flags exclude each other.</exception>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    /// <exception cref="PmemException">msync failed; what was stored in the range may be lost.</exception>
    public void Move(long destinationOffset, long sourceOffset, long length, PmemCopyOptions how = PmemCopyOptions.None)
    {
        CopyPlan plan = PlanOf(how);
        if (plan.SyncsPages)
        {
            Move(destinationOffset, sourceOffset, length, PmemCopyOptions.NoFlush);
            SyncCopied(destinationOffset, length, "move");
            return;
        }
        CheckRange(sourceOffset, length);
        InFlight slot = Enter(destinationOffset, length);
        // SAFETY: both ranges were checked, and nothing is unmapped until the slot is left.
        _copier.Move((byte*)_address + destinationOffset, (byte*)_address + sourceOffset, (nuint)length, plan);
        slot.Leave();
    }

    /// <summary>
    /// msync of what was copied. Not in the same method as the copy: what is kept for the error message there would be
    /// stored on the stack before each fence.
    /// </summary>
    private void SyncCopied(long offset, long length, string doing)
    {
        InFlight slot = Enter(offset, length);
        int error = SyncPages(_address + (nint)offset, length);
        slot.Leave();
        if (error != 0) throw Failures.OfPersist(error, Path, offset, length, doing);
    }

    /// <summary>The plan for these flags, where the mapping can be written at all.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private CopyPlan PlanOf(PmemCopyOptions how)
    {
        if (_isReadOnly) ThrowReadOnly();
        return _copier.PlanOf(how);
    }
}
