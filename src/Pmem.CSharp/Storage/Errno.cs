using System.Runtime.InteropServices;

namespace Pmem;

/// <summary>
/// errno.h: the numbers that decisions are taken by, and the names that a person is told. A number that the seam carries is one of these,
/// or one of <see cref="WinError"/>, which are negative.
/// </summary>
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
    public const int EBUSY = 16;
    public const int EEXIST = 17;
    public const int ENODEV = 19;
    public const int ENOTDIR = 20;
    public const int EISDIR = 21;
    public const int EINVAL = 22;
    public const int ENFILE = 23;
    public const int EMFILE = 24;
    public const int ENOTTY = 25;
    public const int EFBIG = 27;
    public const int ENOSPC = 28;
    public const int EROFS = 30;
    public const int ENAMETOOLONG = 36;
    public const int ENOSYS = 38;
    public const int ELOOP = 40;
    public const int EOPNOTSUPP = 95;
    public const int EDQUOT = 122;

    /// <summary>As in "ENOSPC", or "errno 512"; on Windows as in "ERROR_DISK_FULL".</summary>
    public static string Name(int number) => number switch
    {
        < 0 => WinError.Name(number),
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
        EBUSY => nameof(EBUSY),
        18 => "EXDEV",
        EEXIST => nameof(EEXIST),
        ENODEV => nameof(ENODEV),
        ENOTDIR => nameof(ENOTDIR),
        EISDIR => nameof(EISDIR),
        EINVAL => nameof(EINVAL),
        ENFILE => nameof(ENFILE),
        EMFILE => nameof(EMFILE),
        ENOTTY => nameof(ENOTTY),
        26 => "ETXTBSY",
        EFBIG => nameof(EFBIG),
        ENOSPC => nameof(ENOSPC),
        EROFS => nameof(EROFS),
        31 => "EMLINK",
        ENAMETOOLONG => nameof(ENAMETOOLONG),
        37 => "ENOLCK",
        ENOSYS => nameof(ENOSYS),
        ELOOP => nameof(ELOOP),
        75 => "EOVERFLOW",
        EOPNOTSUPP => nameof(EOPNOTSUPP),
        116 => "ESTALE",
        133 => "EHWPOISON",
        EDQUOT => nameof(EDQUOT),
        > BsdErrno.Foreign => $"errno {BsdErrno.FromLinux(number)} of this system",
        _ => $"errno {number}",
    };

    /// <summary>As in "ENOSPC (No space left on device)". Where another system has the words, they are those of what it means here.</summary>
    public static string Describe(int number)
    {
        bool isOwn = number < 0 == OperatingSystem.IsWindows();
        int code = number < 0 && isOwn ? WinError.CodeOf(number) : BsdErrno.IsOwn ? BsdErrno.FromLinux(Of(number)) : Of(number);
        return OperatingSystem.IsWindows() && !isOwn ? Name(number) : $"{Name(number)} ({Marshal.GetPInvokeErrorMessage(code)})";
    }

    /// <summary>What a number that the seam carries is as an errno.</summary>
    public static int Of(int number) => number < 0 ? WinError.ErrnoOf(number) : number;

    /// <summary>What the library finds out itself, as this system would say it.</summary>
    public static int OfThisSystem(int errno) => !OperatingSystem.IsWindows() ? errno : errno switch
    {
        ENOENT => WinError.ERROR_FILE_NOT_FOUND,
        EIO => WinError.ERROR_IO_DEVICE,
        EBADF => WinError.ERROR_INVALID_HANDLE,
        EACCES => WinError.ERROR_ACCESS_DENIED,
        EFAULT => WinError.ERROR_NOACCESS,
        EEXIST => WinError.ERROR_FILE_EXISTS,
        _ => errno,
    };
}
