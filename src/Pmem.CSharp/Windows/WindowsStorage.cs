using Microsoft.Win32.SafeHandles;

namespace Pmem.Windows;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  FILE_MAP_COPY 1, FILE_MAP_WRITE 2, FILE_MAP_READ 4               Windows SDK, memoryapi.h
//  a section keeps its file, and a view its section; the file's own
//  handle may be closed                                             Microsoft, CreateFileMappingW, Remarks
//  a file is not cut below a section that somebody has mapped:
//  ERROR_USER_MAPPED_FILE                                           Microsoft, SetEndOfFile, Remarks
//  a volume of NTFS that is DAX has FILE_DAX_VOLUME; the views of some
//  files are not direct even there                                  Microsoft, GetVolumeInformationByHandleW; PMDK, is_direct_mapped

/// <summary>Files, views and their flushing on Windows.</summary>
internal sealed class WindowsStorage : Storage
{
    private const uint MapCopy = 1, MapWrite = 2, MapRead = 4;

    private readonly ViewTable _views = new(new SystemFlush());

    public override long GranuleBytes => VirtualMemory.GranuleBytes;

    public override bool IsMappedAsLong => true;

    public override StoredFile Open(FileRequest request) =>
        request.AnonymousBytes is { } bytes ? new AnonymousFile(request.Path, bytes, this) : WindowsOpener.Open(request);

    public override SafeFileHandle OpenToAsk(string path, bool isReadOnly) => WindowsOpener.OpenToAsk(path, isReadOnly);

    public override bool IsDaxDevice(string path) => false;

    public override RawMapping Map(StoredFile file, in MapPlan plan)
    {
        if (file is AnonymousFile memory) return memory.Map(plan);
        if (plan.Protection.HasFlag(PmemProtection.Execute))
            throw Failures.OfRefusal(Refusal.NewDoesNotApply(nameof(PmemProtection.Execute), "a file on Windows"), file.Path);
        SafeFileHandle handle = ((WindowsFile)file).Handle;
        nint address = MapView(handle, plan, out int error);
        string doing = $"map bytes {plan.Bytes.Offset} to {plan.Bytes.End} of";
        if (error == WinError.ERROR_ACCESS_DENIED && !plan.IsReadOnly) throw Failures.OfReadOnlyFile(file.Path, doing);
        SafeFileHandle? kept = null;
        if (error == 0) error = Track(handle, plan, address, out kept);
        if (error != 0) throw Failures.OfErrno(error, file.Path, doing);
        return new RawMapping(address, KindOf(plan.IsPrivate, FileApi.VolumeFlags(handle), () => VirtualMemory.IsDirect(address)), "") { Kept = kept };
    }

    /// <summary>What a view is made of: of persistent memory only where both the volume and the view say so.</summary>
    internal static MappingKind KindOf(bool isPrivate, uint volumeFlags, Func<bool> isDirect) =>
        isPrivate ? MappingKind.PrivateCopy
        : (volumeFlags & FileApi.DaxVolume) != 0 && isDirect() ? MappingKind.FileDax
        : MappingKind.PageCache;

    public override int Unmap(nint address, long lengthBytes)
    {
        if (_views.At(address, out _) is not { } view) return VirtualMemory.Free(address, lengthBytes);
        // Windows unmaps whole views only.
        if (view.Start != address || WholeGranules(view.End - view.Start) != WholeGranules(lengthBytes)) return WinError.ERROR_INVALID_PARAMETER;
        int error = VirtualMemory.UnmapView(address);
        if (error == 0) _views.Remove(view);
        return error;
    }

    public override int Sync(nint start, nint end) => _views.Sync(start, end);

    public override int Populate(nint address, long lengthBytes, bool isReadOnly) => VirtualMemory.Populate(address, lengthBytes, isReadOnly);

    public override bool IsMapped(nint address, long lengthBytes) => VirtualMemory.IsMapped(address, lengthBytes);

    public override DeviceNumber DeviceAt(nint address, long lengthBytes) => default;

    public override unsafe int TryCopy(SafeFileHandle? file, nint address, long fileOffset, Span<byte> bytes, bool isRead)
    {
        if (file is not null && isRead) return Transfer(file, fileOffset, bytes, isRead: true);
        // SAFETY: the bytes are pinned; what is at the address the kernel alone touches.
        fixed (byte* own = bytes) return VirtualMemory.Copy(address, own, (nuint)bytes.Length, isRead);
    }

