using System.Runtime.InteropServices;
using Pmem.Linux;

namespace Pmem.Testing;

/// <summary>Memory between two pages that may not be touched: a copy that strays by one byte ends the process.</summary>
public sealed unsafe class GuardedMemory : IDisposable
{
    private readonly nint _reserved;
    private readonly int _reservedBytes;
    private bool _isGiven;

    /// <param name="lengthBytes">Rounded up to whole pages.</param>
    public GuardedMemory(int lengthBytes)
    {
        int page = Environment.SystemPageSize;
        Length = (lengthBytes + page - 1) / page * page;
        _reservedBytes = Length + 2 * page;
        _reserved = TestMemory.Map(_reservedBytes, isAccessible: false);
        Address = _reserved + page;
        TestMemory.Open(Address, Length);
    }

    public nint Address { get; }

    public int Length { get; }

    public Span<byte> Span => new((void*)Address, Length);

    public bool HasSameBytes(GuardedMemory other) => Span.SequenceEqual(other.Span);

    /// <summary>
    /// To a mapping, which unmaps it. From then on it may be anybody's memory: unmapping it twice takes it from a thread's stack.
    /// </summary>
    public nint Give()
    {
        _isGiven = true;
        return Address;
    }

    public void Dispose()
    {
        if (!_isGiven)
        {
            TestMemory.Unmap(_reserved, _reservedBytes);
            return;
        }
        int page = Environment.SystemPageSize;
        TestMemory.Unmap(_reserved, page);
        TestMemory.Unmap(Address + Length, page);
    }
}

/// <summary>
/// A mapping between guard pages next to an array that is treated the same by Span.CopyTo and Fill. Every operation compares
/// all bytes of both.
/// </summary>
internal sealed class CopyTwin : IDisposable
{
    private readonly GuardedMemory _memory;
    private readonly GuardedMemory _source;
    private readonly byte[] _expected;

    public CopyTwin(int lengthBytes, Platform platform, StoreGranularity granularity, bool isRecorded)
    {
        _memory = new GuardedMemory(lengthBytes);
        _source = new GuardedMemory(lengthBytes);
        MappingKind kind = granularity.IsPage ? MappingKind.PageCache : MappingKind.FileDax;
        var facts = new MappingFacts("twin", new ByteRange(0, _memory.Length), kind, false, Doubles.DomainOf(platform), platform);
        MappingInfo decided = MappingInfo.Decide(facts).ValueOrThrow("twin");
        if (!decided.Granularity.Equals(granularity)) throw new InvalidOperationException($"granularity {decided.Granularity}");
        Recorder = new RecordingMachine(platform) { BaseAddress = _memory.Address };
        var file = new MappedFile(_memory.Give(), decided, default);
        // Where nothing is recorded, the machine's own code runs.
        Mapping = new PmemMapping(
            file, isRecorded ? Recorder.PersisterFor(file, Sysfs.Machine) : ShortCallTesting.PersisterFor(file, Recorder, Sysfs.Machine));
        new Random(7).NextBytes(_memory.Span);
        new Random(8).NextBytes(_source.Span);
        _expected = _memory.Span.ToArray();
    }

    public PmemMapping Mapping { get; }

    public RecordingMachine Recorder { get; }

    public int Length => _memory.Length;

    public Span<byte> Source => _source.Span;

    /// <summary>Copies from outside; whether all bytes are as they should be.</summary>
    public bool Write(int to, int from, int length, PmemCopyOptions how)
    {
        Mapping.Write(to, _source.Span.Slice(from, length), how);
        _source.Span.Slice(from, length).CopyTo(_expected.AsSpan(to));
        return IsEqual();
    }

    /// <summary>Copies from the mapping itself through a span.</summary>
    public bool WriteOwn(int to, int from, int length, PmemCopyOptions how)
    {
        Mapping.Write(to, _memory.Span.Slice(from, length), how);
        _expected.AsSpan(from, length).CopyTo(_expected.AsSpan(to));
        return IsEqual();
    }

    public bool Move(int to, int from, int length, PmemCopyOptions how)
    {
        Mapping.Move(to, from, length, how);
        _expected.AsSpan(from, length).CopyTo(_expected.AsSpan(to));
        return IsEqual();
    }

    public bool Fill(int to, int length, byte value, PmemCopyOptions how)
    {
        Mapping.Fill(to, length, value, how);
        _expected.AsSpan(to, length).Fill(value);
        return IsEqual();
    }

