using Microsoft.Win32.SafeHandles;

namespace Pmem.Unix;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  msync gives pages to the drive, and the drive keeps them in its
//  buffer: F_FULLFSYNC of the file has to follow                     Apple, msync(2); fsync(2); fcntl(2), F_FULLFSYNC
//  bytes that are mapped past the file's end: SIGBUS, or what the
//  system likes                                                      POSIX, mmap; so a file has its length before

/// <summary>
/// Files and mappings of the systems that have only what POSIX has: macOS, FreeBSD. Every mapping is the page cache's, and stays where it is.
/// </summary>
internal sealed class UnixStorage : Storage
{
    private const int BufferBytes = 64 * 1024;

    private readonly Libc _system;
    private readonly ViewTable _views;

    /// <param name="numbers">Those of the system.</param>
    /// <param name="flush">What makes pages durable; null for the system.</param>
    public UnixStorage(UnixNumbers numbers, IViewFlush? flush = null)
    {
        _system = new Libc(numbers);
        _views = new ViewTable(flush ?? new SystemFlush(_system, canSyncByAddress: numbers.FullSync is null));
    }

    public override long GranuleBytes => Environment.SystemPageSize;

    public override bool IsMappedAsLong => true;

    public override StoredFile Open(FileRequest request) =>
        request.AnonymousBytes is { } bytes ? new AnonymousFile(request.Path, bytes, this) : UnixFile.Open(request, _system);

    public override SafeFileHandle OpenToAsk(string path, bool isReadOnly)
    {
        int error = _system.Open(path, isReadOnly, out SafeFileHandle file);
        return error == 0 ? file : throw Failures.OfErrno(error, path, "open");
    }

    public override bool IsDaxDevice(string path) => false;

    public override RawMapping Map(StoredFile file, in MapPlan plan)
    {
        if (file is AnonymousFile memory) return memory.Map(plan);
        string doing = $"map bytes {plan.Bytes.Offset} to {plan.Bytes.End} of";
        int error = _system.Duplicate(((UnixFile)file).Handle, out SafeFileHandle own);
        nint address = error == 0 ? _system.Map(own, plan, out error) : 0;
        if (error == 0)
        {
            Remember(address, plan.Bytes.Length, own, isWritten: !plan.IsReadOnly && !plan.IsPrivate);
            return new RawMapping(address, plan.IsPrivate ? MappingKind.PrivateCopy : MappingKind.PageCache, "");
        }
        own.Dispose();
        throw error == Errno.EACCES && !plan.IsReadOnly ? Failures.OfReadOnlyFile(file.Path, doing) : Failures.OfErrno(error, file.Path, doing);
    }

    /// <summary>Whole mappings only, so that each keeps the file that it is made durable by.</summary>
    public override int Unmap(nint address, long lengthBytes)
    {
        ViewTable.View? view = _views.At(address, out _);
        if (view is not null && (view.Start != address || view.End != address + WholePages(lengthBytes))) return Errno.EINVAL;
        int error = _system.Unmap(address, lengthBytes);
        if (error == 0 && view is not null) _views.Remove(view);
        return error;
    }

    public override int Sync(nint start, nint end) => _views.Sync(start, end);

    /// <summary>Reads all of it: what has no storage behind it is an error then, and not the end of the process.</summary>
    public override int Populate(nint address, long lengthBytes, bool isReadOnly)
    {
        byte[] buffer = new byte[BufferBytes];
        int error = 0;
        for (long at = 0; at < lengthBytes && error == 0; at += BufferBytes)
            error = TryCopy(null, address + (nint)at, 0, buffer.AsSpan(0, (int)Math.Min(BufferBytes, lengthBytes - at)), isRead: true);
        return error;
    }

    /// <summary>A page that is mapped without any right counts as well: the system does not say.</summary>
    public override bool IsMapped(nint address, long lengthBytes) => Libc.IsMapped(address, lengthBytes);

    public override DeviceNumber DeviceAt(nint address, long lengthBytes) => default;

    public override unsafe int TryCopy(SafeFileHandle? file, nint address, long fileOffset, Span<byte> bytes, bool isRead)
    {
        if (file is not null && isRead) return Transfer(file, fileOffset, bytes, isRead: true);
        // SAFETY: the bytes are pinned; what is at the address the kernel alone touches.
        fixed (byte* own = bytes)
            return isRead ? _system.Copy(address, (nint)own, bytes.Length) : _system.Copy((nint)own, address, bytes.Length);
    }

    public override int Transfer(SafeFileHandle file, long offset, Span<byte> bytes, bool isRead) => _system.Transfer(file, offset, bytes, isRead);

    public override nint MapAnonymous(long lengthBytes, PmemProtection protection, out int error)
    {
        nint address = _system.MapAnonymous(lengthBytes, protection, out error);
        if (error == 0) Remember(address, lengthBytes, new SafeFileHandle(), isWritten: false);
        return address;
    }

    /// <summary>POSIX has nothing that moves a mapping.</summary>
    public override nint ReserveSpace(nint address, long lengthBytes, long alignmentBytes, out int error)
    {
        error = Errno.EOPNOTSUPP;
        return 0;
    }

    public override int Vacate(nint address, long lengthBytes) => Errno.EOPNOTSUPP;

    public override int Move(nint from, nint to, long lengthBytes) => Errno.EOPNOTSUPP;

    private void Remember(nint address, long lengthBytes, SafeFileHandle file, bool isWritten) =>
        _views.Add(new ViewTable.View(address, address + WholePages(lengthBytes), file, isWritten));

    private static nint WholePages(long lengthBytes) => (nint)new ByteRange(0, lengthBytes).AlignOut(Environment.SystemPageSize).Length;

    private sealed class SystemFlush(Libc system, bool canSyncByAddress) : IViewFlush
    {
        public int FlushView(nint start, nint lengthBytes) => system.SyncPages(start, lengthBytes);

        public int FlushFile(SafeFileHandle file) => system.Sync(file);

        /// <summary>What somebody else mapped: where the drive must be told, nobody knows by which file.</summary>
        public int Unsynced(nint start, nint end, out nint next)
        {
            next = end;
            return canSyncByAddress ? system.SyncPages(start, end - start) : Errno.EBADF;
        }

        public void Pause(int milliseconds) => Thread.Sleep(milliseconds);
    }
}
