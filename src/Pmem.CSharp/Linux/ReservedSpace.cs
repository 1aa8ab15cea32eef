using System.Runtime.InteropServices;

namespace Pmem.Linux;

/// <summary>Address space that is kept free for mappings to come: mapped, and not accessible.</summary>
internal static class ReservedSpace
{
    /// <summary>
    /// Reserves space at a multiple of the alignment, or at the address where one is given: its start, or 0 and the error number.
    /// </summary>
    public static nint Reserve(nint address, long lengthBytes, long alignmentBytes, out int error)
    {
        if (address != 0) return ReserveAt(address, lengthBytes, out error);
        nint all = (nint)new ByteRange(lengthBytes, alignmentBytes).End;
        nint start = SysMman.MapAnonymous((nuint)all, SysMman.ProtNone, SysMman.MapNoReserve);
        error = start == 0 ? Marshal.GetLastPInvokeError() : 0;
        if (start == 0) return 0;
        nint first = (nint)Units.up(alignmentBytes - 1, start);
        nint before = first - start, behind = all - before - (nint)lengthBytes;
        if (before > 0) _ = SysMman.Unmap(start, (nuint)before);
        if (behind > 0) _ = SysMman.Unmap(first + (nint)lengthBytes, (nuint)behind);
        return first;
    }

    /// <summary>Unmaps what lies there. Nobody else's memory can come there meanwhile.</summary>
    public static int Vacate(nint address, long lengthBytes) => SysMman.Blank(address, (nuint)lengthBytes);

    /// <summary>
    /// Moves a mapping into reserved space. Mapping there at once, by MAP_FIXED, would not do: a file system that refuses MAP_SYNC
    /// does so after the kernel has removed the reservation, and another thread's memory could come into the hole.
    /// </summary>
    public static int Move(nint from, nint to, long lengthBytes)
    {
        int error = SysMman.Move(from, to, (nuint)lengthBytes);
        // What was there may be unmapped by then.
        if (error != 0) _ = ReserveAt(to, lengthBytes, out _);
        return error;
    }

    private static nint ReserveAt(nint address, long lengthBytes, out int error)
    {
        const int flags = SysMman.MapNoReserve | SysMman.MapFixedNoReplace;
        nint start = SysMman.MapAnonymous((nuint)lengthBytes, SysMman.ProtNone, flags, address);
        error = start == 0 ? Marshal.GetLastPInvokeError() : 0;
        if (start == 0 || start == address) return start;
        // A kernel before 4.17 takes the address for a hint.
        _ = SysMman.Unmap(start, (nuint)lengthBytes);
        error = Errno.EEXIST;
        return 0;
    }
}
