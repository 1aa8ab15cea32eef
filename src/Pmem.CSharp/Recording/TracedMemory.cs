using System.Runtime.Versioning;
using Pmem.Linux;

namespace Pmem;

/// <summary>
/// A file in memory that a data structure is written against, with a trace of what happened: the stores, and in between
/// the very instructions that this machine executed for the flushes and drains.
/// </summary>
/// <remarks>
/// <para>Check the trace with <see cref="CrashCheck.RunTrace"/>. Recorded are the members of this class alone, in the order in which
/// they are called, from one thread at a time; the trace has every stored byte and grows until it is disposed of.</para>
/// <para>Offsets and lengths are in bytes; errors are those of <see cref="PmemMapping"/>. What fails is not in the trace.</para>
/// <para>Not promised: the same trace on another machine, where other instructions make stores durable.</para>
/// </remarks>
public sealed class TracedMemory : IPersistentMemory, IDisposable
{
    private readonly PmemMapping _mapping;
    private readonly IPersistentMemory _memory;
    private readonly RecordingMachine _recorder;
    private readonly List<RecordedEvent> _trace = [];

    internal TracedMemory(PmemMapping mapping, RecordingMachine recorder) => (_mapping, _memory, _recorder) = (mapping, mapping, recorder);

    /// <summary>Makes a file and maps it, as <see cref="PmemMapping.Create(string, long, PmemCreateOptions?)"/> does.</summary>
    /// <param name="path">The file, which must not exist.</param>
    /// <param name="lengthBytes">Its length, in bytes.</param>
    /// <exception cref="PmemException">The system refuses.</exception>
    [SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
    public static TracedMemory Create(string path, long lengthBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(lengthBytes);
        return Over(FileMapper.Map(PmemCreateOptions.Default.ForPath(PmemMapping.Checked(path), lengthBytes)));
    }

    /// <summary>Maps a file that exists, whole.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="PmemException">The system refuses.</exception>
    [SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
    public static TracedMemory Open(string path) =>
        Over(FileMapper.Map(PmemOpenOptions.Default.For(new FileRequest(PmemMapping.Checked(path)))));

    private static TracedMemory Over(MappedFile file)
    {
        var recorder = new RecordingMachine(file.Info.Facts.Platform, isPassedOn: true) { BaseAddress = file.Address };
        return new TracedMemory(new PmemMapping(file, recorder.PersisterFor(file, Sysfs.Machine)), recorder);
    }

    /// <summary>What happened so far, in program order; it grows with each call.</summary>
    public IReadOnlyList<RecordedEvent> Trace => _trace;

    /// <inheritdoc/>
    public long Length => _memory.Length;

    /// <summary>Unmaps. The trace stays.</summary>
    public void Dispose() => _mapping.Dispose();

    /// <inheritdoc/>
    public void Read(long offset, Span<byte> destination, SourceLine source) => _memory.Read(offset, destination, source);

    /// <inheritdoc/>
    public void Store(long offset, ReadOnlySpan<byte> bytes, SourceLine source)
    {
        _memory.Store(offset, bytes, source);
        Add(PersistEvent.NewStore(offset, bytes.ToArray()), source);
    }

    /// <inheritdoc/>
    public void StoreNonTemporal(long offset, ReadOnlySpan<byte> bytes, SourceLine source)
    {
        _memory.StoreNonTemporal(offset, bytes, source);
        Add(PersistEvent.NewStoreNonTemporal(offset, bytes.ToArray()), source);
        AddIssued(source);
    }

    /// <inheritdoc/>
    public long CompareExchange(long offset, long value, long comparand, SourceLine source)
    {
        long before = _memory.CompareExchange(offset, value, comparand, source);
        Add(PersistEvent.NewExecute(Instruction.Fence), source);
        if (before == comparand) Add(PersistEvent.NewStore(offset, BitConverter.GetBytes(value)), source);
        return before;
    }

    /// <inheritdoc/>
    public void Flush(long offset, long length, SourceLine source)
    {
        _memory.Flush(offset, length, source);
        AddIssued(source);
    }

    /// <inheritdoc/>
    public void Drain(SourceLine source)
    {
        _memory.Drain(source);
        AddIssued(source);
    }

    /// <inheritdoc/>
    public void Persist(long offset, long length, SourceLine source)
    {
        _memory.Persist(offset, length, source);
        AddIssued(source);
    }

    /// <inheritdoc/>
    public void Acknowledge(long operation, SourceLine source) => Add(PersistEvent.NewAcknowledge(operation), source);

    private void AddIssued(SourceLine source)
    {
        foreach (Instruction instruction in _recorder.Take()) Add(PersistEvent.NewExecute(instruction), source);
    }

    private void Add(PersistEvent what, SourceLine source) => _trace.Add(new RecordedEvent(what, source));
}
