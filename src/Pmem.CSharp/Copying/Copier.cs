using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Pmem;

/// <summary>
/// Copies to memory of one granularity as the core's <see cref="CopyPlan"/> says. All plans are made here in advance, one for
/// each set of flags: a copy looks its own up and compares its length with the threshold. Nothing is allocated. Where the
/// plan has msync follow, that is the caller's to do.
/// </summary>
internal sealed unsafe class Copier
{
    private const int FlagSets = 64;

    /// <summary>What is stored through the cache is written back in pieces, while it is still there.</summary>
    private const nuint PieceBytes = 4096;

    private readonly CopyPlan?[] _plans = new CopyPlan?[FlagSets];
    private readonly Machine _machine;
    private readonly Platform _platform;
    private readonly nint _lineMask;

    public Copier(Machine machine, Platform platform, StoreGranularity granularity)
    {
        _machine = machine;
        _platform = platform;
        _lineMask = (nint)(platform.LineSizeBytes - 1);
        for (int flags = 0; flags < FlagSets; flags++)
            if (CopyPlanModule.decide(platform, granularity, (PmemCopyOptions)flags) is { IsOk: true } decided)
                _plans[flags] = decided.ResultValue;
    }

    /// <summary>The plan for these flags.</summary>
    /// <exception cref="ArgumentException">The flags exclude each other, or are not all known.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public CopyPlan PlanOf(PmemCopyOptions how)
    {
        CopyPlan?[] plans = _plans;
        if ((uint)how < (uint)plans.Length && plans[(int)how] is CopyPlan plan) return plan;
        ThrowContradiction(how);
        return null;
    }

    /// <summary>Copies; the ranges may overlap.</summary>
    public void Move(byte* to, byte* from, nuint length, CopyPlan plan)
    {
        if (length <= LineSplit.LineBytes && !plan.IsNonTemporal((long)length))
        {
            CopyShort(to, from, length, plan);
            return;
        }
        bool isWhole = IsWholeLines(to, length) && !Overlaps(to, from, length);
        bool isPast = isWhole ? plan.IsNonTemporal((long)length) : plan.IsNonTemporalMixed((long)length);
        if (isPast && IsWholeLines(to, length)) CopyLines(to, from, length, plan);
        else if (!isPast && length <= CopySource.BlockBytes) CopyMiddle(to, from, length, plan);
        else CopyLong(to, CopySource.Bytes(from), length, plan, isPast);
    }

