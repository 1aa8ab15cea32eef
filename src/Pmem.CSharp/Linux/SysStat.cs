using System.Runtime.InteropServices;

namespace Pmem.Linux;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  struct statx: mode at 28, size at 40, rdev at 128, dev at 136,
//  256 bytes on every architecture (struct stat differs)            Linux uapi, linux/stat.h; statx(2)
//  AT_EMPTY_PATH = 0x1000, STATX_BASIC_STATS = 0x7ff                 the same, linux/fcntl.h

/// <summary>sys/stat.h: what an open descriptor is.</summary>
internal static unsafe partial class SysStat
{
    private const int AtEmptyPath = 0x1000;
    private const uint BasicStats = 0x7ff;
    private const int TypeMask = 0xF000;

    public enum FileType { Fifo = 0x1000, Character = 0x2000, Directory = 0x4000, Block = 0x6000, Regular = 0x8000 }

    /// <summary>A device number.</summary>
    public readonly record struct Device(uint Major, uint Minor)
    {
        public override string ToString() => $"{Major}:{Minor}";
    }

    /// <summary>The file's type, length, the device that holds it, and the device that it is.</summary>
    public readonly record struct FileStatus(FileType Type, long LengthBytes, Device Holder, Device Self);

    public static int Get(int fd, out FileStatus status)
    {
        Statx buffer = default;
        int result = statx(fd, "", AtEmptyPath, BasicStats, &buffer);
        status = new FileStatus(
            (FileType)(buffer.Mode & TypeMask), buffer.SizeBytes,
            new Device(buffer.HolderMajor, buffer.HolderMinor), new Device(buffer.SelfMajor, buffer.SelfMinor));
        return result == 0 ? 0 : -Marshal.GetLastPInvokeError();
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(int directory, string path, int flags, uint mask, Statx* buffer);

    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Statx
    {
        [FieldOffset(28)] public ushort Mode;
        [FieldOffset(40)] public long SizeBytes;
        [FieldOffset(128)] public uint SelfMajor;
        [FieldOffset(132)] public uint SelfMinor;
        [FieldOffset(136)] public uint HolderMajor;
        [FieldOffset(140)] public uint HolderMinor;
    }
}
