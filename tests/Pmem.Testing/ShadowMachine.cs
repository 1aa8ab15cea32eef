using Pmem.Linux;

namespace Pmem.Testing;

/// <summary>
/// A machine that keeps what a power failure would leave: a write-back takes lines along as they are at that moment, a fence
/// makes durable what was taken. So it notices what a list of instructions cannot show: that bytes were stored too late.
/// </summary>
internal sealed unsafe class ShadowMachine : IDisposable, IPageSync
{
    private readonly GuardedMemory _memory;
    private readonly List<(int Offset, byte[] Bytes)> _taken = [];
    private readonly List<byte[]> _states = [];

    public ShadowMachine(int lengthBytes, Platform platform, MappingKind kind)
    {
        _memory = new GuardedMemory(lengthBytes);
        Durable = new byte[_memory.Length];
        AtFence = new byte[_memory.Length];
        var facts = new MappingFacts("shadow", new ByteRange(0, _memory.Length), kind, false, Doubles.DomainOf(platform), platform);
        var file = new MappedFile(_memory.Give(), MappingInfo.Decide(facts).ValueOrThrow("shadow"), default);
        Mapping = new PmemMapping(file, Persister.For(file, new ShadowLines(this), this, new Sysfs("/nowhere")));
    }

    public PmemMapping Mapping { get; }

    public Span<byte> Memory => _memory.Span;

    /// <summary>What was written back, or synced, and then waited for.</summary>
    public byte[] Durable { get; }

    /// <summary>All of the memory at the last fence: what is stored past the cache is durable when it is in here.</summary>
    public byte[] AtFence { get; private set; }

    /// <summary>What was durable after each fence and each sync, in turn.</summary>
    public IReadOnlyList<byte[]> States => _states;

    /// <summary>Forgets the past; what is in memory is durable.</summary>
    public void Begin()
    {
        Memory.CopyTo(Durable);
        AtFence = Memory.ToArray();
        _taken.Clear();
        _states.Clear();
    }

    public int Sync(nint start, nint end)
    {
        Take(start, end);
        Settle();
        return 0;
    }

    public void Dispose()
    {
        Mapping.Dispose();
        _memory.Dispose();
    }

    internal void Take(nint start, nint end)
    {
        int offset = (int)(start - _memory.Address);
        _taken.Add((offset, Memory[offset..(int)(end - _memory.Address)].ToArray()));
    }

    internal void Settle()
    {
        foreach ((int offset, byte[] bytes) in _taken) bytes.CopyTo(Durable, offset);
        _taken.Clear();
        AtFence = Memory.ToArray();
        _states.Add([.. Durable]);
    }
}

/// <summary>The machine as a type argument.</summary>
internal readonly struct ShadowLines(ShadowMachine machine) : ILineInstructions
{
    public void WriteBack(nint start, nint end) => machine.Take(start, end);

    public void WriteBackAndFence(nint start, nint end)
    {
        machine.Take(start, end);
        machine.Settle();
    }

    public void DeepWriteBack(nint start, nint end) => machine.Take(start, end);

    public void Fence() => machine.Settle();
}
