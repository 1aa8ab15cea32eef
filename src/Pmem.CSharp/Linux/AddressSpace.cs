using System.Runtime.InteropServices;
using Pmem.Core;

namespace Pmem.Linux;

/// <summary>Mapping an open file at a good address.</summary>
internal static class AddressSpace
{
    /// <summary>A random slot of this many is chosen, besides the randomisation that the kernel does.</summary>
    private const int RandomSlots = 16;

    /// <summary>Maps the bytes; 0 and the error number where the system refuses. Says whether MAP_SYNC was granted.</summary>
    public static nint Map(int fd, ByteRange bytes, bool isReadOnly, bool isDevice, long alignment, long hint, out bool isSync, out int error)
    {
        int protection = isReadOnly ? SysMman.ProtRead : SysMman.ProtRead | SysMman.ProtWrite;
        nuint length = (nuint)bytes.Length;
        nint wanted = (nint)hint;
        nint reserved = 0;
        if (hint == 0 && alignment > Environment.SystemPageSize)
            wanted = reserved = Reserve(length, (nuint)alignment, (nuint)bytes.Offset);
        int place = reserved == 0 ? 0 : SysMman.MapFixed;

        nint address = 0;
        error = Errno.EOPNOTSUPP;
        if (!isDevice)
        {
            address = SysMman.Map(wanted, length, protection, SysMman.MapSharedValidate | SysMman.MapSync | place, fd, bytes.Offset);
            error = address == 0 ? Marshal.GetLastPInvokeError() : 0;
        }
        isSync = address != 0;
        if (error is Errno.EOPNOTSUPP or Errno.EINVAL)
        {
            address = SysMman.Map(wanted, length, protection, SysMman.MapShared | place, fd, bytes.Offset);
            error = address == 0 ? Marshal.GetLastPInvokeError() : 0;
        }
        if (address == 0 && reserved != 0) _ = SysMman.Unmap(reserved, length);
        return address;
    }

    /// <summary>
    /// Reserves an address range whose start lies in its huge page as the file offset does, in a random slot; 0 where there
    /// is not that much address space. Nothing but MAP_FIXED over it may follow.
    /// </summary>
    private static nint Reserve(nuint length, nuint alignment, nuint offset)
    {
        nuint slot = (nuint)Random.Shared.Next(RandomSlots) * alignment;
        nuint size = RoundUp(length, (nuint)Environment.SystemPageSize);
        nuint reserve = size + alignment * (RandomSlots + 1);
        if (reserve < size) return 0;
        nint start = SysMman.Map(
            0, reserve, SysMman.ProtNone, SysMman.MapPrivate | SysMman.MapAnonymous | SysMman.MapNoReserve, -1, 0);
        if (start == 0) return 0;

        nuint first = RoundUp((nuint)start, alignment) + slot + offset % alignment;
        nuint head = first - (nuint)start;
        if (head > 0) _ = SysMman.Unmap(start, head);
        nuint tail = reserve - head - size;
        if (tail > 0) _ = SysMman.Unmap((nint)(first + size), tail);
        return (nint)first;
    }

    private static nuint RoundUp(nuint value, nuint unit) => (value + unit - 1) / unit * unit;
}
