using System.Diagnostics;

namespace Pmem;

/// <summary>
/// The machine of a mapping that records: at each flush, drain and promise it compares the memory with what it last saw, and
/// tells a simulated memory what was stored since then, in no known order, and then what was called for.
/// </summary>
internal sealed class RecordingPersister : Persister
{
    private const int LineBytes = 64, WordBytes = 8;
    private readonly nint _address;
    private readonly byte[] _seen;
    private readonly bool _isOneUnit, _isPageCache;
    private IPersistentMemory? _told;
    private bool _hasSources;

    /// <param name="file">The memory.</param>
    /// <param name="model">Which stores it keeps in order: with eADR all, else at most those to one line.</param>
    public RecordingPersister(MappedFile file, PersistencyModel model)
    {
        _address = file.Address;
        _seen = new byte[file.LengthBytes];
        _isOneUnit = model.IsEadr;
        _isPageCache = model.IsPageCache;
        Copier = new RecordingCopier(this, file.Address);
    }

    public override Copier Copier { get; }

    // SAFETY: the memory is mapped as long as the mapping that this belongs to is not disposed; those who call hold it.
    private unsafe Span<byte> Memory => new((void*)_address, _seen.Length);

    /// <summary>From now on this memory is told; the mapping holds what it holds.</summary>
    public void Begin(IPersistentMemory told, bool hasSources)
    {
        _told = told;
        _hasSources = hasSources;
        told.Read(0, Memory, SourceLine.Unknown);
        Memory.CopyTo(_seen);
    }

    /// <summary>The last stores are told, which nothing made durable.</summary>
    public void End()
    {
        Look(SourceLine.Unknown);
        _told = null;
    }

    public override Exception? Flush(long offset, long length) =>
        Tell((told, source) => told.Flush(offset, length, source));

    public override Exception? Drain() => Tell((told, source) => told.Drain(source));

    public override Exception? Persist(long offset, long length) =>
        Tell((told, source) => told.Persist(offset, length, source));

    public override Exception? Execute(FlushPlan plan) => Tell((told, source) =>
    {
        foreach (ByteRange range in plan.Ranges)
            told.Flush(range.Offset, Math.Min(range.Length, told.Length - range.Offset), source);
        told.Drain(source);
    });

    public override Exception? DeepFlush(long offset, long length) => Flush(offset, length);

    public override Exception? DeepDrain(long offset, long length) => Drain();

    public override Exception? DeepPersist(long offset, long length) => Persist(offset, length);

    public override Exception? Msync(long offset, long length) => Persist(offset, length);

    public override Exception? Acknowledge(long operation) => Tell((told, source) => told.Acknowledge(operation, source));

    /// <summary>Whether a copy may be stored past the cache, in part at least.</summary>
    public bool GoesPast(CopyPlan plan, long length) =>
        !_isPageCache && length > 0 && (plan.IsNonTemporal(length) || plan.IsNonTemporalMixed(length));

    /// <summary>Stores past the cache: ordered to the same word only, whatever was stored before.</summary>
    public Exception? StorePast(long offset, byte[] bytes) => Tell((told, source) =>
    {
        told.StoreNonTemporal(offset, bytes, source);
        bytes.CopyTo(Memory[(int)offset..]);
        bytes.CopyTo(_seen, (int)offset);
    });

    private Exception? Tell(Action<IPersistentMemory, SourceLine> call)
    {
        try
        {
            SourceLine source = _hasSources ? Caller() : SourceLine.Unknown;
            Look(source);
            if (_told is not null) call(_told, source);
            return null;
        }
        catch (Exception failure)
        {
            // The mapping throws it when it has been left.
            return failure;
        }
    }

    /// <summary>The line outside of this library that the call came from; the stores before it are told with it too.</summary>
    private static SourceLine Caller()
    {
        foreach (StackFrame frame in new StackTrace(2, fNeedFileInfo: true).GetFrames())
            if (frame.GetFileName() is { } file && !IsOwn(DiagnosticMethodInfo.Create(frame)?.DeclaringAssemblyName))
                return new SourceLine(file, frame.GetFileLineNumber());
        return SourceLine.Unknown;
    }

    private static bool IsOwn(string? assembly) => assembly is not null
        && (assembly.StartsWith("Pmem,", StringComparison.Ordinal) || assembly.StartsWith("Pmem.Core,", StringComparison.Ordinal));

    private void Look(SourceLine source)
    {
        if (_told is null || Memory.SequenceEqual(_seen)) return;
        if (_isOneUnit) LookAt(0, _seen.Length, source);
        else
            for (int line = 0; line < _seen.Length; line += LineBytes) LookAt(line, Math.Min(LineBytes, _seen.Length - line), source);
    }

    /// <summary>
    /// What has changed, as one store from the first word to the last: the words of one store have no order. Words between that
    /// have not changed are stored as they are, which changes nothing.
    /// </summary>
    private void LookAt(int offset, int length, SourceLine source)
    {
        ReadOnlySpan<byte> now = Memory.Slice(offset, length);
        Span<byte> before = _seen.AsSpan(offset, length);
        int first = now.CommonPrefixLength(before);
        if (first == length) return;
        int last = length;
        while (now[last - 1] == before[last - 1]) last--;
        // Units start at words, so that what is a word here is one in the memory.
        ByteRange changed = new ByteRange(first, last - first).AlignOut(WordBytes);
        (first, last) = ((int)changed.Offset, (int)Math.Min(length, changed.End));
        _told!.Store(offset + first, now[first..last], source);
        now[first..last].CopyTo(before[first..last]);
    }
}
