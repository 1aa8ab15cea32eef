using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Linux;

/// <summary>Files, mappings and msync of Linux.</summary>
internal sealed class LinuxStorage : Storage
{
    public override StoredFile Open(FileRequest request) => FileOpener.Open(request);

    public override RawMapping Map(StoredFile file, in MapPlan plan)
    {
        bool isDevice = file.Kind.IsDaxDevice;
        var linux = (LinuxFile)file;
        using SafeFileHandle? own = linux.OpenOnceMore(plan.IsReadOnly);
        nint address = AddressSpace.Map(own ?? linux.Handle, plan, isDevice, out bool isSync, out int error);
        if (address == 0) throw Failures.OfErrno(error, file.Path, $"map bytes {plan.Bytes.Offset} to {plan.Bytes.End} of");
        if (!isDevice && !isSync) return new RawMapping(address, MappingKind.PageCache, "");
        return new RawMapping(
            address, isDevice ? MappingKind.DeviceDax : MappingKind.FileDax,
            Sysfs.Machine.PersistenceDomainOf(file.Device, isBlockDevice: isSync));
    }

    public override int Unmap(nint address, long lengthBytes) =>
        SysMman.Unmap(address, (nuint)lengthBytes) == 0 ? 0 : Marshal.GetLastPInvokeError();

    public override int Sync(nint start, nint end) => SysMman.Sync(start, (nuint)(end - start));

    public override int Populate(nint address, long lengthBytes, bool isReadOnly) =>
        AddressSpace.Populate(address, lengthBytes, isReadOnly);
}
