using System.Runtime.CompilerServices;

namespace Pmem;

/// <summary>Cache-line granularity (ADR): each line is written back, then a fence waits. It calls the stubs itself.</summary>
internal sealed class LinePersister<TLines>(MappedStorage storage, TLines lines)
    : DirectPersister<TLines>(storage, lines) where TLines : struct, ILineInstructions
{
    public override ShortCalls Short => Lines.Short;

    public override Exception? Flush(long offset, long length)
    {
        if (length != 0) Lines.WriteBack(Start(offset), End(offset + length));
        return null;
    }

    public override Exception? Persist(long offset, long length)
    {
        if (length != 0) Lines.WriteBackAndFence(Start(offset), End(offset + length));
        else Lines.Fence();
        return null;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    public override Exception? Execute(FlushPlan plan)
    {
        // The ranges of a plan are whole 64-byte lines already; only a machine with larger lines needs them rounded out.
        if (LineMask >= CacheLine.SizeBytes) return ExecuteLargeLines(plan);
        ReadOnlySpan<ByteRange> ranges = plan.Ranges;
        if (ranges.IsEmpty)
        {
            Lines.Fence();
            return null;
        }
        for (int i = 0; i < ranges.Length - 1; i++) Lines.WriteBack(StartOf(ranges[i]), EndOf(ranges[i]));
        Lines.WriteBackAndFence(StartOf(ranges[^1]), EndOf(ranges[^1]));
        return null;
    }

    private Exception? ExecuteLargeLines(FlushPlan plan)
    {
        var lines = new UnitRanges(plan, LineMask + 1);
        while (lines.MoveNext()) Lines.WriteBack(StartOf(lines.Current), EndOf(lines.Current));
        Lines.Fence();
        return null;
    }

    private nint Start(long offset) => (nint)Units.down(LineMask, Address + offset);

    private nint End(long offset) => (nint)Units.up(LineMask, Address + offset);

    private nint StartOf(ByteRange range) => Address + (nint)range.Offset;

    private nint EndOf(ByteRange range) => Address + (nint)range.Offset + (nint)range.Length;
}
