using System.Runtime.CompilerServices;

namespace Pmem;

/// <content>The mapping as memory that a data structure is written against.</content>
public sealed unsafe partial class PmemMapping : IPersistentMemory
{
    void IPersistentMemory.Read(long offset, Span<byte> destination)
    {
        InFlight slot = Enter(offset, destination.Length);
        new ReadOnlySpan<byte>((byte*)_address + offset, destination.Length).CopyTo(destination);
        slot.Leave();
    }

    byte IPersistentMemory.ReadByte(long offset) => Read<byte>(offset);

    int IPersistentMemory.ReadInt32(long offset) => Read<int>(offset);

    long IPersistentMemory.ReadInt64(long offset) => Read<long>(offset);

    void IPersistentMemory.Store(long offset, ReadOnlySpan<byte> bytes, string file, int line) =>
        Write(offset, bytes, PmemCopyOptions.NoFlush);

    void IPersistentMemory.StoreByte(long offset, byte value, string file, int line) => Store(offset, value);

    void IPersistentMemory.StoreInt32(long offset, int value, string file, int line) => Store(offset, value);

    void IPersistentMemory.StoreInt64(long offset, long value, string file, int line) => Store(offset, value);

    void IPersistentMemory.StoreNonTemporal(long offset, ReadOnlySpan<byte> bytes, string file, int line) =>
        Write(offset, bytes, PmemCopyOptions.NonTemporal | PmemCopyOptions.NoDrain);

    void IPersistentMemory.Flush(long offset, long length, string file, int line) => Flush(offset, length);

    void IPersistentMemory.Drain(string file, int line) => Drain();

    void IPersistentMemory.Persist(long offset, long length, string file, int line) => Persist(offset, length);

    void IPersistentMemory.Acknowledge(long operation, string file, int line) => ThrowIfClosed();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Store<T>(long offset, T value) where T : unmanaged
    {
        ThrowIfReadOnly();
        InFlight slot = Enter(offset, sizeof(T));
        // SAFETY: the range was checked, the mapping is writable, and nothing is unmapped until the slot is left. One store instruction: an aligned word is never torn.
        Unsafe.WriteUnaligned((byte*)_address + offset, value);
        slot.Leave();
    }
}
