namespace Pmem.Benchmarks;

/// <summary>One turn at a place: a type argument of the loop around it, so that the loop makes no call of its own.</summary>
internal unsafe interface ITurn
{
    /// <param name="at">Where to, in the mapping, in bytes.</param>
    /// <param name="from">Where from; it moves along with the destination.</param>
    void Go(long at, byte* from);
}

internal readonly unsafe struct OurWrite(PmemMapping map, int size) : ITurn
{
    public void Go(long at, byte* from) => map.Write(at, new ReadOnlySpan<byte>(from, size));
}

internal readonly unsafe struct OurFill(PmemMapping map, int size) : ITurn
{
    public void Go(long at, byte* from) => map.Fill(at, size, 0x5A);
}

internal readonly unsafe struct OurPersist(PmemMapping map, int size) : ITurn
{
    public void Go(long at, byte* from)
    {
        map.Store(at, *(long*)from);
        map.Persist(at, size);
    }
}

/// <summary>Ordinary stores to a span of the mapping, then a persist.</summary>
internal readonly unsafe struct OurSpan(PmemMapping map, int size) : ITurn
{
    public void Go(long at, byte* from)
    {
        new ReadOnlySpan<byte>(from, size).CopyTo(map.GetSpan(at, size));
        map.Persist(at, size);
    }
}

internal readonly unsafe struct OurPointer(byte* to, int size) : ITurn
{
    public void Go(long at, byte* from) => LibPmem.MemCpyPersist(to + at, from, (nuint)size);
}

internal readonly unsafe struct TheirWrite(byte* to, int size) : ITurn
{
    public void Go(long at, byte* from) => NativeLibPmem.MemCpyPersist(to + at, from, (nuint)size);
}

internal readonly unsafe struct TheirFill(byte* to, int size) : ITurn
{
    public void Go(long at, byte* from) => NativeLibPmem.MemSetPersist(to + at, 0x5A, (nuint)size);
}

internal readonly unsafe struct TheirPersist(byte* to, int size) : ITurn
{
    public void Go(long at, byte* from)
    {
        *(long*)(to + at) = *(long*)from;
        NativeLibPmem.Persist(to + at, (nuint)size);
    }
}

/// <summary>Up by half of its length, over its own upper half.</summary>
internal readonly struct OurMove(PmemMapping map, int size) : ITurn
{
    public unsafe void Go(long at, byte* from) => map.Move(at + size / 2, at, size);
}

internal readonly unsafe struct TheirMove(byte* to, int size) : ITurn
{
    public void Go(long at, byte* from) => NativeLibPmem.MemMovePersist(to + at + size / 2, to + at, (nuint)size);
}

/// <summary>The machine code alone.</summary>
internal readonly unsafe struct Bare(BareCode code, byte* to) : ITurn
{
    public void Go(long at, byte* from) => code.Copy(to + at, from);
}

/// <summary>Where the next turn goes.</summary>
internal interface IPath
{
    long First { get; }

    long Next(long at);
}

/// <summary>One record behind the other in so many bytes from an offset on, and from its start again.</summary>
internal readonly struct Along(long size, long withinBytes, long from = 0) : IPath
{
    public long First => from;

    public long Next(long at) => at - from + 2 * size <= withinBytes ? at + size : from;
}

/// <summary>Any line of so many bytes, a power of two: Knuth's MMIX generator, of which the upper bits are taken.</summary>
internal struct Anywhere(long withinBytes) : IPath
{
    private ulong _state = 1;

    public readonly long First => 0;

    public long Next(long at)
    {
        _state = _state * 6364136223846793005 + 1442695040888963407;
        return (long)(_state >> 24) & (withinBytes - 64);
    }
}

/// <summary>Where the sides of a contest are: each goes on where the other stopped, so none meets what the other left in the caches.</summary>
internal sealed unsafe class Track<TPath>(TPath path, byte* source, long sourceBytes) where TPath : struct, IPath
{
    private TPath _path = path;
    private long _at = path.First;

    public Action<int> Of<TTurn>(TTurn turn) where TTurn : struct, ITurn => n =>
    {
        (TPath next, long at, long mask) = (_path, _at, sourceBytes - 1);
        for (int i = 0; i < n; i++)
        {
            turn.Go(at, source + (at & mask));
            at = next.Next(at);
        }
        (_path, _at) = (next, at);
    };
}
