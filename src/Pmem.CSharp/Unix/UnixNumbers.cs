using System.Runtime.InteropServices;

namespace Pmem.Unix;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  macOS: MAP_ANON 0x1000, MS_SYNC 0x10; O_NONBLOCK 4, O_CLOEXEC
//  0x1000000, F_FULLFSYNC 51; FIOCLEX 0x20006601                     Apple, sys/mman.h; sys/fcntl.h; sys/filio.h
//  struct stat: dev (32 bits) at 0, mode at 4, ino at 8, size at 96;
//  of x86-64 it is what fstat$INODE64 fills                          Apple, sys/stat.h, __DARWIN_STRUCT_STAT64; sys/cdefs.h
//  FreeBSD 12: MAP_ANON 0x1000, MS_SYNC 0; O_NONBLOCK 4, O_CLOEXEC
//  0x100000; mode at 24, ino at 8, size at 112                       FreeBSD, sys/mman.h, sys/fcntl.h, sys/stat.h
//  Linux: MAP_ANONYMOUS 0x20, MS_SYNC 4; O_NONBLOCK 0x800, O_CLOEXEC
//  0x80000; FIOCLEX 0x5451; mode at 24, on Arm64 at 16; size at 48   Linux uapi, asm-generic/mman.h, fcntl.h, ioctls.h; asm/stat.h

/// <summary>The numbers that the systems have for the same calls. With Linux's, the storage of the others runs in the tests.</summary>
internal sealed record UnixNumbers
{
    public required int MapAnonymous { get; init; }

    public required int Synchronously { get; init; }

    public required int NonBlocking { get; init; }

    public required int CloseOnExec { get; init; }

    /// <summary>ioctl's request that has a descriptor closed on exec.</summary>
    public required uint SetCloseOnExec { get; init; }

    /// <summary>The command of fcntl that empties the drive's buffer as well; null where fsync does.</summary>
    public int? FullSync { get; init; }

    /// <summary>errno's numbers are the BSDs'.</summary>
    public bool HasBsdErrors { get; init; } = true;

    /// <summary>The function that fills struct stat has a name of its own.</summary>
    public bool IsStatRenamed { get; init; }

    /// <summary>A device's number has 32 bits in struct stat, else 64.</summary>
    public bool IsDeviceShort { get; init; }

    /// <summary>Where struct stat has type and mode, in bytes.</summary>
    public required int ModeAt { get; init; }

    /// <summary>Where it has the length.</summary>
    public required int LengthAt { get; init; }

    private static bool IsArm64 => RuntimeInformation.ProcessArchitecture == Architecture.Arm64;

    public static UnixNumbers MacOS { get; } = new()
    {
        MapAnonymous = 0x1000,
        Synchronously = 0x10,
        NonBlocking = 4,
        CloseOnExec = 0x1000000,
        SetCloseOnExec = 0x20006601,
        FullSync = 51,
        IsStatRenamed = !IsArm64,
        IsDeviceShort = true,
        ModeAt = 4,
        LengthAt = 96,
    };

    public static UnixNumbers FreeBsd { get; } = MacOS with
    {
        Synchronously = 0,
        CloseOnExec = 0x100000,
        FullSync = null,
        IsStatRenamed = false,
        IsDeviceShort = false,
        ModeAt = 24,
        LengthAt = 112,
    };

    public static UnixNumbers Linux { get; } = new()
    {
        MapAnonymous = 0x20,
        Synchronously = 4,
        NonBlocking = 0x800,
        CloseOnExec = 0x80000,
        SetCloseOnExec = 0x5451,
        HasBsdErrors = false,
        ModeAt = IsArm64 ? 16 : 24,
        LengthAt = 48,
    };
}
