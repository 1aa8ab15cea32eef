using System.Runtime.InteropServices;

namespace Pmem.Linux;

/// <summary>Memory without a file, in the place of a file.</summary>
internal sealed class AnonymousFile(string path, long lengthBytes) : StoredFile
{
    public override string Path => path;

    public override FileKind Kind => FileKind.RegularFile;

    public override FileIdentity Identity => default;

    public override DeviceNumber Device => default;

    public override long UnitBytes => Environment.SystemPageSize;

    public override long LengthBytes => lengthBytes;

    public RawMapping Map(in MapPlan plan)
    {
        nint address = SysMman.MapAnonymous((nuint)plan.Bytes.Length, (int)plan.Protection);
        return address != 0
            ? new RawMapping(address, MappingKind.Anonymous, "")
            : throw Failures.OfErrno(Marshal.GetLastPInvokeError(), path, $"map {plan.Bytes.Length} bytes of");
    }

    public override void Grow(long lengthBytes, bool isSparse) { }

    public override void Reserve(ByteRange bytes) { }

    public override void Sync() { }

    public override void SyncApart() { }

    public override bool Keep() => true;

    public override void Cut(long lengthBytes) { }

    public override void Dispose() { }
}
