namespace Pmem;

/// <summary>
/// errno.h of macOS and FreeBSD. The seam carries Linux's numbers, so that nothing above it knows of these: they differ from 35 on, and in 11.
/// </summary>
/// <remarks>Source: Apple, sys/errno.h; FreeBSD, sys/errno.h, where 45 is both ENOTSUP and EOPNOTSUPP, and 102 is nothing.</remarks>
internal static class BsdErrno
{
    /// <summary>Above it the seam carries what no rule here knows, which must not be taken for another error.</summary>
    public const int Foreign = 1000;

    private const int LastOfBoth = 34, EDEADLK = 11;

    private static readonly (int Bsd, int Linux)[] Differing =
    [
        (EDEADLK, 35), (35, Errno.EAGAIN), (62, Errno.ELOOP), (63, Errno.ENAMETOOLONG), (69, Errno.EDQUOT), (70, 116), (77, 37),
        (78, Errno.ENOSYS), (84, 75), (45, Errno.EOPNOTSUPP), (102, Errno.EOPNOTSUPP),
    ];

    /// <summary>Whether this process runs where the numbers are these.</summary>
    public static bool IsOwn { get; } = OperatingSystem.IsMacOS() || OperatingSystem.IsFreeBSD();

    public static int ToLinux(int number)
    {
        foreach ((int bsd, int linux) in Differing)
            if (bsd == number) return linux;
        return number <= LastOfBoth ? number : Foreign + number;
    }

    /// <summary>The number that the system's own words are found by.</summary>
    public static int FromLinux(int number)
    {
        foreach ((int bsd, int linux) in Differing)
            if (linux == number) return bsd;
        return number > Foreign ? number - Foreign : number;
    }
}
