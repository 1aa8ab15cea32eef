using System.Runtime.CompilerServices;

namespace Pmem;

/// <summary>
/// Where a copy reads: at its own position (a move), or always in the same bytes (a fill). So one kernel does both.
/// </summary>
internal readonly unsafe struct CopySource
{
    /// <summary>How much is read at once.</summary>
    public const nuint BlockBytes = 4 * LineSplit.LineBytes;

    private readonly byte* _start;
    private readonly nuint _mask;

    private CopySource(byte* start, nuint mask)
    {
        _start = start;
        _mask = mask;
    }

    public static CopySource Bytes(byte* start) => new(start, nuint.MaxValue);

    /// <summary>A block of bytes with the same value.</summary>
    public static CopySource Pattern(byte* block) => new(block, 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* At(nuint offset) => _start + (offset & _mask);

    /// <summary>Whether the destination lies in the source and behind its start: then the end must be copied first.</summary>
    public bool MustGoBackwards(byte* to, nuint length) => (nuint)to - (nuint)_start < length && _mask != 0;
}

/// <summary>A destination cut at its cache lines, in bytes: before the first whole line, whole lines, after the last.</summary>
internal readonly record struct LineSplit(nuint Head, nuint Lines, nuint Tail)
{
    public const nuint LineBytes = 64;

    /// <summary>Of a destination without a whole line all is head, up to the line's end, and tail.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LineSplit Of(nuint address, nuint length)
    {
        nuint head = Math.Min((nuint)(-(nint)address) & (LineBytes - 1), length);
        nuint rest = length - head;
        nuint tail = rest & (LineBytes - 1);
        return new LineSplit(head, rest - tail, tail);
    }
}
