namespace Pmem;

/// <summary>Memory without a file, in the place of a file.</summary>
internal sealed class AnonymousFile(string path, long lengthBytes, Storage system) : StoredFile
{
    public override string Path => path;

    public override FileKind Kind => FileKind.RegularFile;

    public override FileIdentity Identity => default;

    public override DeviceNumber Device => default;

    public override long UnitBytes => Environment.SystemPageSize;

    public override long LengthBytes => lengthBytes;

    public RawMapping Map(in MapPlan plan)
    {
        nint address = system.MapAnonymous(plan.Bytes.Length, plan.Protection, out int error);
        return address != 0
            ? new RawMapping(address, MappingKind.Anonymous, "")
            : throw Failures.OfErrno(error, path, $"map {plan.Bytes.Length} bytes of");
    }

    public override void Grow(long lengthBytes, bool isSparse) { }

    public override void Reserve(ByteRange bytes) { }

    public override void Sync() { }

    public override void SyncApart() { }

    public override bool Keep() => true;

    protected override void SetLength(long lengthBytes) { }

    public override void Dispose() { }
}
