namespace Pmem;

/// <summary>
/// winerror.h: the numbers that Windows has for what failed. The seam carries them as HRESULTs (HRESULT_FROM_WIN32), which are negative, so
/// that they never mix with those of errno.h.
/// </summary>
/// <remarks>Source: Microsoft, "System Error Codes". What each means as an errno is told as libpmem's functions tell it.</remarks>
internal static class WinError
{
    private const int Win32 = unchecked((int)0x80070000), CodeMask = 0xFFFF;

    public const int ERROR_INVALID_FUNCTION = Win32 | 1;
    public const int ERROR_FILE_NOT_FOUND = Win32 | 2;
    public const int ERROR_PATH_NOT_FOUND = Win32 | 3;
    public const int ERROR_ACCESS_DENIED = Win32 | 5;
    public const int ERROR_INVALID_HANDLE = Win32 | 6;
    public const int ERROR_NOT_ENOUGH_MEMORY = Win32 | 8;
    public const int ERROR_WRITE_PROTECT = Win32 | 19;
    public const int ERROR_CRC = Win32 | 23;
    public const int ERROR_SHARING_VIOLATION = Win32 | 32;
    public const int ERROR_LOCK_VIOLATION = Win32 | 33;
    public const int ERROR_HANDLE_EOF = Win32 | 38;
    public const int ERROR_HANDLE_DISK_FULL = Win32 | 39;
    public const int ERROR_NOT_SUPPORTED = Win32 | 50;
    public const int ERROR_FILE_EXISTS = Win32 | 80;
    public const int ERROR_INVALID_PARAMETER = Win32 | 87;
    public const int ERROR_DISK_FULL = Win32 | 112;
    public const int ERROR_ALREADY_EXISTS = Win32 | 183;
    public const int ERROR_INVALID_ADDRESS = Win32 | 487;
    public const int ERROR_NOACCESS = Win32 | 998;
    public const int ERROR_IO_DEVICE = Win32 | 1117;
    public const int ERROR_USER_MAPPED_FILE = Win32 | 1224;

    private static readonly Dictionary<int, (string Name, int Errno)> Known = new()
    {
        [ERROR_INVALID_FUNCTION] = (nameof(ERROR_INVALID_FUNCTION), Errno.EOPNOTSUPP),
        [ERROR_FILE_NOT_FOUND] = (nameof(ERROR_FILE_NOT_FOUND), Errno.ENOENT),
        [ERROR_PATH_NOT_FOUND] = (nameof(ERROR_PATH_NOT_FOUND), Errno.ENOENT),
        [Of(4)] = ("ERROR_TOO_MANY_OPEN_FILES", Errno.EMFILE),
        [ERROR_ACCESS_DENIED] = (nameof(ERROR_ACCESS_DENIED), Errno.EACCES),
        [ERROR_INVALID_HANDLE] = (nameof(ERROR_INVALID_HANDLE), Errno.EBADF),
        [ERROR_NOT_ENOUGH_MEMORY] = (nameof(ERROR_NOT_ENOUGH_MEMORY), Errno.ENOMEM),
        [Of(14)] = ("ERROR_OUTOFMEMORY", Errno.ENOMEM),
        [Of(15)] = ("ERROR_INVALID_DRIVE", Errno.ENOENT),
        [ERROR_WRITE_PROTECT] = (nameof(ERROR_WRITE_PROTECT), Errno.EROFS),
        [Of(21)] = ("ERROR_NOT_READY", Errno.EIO),
        [ERROR_CRC] = (nameof(ERROR_CRC), Errno.EIO),
        [Of(29)] = ("ERROR_WRITE_FAULT", Errno.EIO),
        [Of(30)] = ("ERROR_READ_FAULT", Errno.EIO),
        [Of(31)] = ("ERROR_GEN_FAILURE", Errno.EIO),
        [ERROR_SHARING_VIOLATION] = (nameof(ERROR_SHARING_VIOLATION), Errno.EAGAIN),
        [ERROR_LOCK_VIOLATION] = (nameof(ERROR_LOCK_VIOLATION), Errno.EAGAIN),
        [ERROR_HANDLE_EOF] = (nameof(ERROR_HANDLE_EOF), Errno.EFAULT),
        [ERROR_HANDLE_DISK_FULL] = (nameof(ERROR_HANDLE_DISK_FULL), Errno.ENOSPC),
        [ERROR_NOT_SUPPORTED] = (nameof(ERROR_NOT_SUPPORTED), Errno.EOPNOTSUPP),
        [Of(53)] = ("ERROR_BAD_NETPATH", Errno.ENOENT),
        [ERROR_FILE_EXISTS] = (nameof(ERROR_FILE_EXISTS), Errno.EEXIST),
        [ERROR_INVALID_PARAMETER] = (nameof(ERROR_INVALID_PARAMETER), Errno.EINVAL),
        [ERROR_DISK_FULL] = (nameof(ERROR_DISK_FULL), Errno.ENOSPC),
        [Of(123)] = ("ERROR_INVALID_NAME", Errno.ENOENT),
        [Of(161)] = ("ERROR_BAD_PATHNAME", Errno.ENOENT),
        [ERROR_ALREADY_EXISTS] = (nameof(ERROR_ALREADY_EXISTS), Errno.EEXIST),
        [Of(206)] = ("ERROR_FILENAME_EXCED_RANGE", Errno.ENAMETOOLONG),
        [Of(223)] = ("ERROR_FILE_TOO_LARGE", Errno.EFBIG),
        [Of(267)] = ("ERROR_DIRECTORY", Errno.ENOTDIR),
        [Of(299)] = ("ERROR_PARTIAL_COPY", Errno.EFAULT),
        [ERROR_INVALID_ADDRESS] = (nameof(ERROR_INVALID_ADDRESS), Errno.ENOMEM),
        [Of(995)] = ("ERROR_OPERATION_ABORTED", Errno.EINTR),
        [ERROR_NOACCESS] = (nameof(ERROR_NOACCESS), Errno.EFAULT),
        [Of(1006)] = ("ERROR_FILE_INVALID", Errno.EINVAL),
        [ERROR_IO_DEVICE] = (nameof(ERROR_IO_DEVICE), Errno.EIO),
        [ERROR_USER_MAPPED_FILE] = (nameof(ERROR_USER_MAPPED_FILE), Errno.EBUSY),
        [Of(1295)] = ("ERROR_DISK_QUOTA_EXCEEDED", Errno.EDQUOT),
        [Of(1314)] = ("ERROR_PRIVILEGE_NOT_HELD", Errno.EPERM),
        [Of(1450)] = ("ERROR_NO_SYSTEM_RESOURCES", Errno.ENOMEM),
        [Of(1455)] = ("ERROR_COMMITMENT_LIMIT", Errno.ENOMEM),
    };

    /// <summary>The number that the seam carries for a code of Windows.</summary>
    public static int Of(int code) => Win32 | (code & CodeMask);

    /// <summary>The code, as GetLastError has it, of a number that the seam carries.</summary>
    public static int CodeOf(int number) => number & CodeMask;

    /// <summary>As in "ERROR_DISK_FULL", or "Windows error 4390".</summary>
    public static string Name(int number) => Known.TryGetValue(number, out var known) ? known.Name : $"Windows error {CodeOf(number)}";

    /// <summary>What C would have in errno; EIO where nothing fits: it is not known to be harmless.</summary>
    public static int ErrnoOf(int number) => Known.TryGetValue(number, out var known) ? known.Errno : Errno.EIO;
}
