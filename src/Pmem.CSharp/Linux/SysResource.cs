using System.Runtime.InteropServices;

namespace Pmem.Linux;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  who makes a file longer than RLIMIT_FSIZE gets SIGXFSZ, which
//  ends a process that does not expect it; RLIMIT_FSIZE = 1          getrlimit(2); asm-generic/resource.h

/// <summary>sys/resource.h.</summary>
internal static unsafe partial class SysResource
{
    private const int FileSize = 1;

    /// <summary>The longest file that this process may make, in bytes.</summary>
    public static ulong FileSizeLimitBytes
    {
        get
        {
            Limit limit;
            return getrlimit(FileSize, &limit) == 0 ? limit.Current : ulong.MaxValue;
        }
    }

    [LibraryImport("libc")]
    private static partial int getrlimit(int resource, Limit* limit);

    private struct Limit
    {
        public ulong Current;
        public ulong Maximum;
    }
}
