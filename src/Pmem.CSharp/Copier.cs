using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Pmem.Core;

namespace Pmem;

/// <summary>
/// Copies to memory of one granularity as the core's <see cref="CopyPlan"/> says. All plans are made here in advance, one for
/// each set of flags: a copy looks its own up and compares its length with the threshold. Nothing is allocated.
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
    private readonly nint _pageMask;

    public Copier(Machine machine, Platform platform, StoreGranularity granularity)
    {
        _machine = machine;
        _platform = platform;
        _lineMask = (nint)(platform.LineSizeBytes - 1);
        _pageMask = (nint)(platform.PageSizeBytes - 1);
        for (int flags = 0; flags < FlagSets; flags++)
            if (CopyPlanModule.decide(platform, granularity, (PmemCopy)flags) is Decision<CopyPlan>.Accepted accepted)
                _plans[flags] = accepted.Value;
    }

    /// <summary>The plan for these flags.</summary>
    /// <exception cref="ArgumentException">The flags exclude each other, or are not all known.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public CopyPlan PlanOf(PmemCopy how)
    {
        CopyPlan?[] plans = _plans;
        if ((uint)how < (uint)plans.Length && plans[(int)how] is CopyPlan plan) return plan;
        ThrowContradiction(how);
        return null;
    }

    /// <summary>Copies; the ranges may overlap. 0, or the error number of msync.</summary>
    public int Move(byte* to, byte* from, nuint length, CopyPlan plan)
    {
        bool isPast = plan.IsNonTemporalOverlap((long)length)
            || (plan.IsNonTemporal((long)length) && !Overlaps(to, from, length));
        if (isPast && IsWholeLines(to, length)) return CopyLines(to, from, length, plan);
        if (length <= LineSplit.LineBytes && !plan.HasNonTemporalEdges) return CopyShort(to, from, length, plan);
        return CopyLong(to, CopySource.Bytes(from), length, plan, isPast);
    }

    /// <summary>Stores one byte over and over. 0, or the error number of msync.</summary>
    public int Fill(byte* to, byte value, nuint length, CopyPlan plan)
    {
        bool isPast = plan.IsNonTemporal((long)length);
        if (isPast && IsWholeLines(to, length)) return FillLines(to, value, length, plan);
        if (length <= LineSplit.LineBytes && !plan.HasNonTemporalEdges) return FillShort(to, value, length, plan);
        return FillLong(to, value, length, plan, isPast);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool IsWholeLines(byte* to, nuint length) => (((nuint)to | length) & (LineSplit.LineBytes - 1)) == 0;

    /// <summary>Whether the two ranges, neither empty, share a byte.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Overlaps(byte* to, byte* from, nuint length) =>
        (nuint)to - (nuint)from < length || (nuint)from - (nuint)to < length;

    // The four common ways are small methods without a stack frame to speak of: every store before a fence is one more that
    // the fence waits for.

    [MethodImpl(MethodImplOptions.NoInlining)]
    private int CopyLines(byte* to, byte* from, nuint length, CopyPlan plan)
    {
        var source = CopySource.Bytes(from);
        CopyLinesNonTemporal(to, source, 0, length, source.MustGoBackwards(to, length), plan);
        if (plan.Fences) _machine.Fence();
        return 0;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private int FillLines(byte* to, byte value, nuint length, CopyPlan plan)
    {
        if (plan.VectorBits == 512) CopyKernels.FillLines<NonTemporal512>(to, value, length);
        else if (plan.VectorBits == 256) CopyKernels.FillLines<NonTemporal256>(to, value, length);
        else CopyKernels.FillLines<NonTemporal128>(to, value, length);
        if (plan.Fences) _machine.Fence();
        return 0;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private int CopyShort(byte* to, byte* from, nuint length, CopyPlan plan)
    {
        CopyKernels.Short(to, from, length);
        return FinishShort(to, length, plan);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private int FillShort(byte* to, byte value, nuint length, CopyPlan plan)
    {
        CopyKernels.ShortFill(to, value, length);
        return FinishShort(to, length, plan);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int FinishShort(byte* to, nuint length, CopyPlan plan)
    {
        Finish(to, length, plan, plan.Fences);
        return plan.SyncsPages ? SyncPages((nint)to, (nint)length) : 0;
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.NoInlining)]
    private int FillLong(byte* to, byte value, nuint length, CopyPlan plan, bool isPast)
    {
        byte* block = stackalloc byte[(int)CopySource.BlockBytes];
        new Span<byte>(block, (int)CopySource.BlockBytes).Fill(value);
        return CopyLong(to, CopySource.Pattern(block), length, plan, isPast);
    }

    private int CopyLong(byte* to, CopySource from, nuint length, CopyPlan plan, bool isPast)
    {
        LineSplit split = LineSplit.Of((nuint)to, length);
        if (!isPast || (split.Lines == 0 && !plan.HasNonTemporalEdges)) CopyTemporal(to, from, length, plan);
        else if (from.MustGoBackwards(to, length)) CopyNonTemporalBackwards(to, from, split, plan);
        else if (plan.HasNonTemporalEdges) CopyNonTemporalEdges(to, from, split, plan);
        else CopyNonTemporal(to, from, split, plan);
        return plan.SyncsPages ? SyncPages((nint)to, (nint)length) : 0;
    }

    private void CopyTemporal(byte* to, CopySource from, nuint length, CopyPlan plan)
    {
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
        nint start = (nint)to & ~_lineMask, end = ((nint)to + (nint)length + _lineMask) & ~_lineMask;
        if (!plan.WritesBack || length == 0)
        {
            if (isFenced) _machine.Fence();
        }
        else if (isFenced) _machine.WriteBackAndFence(start, end);
        else _machine.WriteBack(start, end);
    }

    private int SyncPages(nint start, nint length) =>
        length == 0 ? 0 : _machine.SyncPages(start & ~_pageMask, (start + length + _pageMask) & ~_pageMask);

    [DoesNotReturn]
    private void ThrowContradiction(PmemCopy how) => throw Failures.OfCopyFlags(
        CopyPlanModule.check(_platform, how) is Decision<Microsoft.FSharp.Core.Unit>.Refused refused
            ? refused.Reason
            : Refusal.NewUnknownFlags((int)how));
}