    public override int Transfer(SafeFileHandle file, long offset, Span<byte> bytes, bool isRead)
    {
        try
        {
            if (!isRead) RandomAccess.Write(file, bytes, offset);
            while (isRead && !bytes.IsEmpty)
            {
                int count = RandomAccess.Read(file, bytes, offset);
                if (count == 0) return WinError.ERROR_HANDLE_EOF;
                bytes = bytes[count..];
                offset += count;
            }
            return 0;
        }
        // Their HRESULT is the number of Windows as the seam carries it.
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.HResult;
        }
    }

    public override nint MapAnonymous(long lengthBytes, PmemProtection protection, out int error) =>
        VirtualMemory.Allocate(0, lengthBytes, protection, out error);

    /// <summary>A view stays where it was mapped, so nothing could move in.</summary>
    public override nint ReserveSpace(nint address, long lengthBytes, long alignmentBytes, out int error)
    {
        error = WinError.ERROR_NOT_SUPPORTED;
        return 0;
    }

    public override int Vacate(nint address, long lengthBytes) => WinError.ERROR_NOT_SUPPORTED;

    public override int Move(nint from, nint to, long lengthBytes) => WinError.ERROR_NOT_SUPPORTED;

    private static nint MapView(SafeFileHandle file, in MapPlan plan, out int error)
    {
        uint protection = plan.IsReadOnly ? FileApi.PageReadOnly : plan.IsPrivate ? FileApi.PageWriteCopy : FileApi.PageReadWrite;
        uint access = plan.IsReadOnly ? MapRead : plan.IsPrivate ? MapCopy : MapRead | MapWrite;
        using SafeFileHandle section = FileApi.Section(file, protection, 0, out error);
        if (error != 0) return 0;
        nint wanted = AddressFor(plan);
        nint address = VirtualMemory.MapView(section, access, plan, wanted, out error);
        // It was free a moment ago; a race that is lost costs the alignment and nothing else.
        if (address == 0 && wanted != 0) address = VirtualMemory.MapView(section, access, plan, 0, out error);
        if (error != 0 || plan.Protection != PmemProtection.None) return address;
        error = VirtualMemory.Protect(address, plan.Bytes.Length, PmemProtection.None);
        if (error == 0) return address;
        _ = VirtualMemory.UnmapView(address);
        return 0;
    }

    private static nint AddressFor(in MapPlan plan) =>
        plan.Hint != 0 ? VirtualMemory.FirstUnused(plan)
        : plan.AlignmentBytes > VirtualMemory.GranuleBytes ? Placement.FindFree(plan, VirtualMemory.FindRoom)
        : 0;

    /// <summary>Remembers by which file a view is made durable; where it cannot, nothing is mapped.</summary>
    private int Track(SafeFileHandle handle, in MapPlan plan, nint address, out SafeFileHandle? kept)
    {
        kept = null;
        int error = FileApi.Duplicate(handle, out SafeFileHandle own);
        if (error == 0 && plan.IsKept) error = FileApi.Duplicate(handle, out kept);
        if (error == 0)
        {
            nint end = address + (nint)new ByteRange(0, plan.Bytes.Length).AlignOut(Environment.SystemPageSize).Length;
            _views.Add(new ViewTable.View(address, end, own, IsWritten: !plan.IsReadOnly && !plan.IsPrivate));
            return 0;
        }
        own.Dispose();
        _ = VirtualMemory.UnmapView(address);
        return error;
    }

    private static long WholeGranules(long lengthBytes) => new ByteRange(0, lengthBytes).AlignOut(VirtualMemory.GranuleBytes).Length;

    private sealed class SystemFlush : IViewFlush
    {
        public int FlushView(nint start, nint lengthBytes) => VirtualMemory.FlushView(start, lengthBytes);

        public int FlushFile(SafeFileHandle file) => FileApi.Sync(file);

        public int Unsynced(nint start, nint end, out nint next) => VirtualMemory.Unsynced(start, out next);

        public void Pause(int milliseconds) => VirtualMemory.Pause(milliseconds);
    }
}
