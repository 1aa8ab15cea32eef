using System.Runtime.CompilerServices;

namespace Pmem;

/// <summary>Copies to memory of one granularity as the core's <see cref="CopyPlan"/> says, and completes as it says.</summary>
internal abstract unsafe class Copier
{
    /// <summary>Copies; the ranges may overlap.</summary>
    /// <returns>What the caller must throw once it has left the mapping; null where all went well.</returns>
    public abstract Exception? Move(byte* to, byte* from, nuint length, CopyPlan plan);

    /// <summary>Stores one byte over and over.</summary>
    /// <inheritdoc cref="Move"/>
    public abstract Exception? Fill(byte* to, byte value, nuint length, CopyPlan plan);
}

/// <summary>
/// The copier of one width of vectors and one machine, both type arguments: nothing is decided for a copy but what its length
/// and alignment decide. Where the plan has msync follow, that is the page persister's to do.
/// </summary>
/// <typeparam name="TThrough">Lines through the cache.</typeparam>
/// <typeparam name="TPast">Lines past the cache.</typeparam>
/// <typeparam name="TLines">The instructions that follow.</typeparam>
internal sealed unsafe class Copier<TThrough, TPast, TLines>(TLines lines, long lineMask) : Copier
    where TThrough : struct, ILineStore where TPast : struct, ILineStore where TLines : struct, ILineInstructions
{
    /// <summary>What is stored through the cache is written back in pieces, while it is still there.</summary>
    private const nuint PieceBytes = 4096;

    private readonly TLines _lines = lines;
    private readonly long _lineMask = lineMask;

    public override Exception? Move(byte* to, byte* from, nuint length, CopyPlan plan)
    {
        if (length <= LineSplit.LineBytes && !plan.IsNonTemporal((long)length)) return CopyShort(to, from, length, plan);
        bool isWhole = IsWholeLines(to, length) && !Overlaps(to, from, length);
        bool isPast = isWhole ? plan.IsNonTemporal((long)length) : plan.IsNonTemporalMixed((long)length);
        if (isPast && IsWholeLines(to, length)) return CopyLines(to, from, length, plan);
        return !isPast && CopyKernels.IsMiddle(length)
            ? CopyMiddle(to, from, length, plan)
            : CopyLong(to, CopySource.Bytes(from), length, plan, isPast);
    }

    public override Exception? Fill(byte* to, byte value, nuint length, CopyPlan plan)
    {
        bool isWhole = IsWholeLines(to, length);
        bool isPast = isWhole ? plan.IsNonTemporal((long)length) : plan.IsNonTemporalMixed((long)length);
        if (length <= LineSplit.LineBytes && !isPast) return FillShort(to, value, length, plan);
        return isPast && isWhole ? FillLines(to, value, length, plan) : FillLong(to, value, length, plan, isPast);
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
    private Exception? CopyLines(byte* to, byte* from, nuint length, CopyPlan plan)
    {
        var source = CopySource.Bytes(from);
        Lines<TPast>(to, source, 0, length, source.MustGoBackwards(to, length));
        if (plan.Fences) _lines.Fence();
        return null;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private Exception? FillLines(byte* to, byte value, nuint length, CopyPlan plan)
    {
        CopyKernels.FillLines<TPast>(to, value, length);
        if (plan.Fences) _lines.Fence();
        return null;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private Exception? CopyShort(byte* to, byte* from, nuint length, CopyPlan plan)
    {
        CopyKernels.Short(to, from, length);
        Finish(to, length, plan, plan.Fences);
        return null;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private Exception? CopyMiddle(byte* to, byte* from, nuint length, CopyPlan plan)
    {
        if (length <= LineSplit.LineBytes) CopyKernels.Short(to, from, length);
        else CopyKernels.Middle(to, from, length);
        Finish(to, length, plan, plan.Fences);
        return null;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private Exception? FillShort(byte* to, byte value, nuint length, CopyPlan plan)
    {
        CopyKernels.ShortFill(to, value, length);
        Finish(to, length, plan, plan.Fences);
        return null;
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.NoInlining)]
    private Exception? FillLong(byte* to, byte value, nuint length, CopyPlan plan, bool isPast)
    {
        byte* block = stackalloc byte[(int)CopySource.BlockBytes];
        new Span<byte>(block, (int)CopySource.BlockBytes).Fill(value);
        return !isPast && CopyKernels.IsMiddle(length)
            ? CopyMiddle(to, block, length, plan)
            : CopyLong(to, CopySource.Pattern(block), length, plan, isPast);
    }

    private Exception? CopyLong(byte* to, CopySource from, nuint length, CopyPlan plan, bool isPast)
    {
        LineSplit split = LineSplit.Of((nuint)to, length);
        if (!isPast || (split.Lines == 0 && !plan.HasNonTemporalEdges)) CopyTemporal(to, from, length, plan);
        else if (from.MustGoBackwards(to, length)) CopyNonTemporalBackwards(to, from, split, plan);
        else if (plan.HasNonTemporalEdges) CopyNonTemporalEdges(to, from, split, plan);
        else CopyNonTemporal(to, from, split, plan);
        return null;
    }

    private void CopyTemporal(byte* to, CopySource from, nuint length, CopyPlan plan)
    {
        // The loop below fences with its last piece, and no bytes have none.
        if (length == 0 && plan.Fences) _lines.Fence();
        bool isBackwards = from.MustGoBackwards(to, length);
        // Pieces end where lines end, so that no line is in two pieces.
        nuint first = Math.Min(PieceBytes - (nuint)to % PieceBytes, length);
        nuint done = 0;
        while (done < length)
        {
            nuint left = length - done;
            nuint piece = Math.Min(isBackwards ? LastPiece(left, first) : done == 0 ? first : PieceBytes, left);
            nuint offset = isBackwards ? left - piece : done;
            CopyPiece(to, from, offset, piece, isBackwards);
            done += piece;
            Finish(to + offset, piece, plan, plan.Fences && done == length);
        }
    }

    /// <summary>The length of the last piece of what is left, where the first piece has this length.</summary>
    private static nuint LastPiece(nuint left, nuint first) =>
        left <= first ? left : (left - first) % PieceBytes is var rest and not 0 ? rest : PieceBytes;

    private static void CopyPiece(byte* to, CopySource from, nuint offset, nuint length, bool isBackwards)
    {
        LineSplit split = LineSplit.Of((nuint)(to + offset), length);
        nuint lines = offset + split.Head, tail = offset + length - split.Tail;
        if (isBackwards) CopyKernels.Short(to + tail, from.At(tail), split.Tail);
        else CopyKernels.Short(to + offset, from.At(offset), split.Head);
        Lines<TThrough>(to, from, lines, split.Lines, isBackwards);
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
            Finish(to, split.Head, plan, isFenced: false);
        }
        Lines<TPast>(to, from, split.Head, split.Lines, isBackwards: false);
        CopyKernels.Short(to + tail, from.At(tail), split.Tail);
        Finish(to + tail, split.Tail, plan, plan.Fences);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CopyNonTemporalEdges(byte* to, CopySource from, LineSplit split, CopyPlan plan)
    {
        nuint tail = split.Head + split.Lines;
        Edge(to, from.At(0), split.Head, plan, isFenced: false);
        Lines<TPast>(to, from, split.Head, split.Lines, isBackwards: false);
        Edge(to + tail, from.At(tail), split.Tail, plan, plan.Fences);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CopyNonTemporalBackwards(byte* to, CopySource from, LineSplit split, CopyPlan plan)
    {
        nuint tail = split.Head + split.Lines;
        Edge(to + tail, from.At(tail), split.Tail, plan, isFenced: false);
        Lines<TPast>(to, from, split.Head, split.Lines, isBackwards: true);
        Edge(to, from.At(0), split.Head, plan, plan.Fences);
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
            if (isFenced) _lines.Fence();
            return;
        }
        nint start = (nint)Units.down(_lineMask, (nint)to), end = (nint)Units.up(_lineMask, (nint)to + (nint)length);
        if (isFenced) _lines.WriteBackAndFence(start, end);
        else _lines.WriteBack(start, end);
    }
}
