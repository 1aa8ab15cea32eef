using Pmem.Linux;

namespace Pmem.Testing;

/// <summary>A mapping as the library makes it, on the machine that it runs on, with a record of what it executes.</summary>
internal sealed class Observed : IDisposable
{
    private readonly RecordingMachine _recorder;

    private Observed(MappedFile file)
    {
        _recorder = new RecordingMachine(file.Info.Facts.Platform, isPassedOn: true) { BaseAddress = file.Address };
        Mapping = new PmemMapping(file, _recorder.PersisterFor(file, Sysfs.Machine));
        Address = file.Address;
    }

    public PmemMapping Mapping { get; }

    public nint Address { get; }

    /// <summary>The mapping as memory that keeps a trace.</summary>
    public TracedMemory Traced() => new(Mapping, _recorder);

    public static Observed Create(string path, long lengthBytes, PmemCreateOptions? options = null) =>
        new(FileMapper.Map((options ?? PmemCreateOptions.Default).ForPath(path, lengthBytes)));

    public static Observed Open(string path) => new(FileMapper.Map(PmemOpenOptions.Default.For(new FileRequest(path))));

    /// <summary>What was executed since the last call.</summary>
    public IReadOnlyList<Instruction> Take() => _recorder.Take();

    public void Dispose() => Mapping.Dispose();
}
