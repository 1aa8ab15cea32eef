using Pmem.Linux;

namespace Pmem;

/// <summary>
/// A machine that records what the executor told it to do, as instructions with offsets in the mapping, and
/// passes it on to the real machine where it is to.
/// </summary>
internal sealed class RecordingMachine(Platform platform, bool isPassedOn = false) : IPageSync
{
    private readonly List<Instruction> _issued = [];

    public nint BaseAddress { get; set; }

    /// <summary>What msync is to return: 0, or the number of an error.</summary>
    public int SyncError { get; set; }

    /// <summary>What a persister and a copier are given: they record here.</summary>
    public RecordedLines Lines => new(this);

    public Platform Platform => platform;

    public bool IsPassedOn => isPassedOn;

    /// <summary>What libpmem's functions can be executed on.</summary>
    public LibPmemMachine ForLibPmem => new LibPmemMachine<RecordedLines>(platform, Lines, this);

    /// <summary>The persister that the file's granularity picks, on this machine.</summary>
    public Persister PersisterFor(MappedFile file, Sysfs sysfs) => Persister.For(file, Lines, this, sysfs);

    /// <summary>What was recorded since the last call.</summary>
    public IReadOnlyList<Instruction> Take()
    {
        Instruction[] taken = [.. _issued];
        _issued.Clear();
        return taken;
    }

    public int Sync(nint start, nint end)
    {
        _issued.Add(Instruction.NewSyncPages(RangeOf(start, end)));
        if (SyncError != 0) return SyncError;
        return isPassedOn ? FileMapper.System.Sync(start, end) : 0;
    }

    public void WriteBack(WriteBackKind kind, nint start, nint end) => _issued.Add(Instruction.NewWriteBack(kind, RangeOf(start, end)));

    public void Fence() => _issued.Add(Instruction.Fence);

    private ByteRange RangeOf(nint start, nint end) => new(start - BaseAddress, end - start);
}

/// <summary>The instructions of a recording machine.</summary>
internal readonly struct RecordedLines(RecordingMachine machine) : ILineInstructions
{
    public void WriteBack(nint start, nint end)
    {
        machine.WriteBack(machine.Platform.WriteBack, start, end);
        if (machine.IsPassedOn) PmemPlatform.CurrentLines.WriteBack(start, end);
    }

    public void WriteBackAndFence(nint start, nint end)
    {
        machine.WriteBack(machine.Platform.WriteBack, start, end);
        machine.Fence();
        if (machine.IsPassedOn) PmemPlatform.CurrentLines.WriteBackAndFence(start, end);
    }

    public void DeepWriteBack(nint start, nint end)
    {
        machine.WriteBack(machine.Platform.DeepWriteBack, start, end);
        if (machine.IsPassedOn) PmemPlatform.CurrentLines.DeepWriteBack(start, end);
    }

    public void Fence()
    {
        machine.Fence();
        if (machine.IsPassedOn) PmemPlatform.CurrentLines.Fence();
    }
}
