using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Linux;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  struct statfs: type at 0, block size at 8, 120 bytes             Linux uapi, asm-generic/statfs.h
//  HUGETLBFS_MAGIC; its block is the huge page                      Linux uapi, linux/magic.h; fs/hugetlbfs/inode.c
//  a mapping of hugetlbfs is whole huge pages: mmap rounds the
//  length up, munmap does not                                       mmap(2), Huge page (Huge TLB) mappings

/// <summary>sys/statfs.h: the file system that holds a file.</summary>
internal static unsafe partial class SysStatfs
{
    private const ulong HugetlbfsMagic = 0x958458F6;

    /// <summary>The page in which a file is mapped: a huge page on hugetlbfs, else the system's.</summary>
    public static long PageBytes(SafeFileHandle file)
    {
        Statfs buffer = default;
        bool isHuge = fstatfs(file, &buffer) == 0 && (buffer.Type & uint.MaxValue) == HugetlbfsMagic;
        return isHuge ? buffer.BlockBytes : Environment.SystemPageSize;
    }

    [LibraryImport("libc")]
    private static partial int fstatfs(SafeFileHandle file, Statfs* buffer);

    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Statfs
    {
        [FieldOffset(0)] public ulong Type;
        [FieldOffset(8)] public long BlockBytes;
    }
}
