using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Linux;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  FS_IOC_FIEMAP = 0xC020660B; struct fiemap is start, length, flags
//  and mapped, count; struct fiemap_extent logical, physical, length,
//  two reserved, flags, one reserved: words of 8 bytes, all; addresses
//  are bytes of the file system's device; FIEMAP_EXTENT_LAST = 1     Linux uapi, linux/fiemap.h; Documentation/filesystems/fiemap.rst
//  ND_IOCTL_CLEAR_ERROR = _IOWR('N', 4, struct nd_cmd_clear_error):
//  address, length, status, 4 bytes, cleared: 32 bytes               Linux uapi, linux/ndctl.h

/// <summary>sys/ioctl.h: where a file lies on its device, and having a bus of NVDIMMs repair a range.</summary>
internal static unsafe partial class SysIoctl
{
    private const nuint FileMap = 0xC020660B;
    private const nuint ClearError = 0xC0204E04;
    private const int ExtentsAtOnce = 128;
    private const int HeaderWords = 4, ExtentWords = 7;
    private const ulong LastExtent = 1;

    /// <summary>A run of bytes of a file that lie together on the device.</summary>
    public readonly record struct Extent(ByteRange InFile, long OnDevice);

    /// <summary>Where the bytes of a file lie: 0, or the error number.</summary>
    public static int Extents(SafeFileHandle file, List<Extent> extents)
    {
        ulong[] words = new ulong[HeaderWords + ExtentsAtOnce * ExtentWords];
        for (ulong next = 0; ;)
        {
            (words[0], words[1], words[2], words[3]) = (next, ulong.MaxValue - next, 0, ExtentsAtOnce);
            // SAFETY: the words are pinned; there is room for as many extents as are asked for.
            fixed (ulong* start = words)
                if (ioctl(file, FileMap, start) != 0) return Marshal.GetLastPInvokeError();
            int mapped = (int)(words[2] >> 32);
            if (mapped == 0) return 0;
            for (int i = 0; i < mapped; i++)
            {
                ReadOnlySpan<ulong> extent = words.AsSpan(HeaderWords + i * ExtentWords, ExtentWords);
                extents.Add(new Extent(new ByteRange((long)extent[0], (long)extent[2]), (long)extent[1]));
                next = extent[0] + extent[2];
                if ((extent[5] & LastExtent) != 0) return 0;
            }
        }
    }

    /// <summary>Has a bus clear errors at a physical address; ENXIO where it clears less: 0, or the error number.</summary>
    public static int ClearErrors(SafeFileHandle bus, ulong address, ulong lengthBytes)
    {
        var command = new ClearCommand { Address = address, Length = lengthBytes };
        if (ioctl(bus, ClearError, &command) != 0) return Marshal.GetLastPInvokeError();
        const int noSuchAddress = 6;
        return command.Status == 0 && command.Cleared == lengthBytes ? 0 : noSuchAddress;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int ioctl(SafeFileHandle file, nuint request, void* argument);

    private struct ClearCommand
    {
        public ulong Address, Length;
        public uint Status, Reserved;
        public ulong Cleared;
    }
}
