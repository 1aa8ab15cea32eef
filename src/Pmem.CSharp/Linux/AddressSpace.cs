using System.Runtime.InteropServices;

namespace Pmem.Linux;

/// <summary>Mapping an open file at a good address.</summary>
internal static class AddressSpace
{
    /// <summary>A random slot of this many is chosen, besides the randomisation that the kernel does.</summary>
    private const int RandomSlots = 16;

    /// <summary>Maps the bytes; 0 and the error number where the system refuses. Says whether MAP_SYNC was granted.</summary>
    /// <remarks>
    /// The address is a hint, never MAP_FIXED: a file system that refuses MAP_SYNC does so after the kernel has removed what
    /// was mapped there, and by the second attempt the hole can be another thread's memory. A race that is lost costs the
    /// alignment and nothing else.
    /// </remarks>
    public static nint Map(int fd, ByteRange bytes, bool isReadOnly, bool isDevice, long alignment, long hint, out bool isSync, out int error)
    {
        int protection = isReadOnly ? SysMman.ProtRead : SysMman.ProtRead | SysMman.ProtWrite;
        nuint length = (nuint)bytes.Length;
        nint wanted = (nint)hint;
        if (hint == 0 && alignment > Environment.SystemPageSize)
            wanted = FindFree(length, (nuint)alignment, (nuint)bytes.Offset);

        nint address = 0;
        error = Errno.EOPNOTSUPP;
        if (!isDevice)
        {
            address = SysMman.Map(wanted, length, protection, SysMman.MapSharedValidate | SysMman.MapSync, fd, bytes.Offset);
            error = address == 0 ? Marshal.GetLastPInvokeError() : 0;
        }
        isSync = address != 0;
        if (error is Errno.EOPNOTSUPP or Errno.EINVAL)
        {
            address = SysMman.Map(wanted, length, protection, SysMman.MapShared, fd, bytes.Offset);
            error = address == 0 ? Marshal.GetLastPInvokeError() : 0;
        }
        return address;
    }

    /// <summary>
    /// A free address that lies in its huge page as the file offset does, in a random slot; 0 where there is not that much
    /// address space. It was free a moment ago: it is a hint.
    /// </summary>
    private static nint FindFree(nuint length, nuint alignment, nuint offset)
    {
        nuint slot = (nuint)Random.Shared.Next(RandomSlots) * alignment;
        nuint size = RoundUp(length, (nuint)Environment.SystemPageSize);
        nuint reserve = size + alignment * (RandomSlots + 1);
        if (reserve < size) return 0;
        nint start = SysMman.Map(
            0, reserve, SysMman.ProtNone, SysMman.MapPrivate | SysMman.MapAnonymous | SysMman.MapNoReserve, -1, 0);
        if (start == 0) return 0;
        _ = SysMman.Unmap(start, reserve);
        return (nint)(RoundUp((nuint)start, alignment) + slot + offset % alignment);
    }

    private static nuint RoundUp(nuint value, nuint unit) => (value + unit - 1) / unit * unit;
}
