using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Linux;

/// <summary>Files, mappings and msync of Linux.</summary>
internal sealed class LinuxStorage : Storage
{
    public override StoredFile Open(FileRequest request) =>
        request.AnonymousBytes is { } bytes ? new AnonymousFile(request.Path, bytes, this) : FileOpener.Open(request);

    public override SafeFileHandle OpenToAsk(string path, bool isReadOnly) => FileOpener.OpenToAsk(path, isReadOnly);

    public override bool IsDaxDevice(string path) => FileOpener.IsDaxDevice(path);

    public override long GranuleBytes => Environment.SystemPageSize;

    public override bool IsMappedAsLong => false;

    public override RawMapping Map(StoredFile file, in MapPlan plan)
    {
        if (file is AnonymousFile memory) return memory.Map(plan);
        bool isDevice = file.Kind.IsDaxDevice;
        var linux = (LinuxFile)file;
        using SafeFileHandle? own = linux.OpenOnceMore(plan.IsReadOnly || plan.IsPrivate);
        nint address = AddressSpace.Map(own ?? linux.Handle, plan, isDevice, out bool isSync, out int error);
        string doing = $"map bytes {plan.Bytes.Offset} to {plan.Bytes.End} of";
        if (address == 0 && error == Errno.EACCES && !plan.IsReadOnly) throw Failures.OfReadOnlyFile(file.Path, doing);
        if (address == 0) throw Failures.OfErrno(error, file.Path, doing);
        if (plan.IsPrivate) return new RawMapping(address, MappingKind.PrivateCopy, "");
        MappingKind kind = isDevice ? MappingKind.DeviceDax : isSync ? MappingKind.FileDax : MappingKind.PageCache;
        string domain = kind.IsPageCache ? "" : Sysfs.Machine.PersistenceDomainOf(file.Device, isBlockDevice: isSync);
        return new RawMapping(address, kind, domain) { Kept = plan.IsKept || isSync ? Fcntl.Duplicate(own ?? linux.Handle) : null };
    }

    public override int Unmap(nint address, long lengthBytes) =>
        SysMman.Unmap(address, (nuint)lengthBytes) == 0 ? 0 : Marshal.GetLastPInvokeError();

    public override int Sync(nint start, nint end) => SysMman.Sync(start, (nuint)(end - start));

    public override int Populate(nint address, long lengthBytes, bool isReadOnly) =>
        AddressSpace.Populate(address, lengthBytes, isReadOnly);

    public override bool IsMapped(nint address, long lengthBytes) =>
        SysMman.IsMapped(address, (nuint)lengthBytes) && !AddressSpace.IsHidden(address, lengthBytes);

    public override DeviceNumber DeviceAt(nint address, long lengthBytes)
    {
        string path = AddressSpace.PathAt(address, lengthBytes);
        if (!path.StartsWith("/dev/", StringComparison.Ordinal) || Fcntl.Open(path, Fcntl.PathOnly, out SafeFileHandle device) != 0) return default;
        using (device)
            return SysStat.Get(device, out SysStat.FileStatus status) == 0 && status.Type == SysStat.FileType.Character ? status.Self : default;
    }

    public override unsafe int TryCopy(SafeFileHandle? file, nint address, long fileOffset, Span<byte> bytes, bool isRead)
    {
        if (file is not null && isRead) return -Unistd.ReadAll(file, bytes, fileOffset);
        // SAFETY: the bytes are pinned; what is at the address the kernel alone touches.
        fixed (byte* own = bytes)
            return isRead ? SysUio.Read(address, own, (nuint)bytes.Length) : SysUio.Write(address, own, (nuint)bytes.Length);
    }

    public override int Transfer(SafeFileHandle file, long offset, Span<byte> bytes, bool isRead) =>
        -(isRead ? Unistd.ReadAll(file, bytes, offset) : Unistd.WriteAt(file, bytes, offset));

    public override nint MapAnonymous(long lengthBytes, PmemProtection protection, out int error)
    {
        nint address = SysMman.MapAnonymous((nuint)lengthBytes, (int)protection);
        error = address == 0 ? Marshal.GetLastPInvokeError() : 0;
        return address;
    }

    public override nint ReserveSpace(nint address, long lengthBytes, long alignmentBytes, out int error) =>
        ReservedSpace.Reserve(address, lengthBytes, alignmentBytes, out error);

    public override int Vacate(nint address, long lengthBytes) => ReservedSpace.Vacate(address, lengthBytes);

    public override int Move(nint from, nint to, long lengthBytes) => ReservedSpace.Move(from, to, lengthBytes);
}
