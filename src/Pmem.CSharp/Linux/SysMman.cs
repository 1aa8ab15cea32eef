using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Linux;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  MAP_SHARED_VALIDATE = 3, MAP_SYNC = 0x80000,
//  MAP_ANONYMOUS = 0x20, MAP_NORESERVE = 0x4000, MS_SYNC = 4         Linux uapi, asm-generic/mman-common.h, mman.h
//  MAP_SYNC without support: EOPNOTSUPP; a kernel before 4.15 does
//  not know MAP_SHARED_VALIDATE: EINVAL                             mmap(2)
//  MADV_POPULATE_READ = 22, MADV_POPULATE_WRITE = 23: EINVAL
//  before 5.14, EFAULT where an access would end in SIGBUS           madvise(2)
//  MAP_FIXED = 0x10, MAP_FIXED_NOREPLACE = 0x100000: EEXIST where
//  something is mapped; a hint before Linux 4.17                     mmap(2)
//  mremap moves, and unmaps what was at the new address              mremap(2), MREMAP_FIXED
//  msync wants an address that is a multiple of the page            msync(2)

/// <summary>sys/mman.h.</summary>
internal static unsafe partial class SysMman
{
    public const int ProtNone = 0;
    public const int ProtRead = 1;
    public const int ProtWrite = 2;
    public const int ProtExec = 4;

    public const int MapShared = 1;
    public const int MapPrivate = 2;
    public const int MapSharedValidate = 3;
    private const int MapAnonymousFlag = 0x20;
    private const int MapFixed = 0x10;
    public const int MapFixedNoReplace = 0x100000;
    public const int MapNoReserve = 0x4000;
    public const int MapSync = 0x80000;

    private const int MsSync = 4;
    private const int PopulateRead = 22;
    private const int PopulateWrite = 23;
    private static readonly nint Failed = -1;

    /// <summary>Maps; 0 where it fails, and then the error number is Marshal.GetLastPInvokeError().</summary>
    public static nint Map(nint hint, nuint lengthBytes, int protection, int flags, SafeFileHandle file, long offset)
    {
        nint address = mmap(hint, lengthBytes, protection, flags, file, offset);
        return address == Failed ? 0 : address;
    }

    /// <summary>Maps private memory without a file; 0 where it fails.</summary>
    public static nint MapAnonymous(nuint lengthBytes, int protection, int moreFlags = 0, nint hint = 0)
    {
        nint address = mmap(hint, lengthBytes, protection, MapPrivate | MapAnonymousFlag | moreFlags, -1, 0);
        return address == Failed ? 0 : address;
    }

    /// <summary>Replaces what is mapped in a range by nothing that can be accessed, in one step: 0, or the error number.</summary>
    public static int Blank(nint address, nuint lengthBytes) =>
        MapAnonymous(lengthBytes, ProtNone, MapNoReserve | MapFixed, address) != 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>Moves a mapping over what is mapped at an address: 0, or the error number.</summary>
    public static int Move(nint from, nint to, nuint lengthBytes)
    {
        const int mayMove = 1, isFixed = 2;
        return mremap(from, lengthBytes, lengthBytes, mayMove | isFixed, to) == Failed ? Marshal.GetLastPInvokeError() : 0;
    }

    /// <summary>Makes pages present, readable or writable: 0, or the error number.</summary>
    public static int Populate(nint address, nuint lengthBytes, bool isReadOnly)
    {
        while (madvise(address, lengthBytes, isReadOnly ? PopulateRead : PopulateWrite) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            if (error != Errno.EINTR) return error;
        }
        return 0;
    }

    public static int Unmap(nint address, nuint lengthBytes) => munmap(address, lengthBytes);

    public static int Protect(nint address, nuint lengthBytes, int protection) => mprotect(address, lengthBytes, protection);

    /// <summary>msync(MS_SYNC); 0, or the error number.</summary>
    public static int Sync(nint address, nuint lengthBytes)
    {
        while (msync(address, lengthBytes, MsSync) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            if (error != Errno.EINTR) return error;
        }
        return 0;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, int fd, long offset);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, SafeFileHandle file, long offset);

    /// <summary>Whether every page is mapped: msync(MS_ASYNC) does no more than look (msync(2), NOTES; ENOMEM).</summary>
    public static bool IsMapped(nint address, nuint lengthBytes)
    {
        const int asynchronous = 1;
        return msync(address, lengthBytes, asynchronous) == 0;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint mremap(nint from, nuint length, nuint newLength, int flags, nint to);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int madvise(nint address, nuint length, int advice);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int munmap(nint address, nuint length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int mprotect(nint address, nuint length, int protection);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int msync(nint address, nuint length, int flags);
}
