using System.Runtime.CompilerServices;

namespace Pmem;

/// <content>Making stores durable.</content>
public sealed unsafe partial class PmemMapping
{
    /// <summary>
    /// Makes what was stored in a range durable: flush, then drain. Write-back and fence, only a fence, or msync, as
    /// <see cref="Granularity"/> needs.
    /// </summary>
    /// <exception cref="PmemException">msync failed; what was stored in the range may be lost.</exception>
    public void Persist(long offset, long length)
    {
        InFlight slot = Enter(offset, length);
        nint start = _address + (nint)offset;
        int error = 0;
        if (_persistence == Persistence.Lines && length != 0) _machine.WriteBackAndFence(LineDown(start), LineUp(start + (nint)length));
        else if (_persistence != Persistence.Pages) _machine.Fence();
        else error = SyncPages(start, length);
        slot.Leave();
        if (error != 0) throw Failures.OfPersist(error, Path, offset, length, "persist");
    }

    /// <summary>
    /// Starts making what was stored in a range durable; it is after the next <see cref="Drain"/> on this thread. With page
    /// granularity the range is durable when this returns: of several ranges, <see cref="Execute"/> costs fewer system calls.
    /// </summary>
    /// <exception cref="PmemException">msync failed; what was stored in the range may be lost.</exception>
    public void Flush(long offset, long length)
    {
        InFlight slot = Enter(offset, length);
        nint start = _address + (nint)offset;
        int error = 0;
        if (_persistence == Persistence.Lines && length != 0) _machine.WriteBack(LineDown(start), LineUp(start + (nint)length));
        else if (_persistence == Persistence.Pages) error = SyncPages(start, length);
        slot.Leave();
        if (error != 0) throw Failures.OfPersist(error, Path, offset, length, "flush");
    }

    /// <summary>Waits until everything that this thread flushed, or stored past the cache, is durable.</summary>
    public void Drain()
    {
        InFlight slot = Enter(0, 0);
        if (_persistence != Persistence.Pages) _machine.Fence();
        slot.Leave();
    }

    /// <summary>Makes every line of a plan durable: all its flushes, then one drain. Allocates nothing.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The plan flushes a line that is not in the mapping.</exception>
    /// <exception cref="PmemException">msync failed; what was stored in the lines may be lost.</exception>
    public void Execute(FlushPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        if (plan.EndOffset > LineUp((nint)_length)) ThrowOutside(0, plan.EndOffset);
        InFlight slot = Enter(0, 0);
        int error = 0;
        if (_persistence == Persistence.Lines) WriteBackLines(plan);
        else if (_persistence == Persistence.Fence) _machine.Fence();
        else error = SyncPages(plan);
        slot.Leave();
        if (error != 0) throw Failures.OfPersist(error, Path, 0, plan.EndOffset, "execute a plan on");
    }

    /// <summary>msync(MS_SYNC) on the whole pages of a range, whatever the granularity.</summary>
    /// <exception cref="PmemException">It failed, or the mapping is a DAX device, where msync does nothing.</exception>
    public void Msync(long offset, long length)
    {
        if (_file.Kind.IsDeviceDax)
            throw new PmemException($"msync does nothing on the DAX device '{Path}'; use {nameof(Persist)}.", Path, 0);
        InFlight slot = Enter(offset, length);
        int error = SyncPages(_address + (nint)offset, length);
        slot.Leave();
        if (error != 0) throw Failures.OfPersist(error, Path, offset, length, "msync");
    }

    /// <summary>Flushes a range to the most reliable domain the platform has: never left out, not even with eADR.</summary>
    /// <exception cref="PmemException">msync failed; what was stored in the range may be lost.</exception>
    public void DeepFlush(long offset, long length)
    {
        InFlight slot = Enter(offset, length);
        int error;
        try { error = DeepFlush(_address + (nint)offset, length); }
        finally { slot.Leave(); }
        if (error != 0) throw Failures.OfPersist(error, Path, offset, length, "deep-flush");
    }

