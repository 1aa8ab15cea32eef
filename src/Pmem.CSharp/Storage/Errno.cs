using System.Runtime.InteropServices;

namespace Pmem;

/// <summary>errno.h: the numbers that decisions are taken by, and the names that a person is told.</summary>
/// <remarks>Source: Linux uapi, asm-generic/errno-base.h and errno.h (x86-64 and Arm64 have the same numbers).</remarks>
internal static class Errno
{
    public const int EPERM = 1;
    public const int ENOENT = 2;
    public const int EINTR = 4;
    public const int EIO = 5;
    public const int EBADF = 9;
    public const int EAGAIN = 11;
    public const int ENOMEM = 12;
    public const int EACCES = 13;
    public const int EFAULT = 14;
    public const int EEXIST = 17;
    public const int ENODEV = 19;
    public const int ENOTDIR = 20;
    public const int EISDIR = 21;
    public const int EINVAL = 22;
    public const int ENOTTY = 25;
    public const int EFBIG = 27;
    public const int ENOSPC = 28;
    public const int EROFS = 30;
    public const int ENOSYS = 38;
    public const int ELOOP = 40;
    public const int EOPNOTSUPP = 95;
    public const int EDQUOT = 122;

    /// <summary>As in "ENOSPC", or "errno 512".</summary>
    public static string Name(int number) => number switch
    {
        EPERM => nameof(EPERM),
        ENOENT => nameof(ENOENT),
        EINTR => nameof(EINTR),
        EIO => nameof(EIO),
        6 => "ENXIO",
        EBADF => nameof(EBADF),
        EAGAIN => nameof(EAGAIN),
        ENOMEM => nameof(ENOMEM),
        EACCES => nameof(EACCES),
        EFAULT => nameof(EFAULT),
        16 => "EBUSY",
        18 => "EXDEV",
        EEXIST => nameof(EEXIST),
        ENODEV => nameof(ENODEV),
        ENOTDIR => nameof(ENOTDIR),
        EISDIR => nameof(EISDIR),
        EINVAL => nameof(EINVAL),
        23 => "ENFILE",
        24 => "EMFILE",
        ENOTTY => nameof(ENOTTY),
        26 => "ETXTBSY",
        EFBIG => nameof(EFBIG),
        ENOSPC => nameof(ENOSPC),
        EROFS => nameof(EROFS),
        31 => "EMLINK",
        36 => "ENAMETOOLONG",
        37 => "ENOLCK",
        ENOSYS => nameof(ENOSYS),
        ELOOP => nameof(ELOOP),
        75 => "EOVERFLOW",
        EOPNOTSUPP => nameof(EOPNOTSUPP),
        116 => "ESTALE",
        133 => "EHWPOISON",
        EDQUOT => nameof(EDQUOT),
        _ => $"errno {number}",
    };

    /// <summary>As in "ENOSPC (No space left on device)".</summary>
    public static string Describe(int number) => $"{Name(number)} ({Marshal.GetPInvokeErrorMessage(number)})";
}
