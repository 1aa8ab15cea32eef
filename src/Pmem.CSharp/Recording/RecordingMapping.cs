namespace Pmem;

/// <summary>A mapping on memory of its own that records, for code that stores through spans, references and pointers.</summary>
internal sealed class RecordingMapping : IDisposable
{
    private const string Name = "recording mapping";

    // Not this machine's, so that a check says the same on every one.
    private static readonly Platform Simulated = Platform.X64(WriteBackKind.Clwb);

    private readonly RecordingPersister _persister;
    private readonly PmemMapping _mapping;

    public RecordingMapping(long lengthBytes, PersistencyModel model)
    {
        if (lengthBytes == 0) throw new ArgumentException("The image is empty: there is no memory to map.", "image");
        nint address = FileMapper.System.MapAnonymous(lengthBytes, PmemProtection.Read | PmemProtection.Write, out _);
        if (address == 0) throw new InsufficientMemoryException($"No memory of {lengthBytes} bytes for a recording mapping.");
        MappingKind kind = model.IsPageCache ? MappingKind.PageCache : MappingKind.FileDax;
        var facts = new MappingFacts(Name, new ByteRange(0, lengthBytes), kind, false, "", Simulated);
        var info = new MappingInfo(facts, !model.IsPageCache, GranularityOf(model), $"it records for the model {model}");
        var file = new MappedFile(address, info, default);
        _persister = new RecordingPersister(file, model);
        _mapping = new PmemMapping(file, _persister);
    }

    /// <summary>Runs code on the mapping, which holds what this memory holds, and tells the memory what the code does.</summary>
    public void Run(IPersistentMemory told, bool hasSources, Action<PmemMapping> code)
    {
        _persister.Begin(told, hasSources);
        code(_mapping);
        _persister.End();
    }

    public void Dispose() => _mapping.Dispose();

    private static StoreGranularity GranularityOf(PersistencyModel model) =>
        model.IsPageCache ? StoreGranularity.Page : model.IsEadr ? StoreGranularity.Byte : StoreGranularity.CacheLine;
}