    /// <summary>
    /// Drains, and has the device empty its own buffers: its region's deep_flush on DAX, msync elsewhere. A length of 0 does
    /// nothing.
    /// </summary>
    /// <exception cref="PmemException">The device or msync failed, or nothing that this process may do reaches the device.</exception>
    public void DeepDrain(long offset, long length)
    {
        InFlight slot = Enter(offset, length);
        int error;
        try { error = DeepDrain(_address + (nint)offset, length); }
        finally { slot.Leave(); }
        if (error != 0) throw Failures.OfPersist(error, Path, offset, length, "deep-drain");
    }

    /// <summary>Deep flush, then deep drain: past the platform's power-failure flush (ADR), into the device.</summary>
    /// <exception cref="PmemException">See <see cref="DeepFlush(long, long)"/> and <see cref="DeepDrain(long, long)"/>.</exception>
    public void DeepPersist(long offset, long length)
    {
        InFlight slot = Enter(offset, length);
        nint start = _address + (nint)offset;
        int error;
        try
        {
            error = DeepFlush(start, length);
            // With page granularity the flush was msync already: a second one would only do the same again.
            if (error == 0 && _persistence != Persistence.Pages) error = DeepDrain(start, length);
        }
        finally { slot.Leave(); }
        if (error != 0) throw Failures.OfPersist(error, Path, offset, length, "deep-persist");
    }

    private nint LineDown(nint address) => address & ~_lineMask;

    private nint LineUp(nint address) => (address + _lineMask) & ~_lineMask;

    private int SyncPages(nint start, long length) =>
        length == 0 ? 0 : _machine.SyncPages(start & ~_pageMask, (start + (nint)length + _pageMask) & ~_pageMask);

    private int SyncPages(FlushPlan plan)
    {
        var pages = new UnitRanges(plan, _pageMask + 1);
        while (pages.MoveNext())
        {
            int error = _machine.SyncPages(StartOf(pages.Current), EndOf(pages.Current));
            if (error != 0) return error;
        }
        return 0;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void WriteBackLines(FlushPlan plan)
    {
        // The ranges of a plan are whole 64-byte lines already; only a machine with larger lines needs them rounded out.
        if (_lineMask >= CacheLine.SizeBytes)
        {
            WriteBackLargeLines(plan);
            return;
        }
        ReadOnlySpan<ByteRange> ranges = plan.Ranges;
        if (ranges.IsEmpty)
        {
            _machine.Fence();
            return;
        }
        for (int i = 0; i < ranges.Length - 1; i++) _machine.WriteBack(StartOf(ranges[i]), EndOf(ranges[i]));
        _machine.WriteBackAndFence(StartOf(ranges[^1]), EndOf(ranges[^1]));
    }

    private void WriteBackLargeLines(FlushPlan plan)
    {
        var lines = new UnitRanges(plan, _lineMask + 1);
        while (lines.MoveNext()) _machine.WriteBack(StartOf(lines.Current), EndOf(lines.Current));
        _machine.Fence();
    }

    private nint StartOf(ByteRange range) => _address + (nint)range.Offset;

    private nint EndOf(ByteRange range) => _address + (nint)range.Offset + (nint)range.Length;

    private int DeepFlush(nint start, long length)
    {
        if (length == 0) return 0;
        bool hasWriteBack = !_file.Info.Facts.Platform.DeepWriteBack.IsNoWriteBack;
        if (!hasWriteBack && _file.Kind.IsDeviceDax)
            throw Failures.OfDeepFlush(Refusal.NewNoWayToPersist("no cache line can be written back, and msync does nothing there"), Path);
        if (!hasWriteBack || _persistence == Persistence.Pages) return SyncPages(start, length);
        _machine.DeepWriteBack(LineDown(start), LineUp(start + (nint)length));
        return 0;
    }

    private int DeepDrain(nint start, long length)
    {
        if (_persistence != Persistence.Pages) _machine.Fence();
        nint end = (start + (nint)length + _pageMask) & ~_pageMask;
        return length == 0 ? 0 : _file.DeepDrain(start & ~_pageMask, end, _machine, _sysfs);
    }
}
