using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace Pmem;

/// <content>Making stores durable.</content>
/// <remarks>
/// With page granularity a flush notes its range, and the next drain or persist, on any thread, has the operating system write all
/// that was noted, in one call if it can. The first call that the storage fails ends all promises: see <see cref="PmemException"/>.
/// </remarks>
public sealed unsafe partial class PmemMapping
{
    /// <summary>
    /// Makes what was stored in a range durable: flush, then drain. Write-back and fence, only a fence, or msync, as
    /// <see cref="Granularity"/> needs.
    /// </summary>
    /// <param name="offset">The first byte, in the mapping.</param>
    /// <param name="length">How many bytes.</param>
    /// <exception cref="PmemException">The storage failed, at this call or before; what was stored may be lost.</exception>
    public void Persist(long offset, long length)
    {
        if (!_short.TakesPersist(length) || !Bounds.isInside(_length, offset, length))
        {
            PersistLong(offset, length);
            return;
        }
        // SAFETY: the range was checked.
        _short.Persist((byte*)_address + offset, (nuint)length, ref _isClosed, this);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void PersistLong(long offset, long length)
    {
        InFlight slot = Enter(offset, length);
        Leave(slot, _persister.Persist(offset, length));
    }

    /// <summary>
    /// Starts making what was stored in a range durable; it is after the next <see cref="Drain"/> on this thread. What was
    /// flushed and not drained when the mapping is disposed is as durable as it happens to be.
    /// </summary>
    /// <param name="offset">The first byte, in the mapping.</param>
    /// <param name="length">How many bytes.</param>
    /// <exception cref="PmemException">With page granularity: the storage failed before.</exception>
    public void Flush(long offset, long length)
    {
        InFlight slot = Enter(offset, length);
        Leave(slot, _persister.Flush(offset, length));
    }

    /// <summary>Waits until everything that this thread flushed, or stored past the cache, is durable.</summary>
    /// <exception cref="PmemException">The storage failed, at this call or before; what was flushed may be lost.</exception>
    public void Drain()
    {
        InFlight slot = Enter();
        Leave(slot, _persister.Drain());
    }

    /// <summary>Makes every line of a plan durable: all its flushes, then one drain. Allocates nothing.</summary>
    /// <param name="plan">What to flush.</param>
    /// <exception cref="ArgumentOutOfRangeException">The plan flushes a line that is not in the mapping.</exception>
    /// <exception cref="PmemException">The storage failed, at this call or before; what was stored in the lines may be lost.</exception>
    public void Execute(FlushPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        if (plan.EndOffset > _endOfLastLine) ThrowPlanOutside(plan);
        InFlight slot = Enter();
        Leave(slot, _persister.Execute(plan));
    }

    /// <summary>msync(MS_SYNC) on the whole pages of a range, whatever the granularity.</summary>
    /// <param name="offset">The first byte, in the mapping.</param>
    /// <param name="length">How many bytes.</param>
    /// <exception cref="PmemException">It failed, or the mapping is a DAX device, where msync does nothing.</exception>
    public void Msync(long offset, long length)
    {
        InFlight slot = Enter(offset, length);
        Leave(slot, _persister.Msync(offset, length));
    }

    /// <summary>Flushes a range to the most reliable domain the platform has: never left out, not even with eADR.</summary>
    /// <param name="offset">The first byte, in the mapping.</param>
    /// <param name="length">How many bytes.</param>
    /// <exception cref="PmemException">The storage failed, at this call or before; what was stored in the range may be lost.</exception>
    public void DeepFlush(long offset, long length)
    {
        InFlight slot = Enter(offset, length);
        Leave(slot, _persister.DeepFlush(offset, length));
    }

    /// <summary>
    /// Drains, and has the device empty its own buffers: its region's deep_flush on DAX, msync elsewhere. A length of 0 does
    /// no more than drain.
    /// </summary>
    /// <param name="offset">The first byte, in the mapping.</param>
    /// <param name="length">How many bytes.</param>
    /// <exception cref="PmemException">The device or msync failed, or nothing that this process may do reaches the device.</exception>
    public void DeepDrain(long offset, long length)
    {
        InFlight slot = Enter(offset, length);
        Leave(slot, _persister.DeepDrain(offset, length));
    }

    /// <summary>Deep flush, then deep drain: past the platform's power-failure flush (ADR), into the device.</summary>
    /// <param name="offset">The first byte, in the mapping.</param>
    /// <param name="length">How many bytes.</param>
    /// <exception cref="PmemException">See <see cref="DeepFlush(long, long)"/> and <see cref="DeepDrain(long, long)"/>.</exception>
    public void DeepPersist(long offset, long length)
    {
        InFlight slot = Enter(offset, length);
        Leave(slot, _persister.DeepPersist(offset, length));
    }

    /// <summary>Ends a call: leaves the mapping, then throws what the persister returned, if anything.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Leave(InFlight slot, Exception? failure)
    {
        slot.Leave();
        if (failure is not null) Throw(failure);
    }

    /// <summary>Throws what a persister returned; one that it caught keeps its stack trace.</summary>
    [DoesNotReturn]
    private static void Throw(Exception failure) => ExceptionDispatchInfo.Throw(failure);

    [DoesNotReturn]
    private void ThrowPlanOutside(FlushPlan plan) => throw new ArgumentOutOfRangeException(
        nameof(plan), plan.EndOffset,
        $"The plan flushes up to byte {plan.EndOffset}, beyond the mapping of '{Path}', which has {_length} bytes.");
}
