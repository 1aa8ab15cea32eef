using System.Diagnostics;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Linux;

/// <summary>
/// Making a file longer, so that two processes which do it at once both get what they asked for: it is never shortened, and
/// no byte that somebody may have stored is written.
/// </summary>
internal static class FileGrowth
{
    private const int ChunkBytes = 1 << 20;
    private static readonly TimeSpan LockTime = TimeSpan.FromSeconds(30);

    /// <summary>0, or minus the error number.</summary>
    public static int Grow(SafeFileHandle file, long lengthBytes, bool isSparse)
    {
        // Behind the end first: where there is no space for it, the file never was longer. Of a sparse file the last byte
        // alone: unlike ftruncate, that cannot shorten what another process has made longer still.
        int reserved = isSparse ? 0 : Fcntl.Allocate(file, 0, lengthBytes, isLengthKept: true);
        if (reserved is not (0 or -Errno.EOPNOTSUPP or -Errno.ENOSYS)) return reserved;
        int result = isSparse ? Fcntl.Allocate(file, lengthBytes - 1, 1) : Fcntl.Allocate(file, 0, lengthBytes);
        return result is -Errno.EOPNOTSUPP or -Errno.ENOSYS ? GrowByHand(file, lengthBytes, isSparse) : result;
    }

    /// <summary>One at a time, because what is found to be the end must still be the end when it is written past.</summary>
    private static int GrowByHand(SafeFileHandle file, long lengthBytes, bool isSparse)
    {
        int locked = Lock(file);
        if (locked == -Errno.EAGAIN) return locked;
        try
        {
            int result = SysStat.Get(file, out SysStat.FileStatus status);
            if (result != 0 || status.LengthBytes >= lengthBytes) return result;
            return isSparse ? Unistd.Truncate(file, lengthBytes) : WriteZeros(file, status.LengthBytes, lengthBytes);
        }
        finally { if (locked == 0) _ = Fcntl.UnlockGrowth(file); }
    }

    private static int WriteZeros(SafeFileHandle file, long start, long end)
    {
        byte[] zeros = new byte[Math.Min(ChunkBytes, end - start)];
        for (long at = start; at < end; at += zeros.Length)
        {
            int result = Unistd.WriteAt(file, zeros.AsSpan(0, (int)Math.Min(zeros.Length, end - at)), at);
            if (result != 0) return result;
        }
        return 0;
    }

    /// <summary>0, -EAGAIN where somebody has it for too long, or another error where the file system has no locks.</summary>
    private static int Lock(SafeFileHandle file)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            int result = Fcntl.LockGrowth(file);
            if (result != -Errno.EAGAIN || Stopwatch.GetElapsedTime(start) > LockTime) return result;
            Thread.Sleep(1);
        }
    }
}
