using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Linux;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  struct statx: nlink at 16, mode at 28, ino at 32, size at 40,
//  rdev at 128, dev at 136, 256 bytes on every architecture
//  (struct stat differs)                                            Linux uapi, linux/stat.h; statx(2)
//  AT_EMPTY_PATH = 0x1000, AT_SYMLINK_NOFOLLOW = 0x100,
//  STATX_BASIC_STATS = 0x7ff                                        the same, linux/fcntl.h

/// <summary>sys/stat.h: what an open descriptor, or a name below a directory, is.</summary>
internal static unsafe partial class SysStat
{
    private const int EmptyPath = 0x1000;
    private const int NoFollow = 0x100;
    private const uint BasicStats = 0x7ff;
    private const int TypeMask = 0xF000;

    public enum FileType { Fifo = 0x1000, Character = 0x2000, Directory = 0x4000, Block = 0x6000, Regular = 0x8000 }

    /// <summary>Which file it is, whatever its name; the number of its names, its type and its length in bytes.</summary>
    public readonly record struct FileStatus(FileType Type, long LengthBytes, DeviceNumber Holder, DeviceNumber Self, ulong Inode, uint Names)
    {
        public FileIdentity Identity => new(((ulong)Holder.Major << 32) | Holder.Minor, Inode);
    }

    public static int Get(SafeFileHandle file, out FileStatus status)
    {
        Statx buffer = default;
        return Result(statx(file, "", EmptyPath, BasicStats, &buffer), buffer, out status);
    }

    /// <summary>What the name itself is: a symbolic link is not followed.</summary>
    public static int GetAt(SafeFileHandle directory, string name, out FileStatus status)
    {
        Statx buffer = default;
        return Result(statx(directory, name, NoFollow, BasicStats, &buffer), buffer, out status);
    }

    private static int Result(int result, in Statx buffer, out FileStatus status)
    {
        int error = result == 0 ? 0 : -Marshal.GetLastPInvokeError();
        status = new FileStatus(
            (FileType)(buffer.Mode & TypeMask), buffer.SizeBytes,
            new DeviceNumber(buffer.HolderMajor, buffer.HolderMinor), new DeviceNumber(buffer.SelfMajor, buffer.SelfMinor),
            buffer.Inode, buffer.Names);
        return error;
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(SafeFileHandle directory, string path, int flags, uint mask, Statx* buffer);

    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Statx
    {
        [FieldOffset(16)] public uint Names;
        [FieldOffset(28)] public ushort Mode;
        [FieldOffset(32)] public ulong Inode;
        [FieldOffset(40)] public long SizeBytes;
        [FieldOffset(128)] public uint SelfMajor;
        [FieldOffset(132)] public uint SelfMinor;
        [FieldOffset(136)] public uint HolderMajor;
        [FieldOffset(140)] public uint HolderMinor;
    }
}