    /// <summary>Every length with every alignment of the destination; the source's alignments in turn, or all of them.</summary>
    /// <returns>What went wrong first; null where nothing did.</returns>
    public string? Sweep(int maxLength, PmemCopyOptions how, int sourceStep)
    {
        for (int length = 0; length <= maxLength; length++)
            for (int to = 0; to < 64; to++)
                for (int i = 0, from = (length * 7 + to * 5) % 64; i < 64; i += sourceStep, from = (from + sourceStep) % 64)
                {
                    // In turn at the start of the memory and at its end, where the next byte may not be touched.
                    bool isAtEnd = (length + to + i) % 2 != 0;
                    int at = isAtEnd ? Length - length - to : to;
                    int source = isAtEnd ? Length - length - from : from;
                    if (!Write(at, source, length, how)) return $"write {at} from {source}, {length} bytes, {how}";
                    if (!Move(at, (at + from - to) & (Length / 2 - 1), length, how)) return $"move {at}, {length} bytes by {from - to}, {how}";
                    if (i == 0 && !Fill(at, length, (byte)(length + to), how)) return $"fill {at}, {length} bytes, {how}";
                }
        return null;
    }

    public void Dispose()
    {
        Mapping.Dispose();
        _memory.Dispose();
        _source.Dispose();
    }

    private bool IsEqual() => _memory.Span.SequenceEqual(_expected);
}

/// <summary>libpmem's copies, as the oracle. They take any memory.</summary>
internal static unsafe partial class NativeLibPmemCopy
{
    private const string Library = "libpmem.so.1";

    [LibraryImport(Library, EntryPoint = "pmem_memmove")]
    public static partial byte* MemMove(byte* destination, byte* source, nuint length, uint flags);

    [LibraryImport(Library, EntryPoint = "pmem_memcpy")]
    public static partial byte* MemCpy(byte* destination, byte* source, nuint length, uint flags);

    [LibraryImport(Library, EntryPoint = "pmem_memset")]
    public static partial byte* MemSet(byte* destination, int value, nuint length, uint flags);

    /// <summary>The same operation on libpmem's memory and on ours; both must return the destination.</summary>
    public static bool Both(GuardedMemory theirs, GuardedMemory ours, CopyKind kind, int to, int from, int length, PmemCopyOptions how)
    {
        byte* their = (byte*)theirs.Address, our = (byte*)ours.Address;
        uint flags = (uint)how;
        nuint bytes = (nuint)length;
        byte* a = kind switch
        {
            CopyKind.Move => MemMove(their + to, their + from, bytes, flags),
            CopyKind.Copy => MemCpy(their + to, their + from, bytes, flags),
            _ => MemSet(their + to, from, bytes, flags),
        };
        byte* b = kind switch
        {
            CopyKind.Move => LibPmem.MemMove(our + to, our + from, bytes, how),
            CopyKind.Copy => LibPmem.MemCpy(our + to, our + from, bytes, how),
            _ => LibPmem.MemSet(our + to, from, bytes, how),
        };
        return a == their + to && b == our + to;
    }
}

public enum CopyKind { Move, Copy, Fill }

/// <summary>A writer that changes words from one value to another, and a reader that must never see a mixture.</summary>
internal static unsafe class TornWords
{
    /// <summary>Writes whole words of equal bytes over and over, while another thread reads all of them this many times.</summary>
    /// <returns>A word that was half written; 0 where none was seen.</returns>
    public static ulong Look(PmemMapping mapping, int lengthBytes, PmemCopyOptions how, int times)
    {
        ulong torn = 0;
        bool isDone = false;
        nint start = (nint)mapping.Pointer;
        var reader = new Thread(() =>
        {
            for (int looked = 0; looked < times && torn == 0; looked++)
                for (int at = 0; at < lengthBytes; at += 8)
                {
                    ulong word = Volatile.Read(ref *(ulong*)(start + at));
                    if (word != (byte)word * 0x0101010101010101UL) torn = word;
                }
            Volatile.Write(ref isDone, true);
        });
        byte[] bytes = new byte[lengthBytes];
        mapping.Write(0, bytes);
        reader.Start();
        for (byte value = 1; !Volatile.Read(ref isDone); value++)
        {
            Array.Fill(bytes, value);
            mapping.Write(0, bytes, how);
            mapping.Fill(0, lengthBytes, (byte)~value, how);
        }
        reader.Join();
        return torn;
    }
}
