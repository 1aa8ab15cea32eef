using System.Buffers.Binary;

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

    public void Read(long offset, Span<byte> destination) => _memory.Read(offset, destination);

    public byte ReadByte(long offset) => _memory.ReadByte(offset);

    public int ReadInt32(long offset) => _memory.ReadInt32(offset);

    public long ReadInt64(long offset) => _memory.ReadInt64(offset);

    public void Store(long offset, ReadOnlySpan<byte> bytes, string file, int line)
    {
        _memory.Store(offset, bytes, file, line);
        Add(PersistEvent.NewStore(offset, bytes.ToArray()), file, line);
    }

    public void StoreByte(long offset, byte value, string file, int line)
    {
        _memory.StoreByte(offset, value, file, line);
        Add(PersistEvent.NewStore(offset, [value]), file, line);
    }

    public void StoreInt32(long offset, int value, string file, int line)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
        _memory.StoreInt32(offset, value, file, line);
        Add(PersistEvent.NewStore(offset, bytes), file, line);
    }

    public void StoreInt64(long offset, long value, string file, int line)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        _memory.StoreInt64(offset, value, file, line);
        Add(PersistEvent.NewStore(offset, bytes), file, line);
    }

    public void StoreNonTemporal(long offset, ReadOnlySpan<byte> bytes, string file, int line)
    {
        _memory.StoreNonTemporal(offset, bytes, file, line);
        Add(PersistEvent.NewStoreNonTemporal(offset, bytes.ToArray()), file, line);
        AddIssued(file, line);
    }

    public void Flush(long offset, long length, string file, int line)
    {
        _memory.Flush(offset, length, file, line);
        AddIssued(file, line);
    }

    public void Drain(string file, int line)
    {
        _memory.Drain(file, line);
        AddIssued(file, line);
    }

    public void Persist(long offset, long length, string file, int line)
    {
        _memory.Persist(offset, length, file, line);
        AddIssued(file, line);
    }

    public void Acknowledge(long operation, string file, int line) =>
        Add(PersistEvent.NewAcknowledge(operation), file, line);

    private void AddIssued(string file, int line)
    {
        foreach (Instruction instruction in observed.Take()) Add(PersistEvent.NewExecute(instruction), file, line);
    }

    private void Add(PersistEvent what, string file, int line) => _trace.Add(new RecordedEvent(what, file, line));
}