    /// <summary>Stores one byte over and over.</summary>
    public void Fill(byte* to, byte value, nuint length, CopyPlan plan)
    {
        bool isWhole = IsWholeLines(to, length);
        bool isPast = isWhole ? plan.IsNonTemporal((long)length) : plan.IsNonTemporalMixed((long)length);
        if (length <= LineSplit.LineBytes && !isPast) FillShort(to, value, length, plan);
        else if (isPast && isWhole) FillLines(to, value, length, plan);
        else FillLong(to, value, length, plan, isPast);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsWholeLines(byte* to, nuint length) => (((nuint)to | length) & (LineSplit.LineBytes - 1)) == 0;

    /// <summary>Whether the two ranges, neither empty, share a byte.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Overlaps(byte* to, byte* from, nuint length) =>
        (nuint)to - (nuint)from < length || (nuint)from - (nuint)to < length;

    // The common ways are small methods without a stack frame to speak of: every store before a fence is one more that
    // the fence waits for.

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CopyLines(byte* to, byte* from, nuint length, CopyPlan plan)
    {
        var source = CopySource.Bytes(from);
        CopyLinesNonTemporal(to, source, 0, length, source.MustGoBackwards(to, length), plan);
        if (plan.Fences) _machine.Fence();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void FillLines(byte* to, byte value, nuint length, CopyPlan plan)
    {
        if (plan.VectorBits == 512) CopyKernels.FillLines<NonTemporal512>(to, value, length);
        else if (plan.VectorBits == 256) CopyKernels.FillLines<NonTemporal256>(to, value, length);
        else CopyKernels.FillLines<NonTemporal128>(to, value, length);
        if (plan.Fences) _machine.Fence();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CopyShort(byte* to, byte* from, nuint length, CopyPlan plan)
    {
        CopyKernels.Short(to, from, length);
        Finish(to, length, plan, plan.Fences);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CopyMiddle(byte* to, byte* from, nuint length, CopyPlan plan)
    {
        if (length <= LineSplit.LineBytes) CopyKernels.Short(to, from, length);
        else CopyKernels.Middle(to, from, length);
        Finish(to, length, plan, plan.Fences);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void FillShort(byte* to, byte value, nuint length, CopyPlan plan)
    {
        CopyKernels.ShortFill(to, value, length);
        Finish(to, length, plan, plan.Fences);
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void FillLong(byte* to, byte value, nuint length, CopyPlan plan, bool isPast)
    {
        byte* block = stackalloc byte[(int)CopySource.BlockBytes];
        new Span<byte>(block, (int)CopySource.BlockBytes).Fill(value);
        if (!isPast && length <= CopySource.BlockBytes) CopyMiddle(to, block, length, plan);
        else CopyLong(to, CopySource.Pattern(block), length, plan, isPast);
    }

    private void CopyLong(byte* to, CopySource from, nuint length, CopyPlan plan, bool isPast)
    {
        LineSplit split = LineSplit.Of((nuint)to, length);
        if (!isPast || (split.Lines == 0 && !plan.HasNonTemporalEdges)) CopyTemporal(to, from, length, plan);
        else if (from.MustGoBackwards(to, length)) CopyNonTemporalBackwards(to, from, split, plan);
        else if (plan.HasNonTemporalEdges) CopyNonTemporalEdges(to, from, split, plan);
        else CopyNonTemporal(to, from, split, plan);
    }

    private void CopyTemporal(byte* to, CopySource from, nuint length, CopyPlan plan)
    {
        // The loop below fences with its last piece, and no bytes have none.
        if (length == 0 && plan.Fences) _machine.Fence();
        bool isBackwards = from.MustGoBackwards(to, length);
        // Pieces end where lines end, so that no line is in two pieces.
        nuint first = Math.Min(PieceBytes - (nuint)to % PieceBytes, length);
        nuint done = 0;
        while (done < length)
        {
            nuint left = length - done;
            nuint piece = Math.Min(isBackwards ? LastPiece(left, first) : done == 0 ? first : PieceBytes, left);
            nuint offset = isBackwards ? left - piece : done;
            CopyPiece(to, from, offset, piece, isBackwards, plan);
            done += piece;
            Finish(to + offset, piece, plan, plan.Fences && done == length);
        }
    }

    /// <summary>The length of the last piece of what is left, where the first piece has this length.</summary>
    private static nuint LastPiece(nuint left, nuint first) =>
        left <= first ? left : (left - first) % PieceBytes is var rest and not 0 ? rest : PieceBytes;

    private static void CopyPiece(byte* to, CopySource from, nuint offset, nuint length, bool isBackwards, CopyPlan plan)
    {
        LineSplit split = LineSplit.Of((nuint)(to + offset), length);
        nuint lines = offset + split.Head, tail = offset + length - split.Tail;
        if (isBackwards) CopyKernels.Short(to + tail, from.At(tail), split.Tail);
        else CopyKernels.Short(to + offset, from.At(offset), split.Head);
        switch (plan.VectorBits)
        {
            case 512: Lines<Temporal512>(to, from, lines, split.Lines, isBackwards); break;
            case 256: Lines<Temporal256>(to, from, lines, split.Lines, isBackwards); break;
            default: Lines<Temporal128>(to, from, lines, split.Lines, isBackwards); break;
        }
        if (isBackwards) CopyKernels.Short(to + offset, from.At(offset), split.Head);
        else CopyKernels.Short(to + tail, from.At(tail), split.Tail);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CopyNonTemporal(byte* to, CopySource from, LineSplit split, CopyPlan plan)
    {
        nuint tail = split.Head + split.Lines;
        if (split.Head != 0)
        {
            CopyKernels.Short(to, from.At(0), split.Head);
            if (plan.WritesBack) _machine.WriteBack((nint)to & ~_lineMask, (nint)(to + split.Head));
        }
        CopyLinesNonTemporal(to, from, split.Head, split.Lines, false, plan);
        CopyKernels.Short(to + tail, from.At(tail), split.Tail);
        Finish(to + tail, split.Tail, plan, plan.Fences);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CopyNonTemporalEdges(byte* to, CopySource from, LineSplit split, CopyPlan plan)
    {
        nuint tail = split.Head + split.Lines;
        Edge(to, from.At(0), split.Head, plan, isFenced: false);
        CopyLinesNonTemporal(to, from, split.Head, split.Lines, false, plan);
        Edge(to + tail, from.At(tail), split.Tail, plan, plan.Fences);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CopyNonTemporalBackwards(byte* to, CopySource from, LineSplit split, CopyPlan plan)
    {
        nuint tail = split.Head + split.Lines;
        Edge(to + tail, from.At(tail), split.Tail, plan, isFenced: false);
        CopyLinesNonTemporal(to, from, split.Head, split.Lines, true, plan);
        Edge(to, from.At(0), split.Head, plan, plan.Fences);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void CopyLinesNonTemporal(byte* to, CopySource from, nuint offset, nuint length, bool isBackwards, CopyPlan plan)
    {
        if (plan.VectorBits == 512) Lines<NonTemporal512>(to, from, offset, length, isBackwards);
        else if (plan.VectorBits == 256) Lines<NonTemporal256>(to, from, offset, length, isBackwards);
        else Lines<NonTemporal128>(to, from, offset, length, isBackwards);
    }

    /// <summary>Less than a line: past the cache as far as the plan and the alignment allow; the rest is written back.</summary>
    private void Edge(byte* to, byte* from, nuint length, CopyPlan plan, bool isFenced)
    {
        nuint temporal = length;
        if (plan.HasNonTemporalEdges && length != 0) temporal = CopyKernels.Words(to, from, length);
        else CopyKernels.Short(to, from, length);
        Finish(to + length - temporal, temporal, plan, isFenced);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Lines<TStore>(byte* to, CopySource from, nuint offset, nuint length, bool isBackwards)
        where TStore : struct, ILineStore
    {
        if (isBackwards) CopyKernels.LinesBackwards<TStore>(to, from, offset, length);
        else CopyKernels.Lines<TStore>(to, from, offset, length);
    }

    /// <summary>What follows a store through the cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Finish(byte* to, nuint length, CopyPlan plan, bool isFenced)
    {
        if (!plan.WritesBack || length == 0)
        {
            if (isFenced) _machine.Fence();
            return;
        }
        nint start = (nint)to & ~_lineMask, end = ((nint)to + (nint)length + _lineMask) & ~_lineMask;
        if (isFenced) _machine.WriteBackAndFence(start, end);
        else _machine.WriteBack(start, end);
    }

    [DoesNotReturn]
    private void ThrowContradiction(PmemCopyOptions how) => throw Failures.OfCopyFlags(
        CopyPlanModule.check(_platform, how) is { IsError: true } refused
            ? refused.ErrorValue
            : Refusal.NewUnknownFlags((int)how));
}
