namespace Pmem.Testing;

/// <summary>
/// A mapping as memory that a data structure is written against, with a trace of what happened: the stores, and in between
/// the very instructions that the executor issued on this machine for the flushes and drains.
/// </summary>
internal sealed class TracedMemory(Observed observed) : IPersistentMemory
{
    private readonly IPersistentMemory _memory = observed.Mapping;
    private readonly List<RecordedEvent> _trace = [];

    public IReadOnlyList<RecordedEvent> Trace => _trace;

    public long Length => _memory.Length;

    public void Read(long offset, Span<byte> destination, SourceLine source) => _memory.Read(offset, destination, source);

    public void Store(long offset, ReadOnlySpan<byte> bytes, SourceLine source)
    {
        _memory.Store(offset, bytes, source);
        Add(PersistEvent.NewStore(offset, bytes.ToArray()), source);
    }

    public void StoreNonTemporal(long offset, ReadOnlySpan<byte> bytes, SourceLine source)
    {
        _memory.StoreNonTemporal(offset, bytes, source);
        Add(PersistEvent.NewStoreNonTemporal(offset, bytes.ToArray()), source);
        AddIssued(source);
    }

    public long CompareExchange(long offset, long value, long comparand, SourceLine source)
    {
        long before = _memory.CompareExchange(offset, value, comparand, source);
        Add(PersistEvent.NewExecute(Instruction.Fence), source);
        if (before == comparand) Add(PersistEvent.NewStore(offset, BitConverter.GetBytes(value)), source);
        return before;
    }

    public void Flush(long offset, long length, SourceLine source)
    {
        _memory.Flush(offset, length, source);
        AddIssued(source);
    }

    public void Drain(SourceLine source)
    {
        _memory.Drain(source);
        AddIssued(source);
    }

    public void Persist(long offset, long length, SourceLine source)
    {
        _memory.Persist(offset, length, source);
        AddIssued(source);
    }

    public void Acknowledge(long operation, SourceLine source) => Add(PersistEvent.NewAcknowledge(operation), source);

    private void AddIssued(SourceLine source)
    {
        foreach (Instruction instruction in observed.Take()) Add(PersistEvent.NewExecute(instruction), source);
    }

    private void Add(PersistEvent what, SourceLine source) => _trace.Add(new RecordedEvent(what, source));
}
