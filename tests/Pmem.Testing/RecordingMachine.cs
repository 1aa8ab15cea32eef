namespace Pmem.Testing;

/// <summary>
/// A test double of the machine: records what the executor told it to do, as instructions with offsets in the mapping, and
/// passes it on to a real machine where there is one.
/// </summary>
internal sealed class RecordingMachine(Platform platform, Machine? inner = null) : Machine
{
    private readonly List<Instruction> _issued = [];

    public nint BaseAddress { get; set; }

    /// <summary>What msync is to return: 0, or the number of an error.</summary>
    public int SyncError { get; set; }

    /// <summary>What was recorded since the last call.</summary>
    public IReadOnlyList<Instruction> Take()
    {
        Instruction[] taken = [.. _issued];
        _issued.Clear();
        return taken;
    }

    public override void WriteBack(nint start, nint end)
    {
        _issued.Add(Instruction.NewWriteBack(platform.WriteBack, RangeOf(start, end)));
        inner?.WriteBack(start, end);
    }

    public override void WriteBackAndFence(nint start, nint end)
    {
        _issued.Add(Instruction.NewWriteBack(platform.WriteBack, RangeOf(start, end)));
        _issued.Add(Instruction.Fence);
        inner?.WriteBackAndFence(start, end);
    }

    public override void DeepWriteBack(nint start, nint end)
    {
        _issued.Add(Instruction.NewWriteBack(platform.DeepWriteBack, RangeOf(start, end)));
        inner?.DeepWriteBack(start, end);
    }

    public override void Fence()
    {
        _issued.Add(Instruction.Fence);
        inner?.Fence();
    }

    public override int SyncPages(nint start, nint end)
    {
        _issued.Add(Instruction.NewSyncPages(RangeOf(start, end)));
        return SyncError != 0 ? SyncError : inner?.SyncPages(start, end) ?? 0;
    }

    private ByteRange RangeOf(nint start, nint end) => new(start - BaseAddress, end - start);
}
