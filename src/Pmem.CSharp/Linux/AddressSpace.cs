using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Linux;

/// <summary>Mapping an open file at a good address.</summary>
internal static unsafe class AddressSpace
{
    /// <summary>Maps the bytes; 0 and the error number where the system refuses. Says whether MAP_SYNC was granted.</summary>
    /// <remarks>
    /// The address is a hint, never MAP_FIXED: a file system that refuses MAP_SYNC does so after the kernel has removed what
    /// was mapped there, and by the second attempt the hole can be another thread's memory. A race that is lost costs the
    /// alignment and nothing else.
    /// </remarks>
    public static nint Map(SafeFileHandle file, in MapPlan plan, bool isDevice, out bool isSync, out int error)
    {
        int protection = (int)plan.Protection;
        nuint length = (nuint)plan.Bytes.Length;
        nint wanted = AddressFor(plan);

        nint address = 0;
        error = Errno.EOPNOTSUPP;
        // MAP_SYNC is of shared mappings alone: mmap(2).
        if (!isDevice && !plan.IsPrivate)
        {
            address = SysMman.Map(wanted, length, protection, SysMman.MapSharedValidate | SysMman.MapSync, file, plan.Bytes.Offset);
            error = address == 0 ? Marshal.GetLastPInvokeError() : 0;
        }
        isSync = address != 0;
        if (error is Errno.EOPNOTSUPP or Errno.EINVAL)
        {
            address = SysMman.Map(wanted, length, protection, plan.IsPrivate ? SysMman.MapPrivate : SysMman.MapShared, file, plan.Bytes.Offset);
            error = address == 0 ? Marshal.GetLastPInvokeError() : 0;
        }
        return address;
    }

    /// <summary>
    /// Makes every page present, so that no later access faults: 0, or the error number; EFAULT is what would have been SIGBUS.
    /// </summary>
    public static int Populate(nint address, long lengthBytes, bool isReadOnly)
    {
        int error = SysMman.Populate(address, (nuint)lengthBytes, isReadOnly);
        // A kernel before 5.14 does not know it, and special mappings refuse it.
        if (error is not Errno.EINVAL) return error;
        for (long offset = 0; offset < lengthBytes; offset += Environment.SystemPageSize) Touch((byte*)address + offset, isReadOnly);
        return 0;
    }

    /// <summary>The first place with room at or above an address, in the list of /proc/self/maps; 0 where there is none.</summary>
    /// <remarks>As libpmem(7) says of PMEM_MMAP_HINT; PMDK, src/common/mmap_posix.c, util_map_hint_unused.</remarks>
    public static nint FirstUnused(IEnumerable<string> maps, in MapPlan plan)
    {
        long candidate = Placement.At(plan.Hint, plan);
        foreach (string line in maps)
        {
            (long low, long high) = RangeOf(line);
            if (low >= candidate && low - candidate >= plan.Bytes.Length) break;
            if (high > candidate) candidate = Placement.At(high, plan);
        }
        return (nint)candidate;
    }

    /// <summary>Whether a page in a range may not be accessed (PROT_NONE, as in reserved space); not where /proc does not say.</summary>
    public static bool IsHidden(nint address, long lengthBytes) =>
        LinesOf(address, lengthBytes).Any(line => line.AsSpan(line.IndexOf(' ', StringComparison.Ordinal) + 1).StartsWith("---"));

    /// <summary>The path of the one file that is mapped in all of a range; empty where there is none, or /proc does not say.</summary>
    public static string PathAt(nint address, long lengthBytes)
    {
        string[] paths = [.. LinesOf(address, lengthBytes).Select(PathIn).Distinct()];
        return paths is [var one] ? one : "";
    }

    private static List<string> LinesOf(nint address, long lengthBytes)
    {
        try
        {
            return
            [
                .. File.ReadLines("/proc/self/maps")
                    .Where(line => RangeOf(line) is var (low, high) && low < address + lengthBytes && address < high),
            ];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return []; }
    }

    private static string PathIn(string line) => line.IndexOf('/', StringComparison.Ordinal) is >= 0 and var at ? line[at..] : "";

    private static nint AddressFor(in MapPlan plan)
    {
        if (plan.Hint != 0)
        {
            try { return FirstUnused(File.ReadLines("/proc/self/maps"), plan); }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return (nint)Placement.At(plan.Hint, plan); }
        }
        return plan.AlignmentBytes > Environment.SystemPageSize ? Placement.FindFree(plan, FindRoom) : 0;
    }

    /// <summary>Where so many bytes are free at this moment; 0 where they are nowhere.</summary>
    private static nint FindRoom(long lengthBytes)
    {
        nint start = SysMman.MapAnonymous((nuint)lengthBytes, SysMman.ProtNone, SysMman.MapNoReserve);
        if (start != 0) _ = SysMman.Unmap(start, (nuint)lengthBytes);
        return start;
    }

    /// <summary>A line of /proc/PID/maps begins with the range, in hexadecimal: proc(5).</summary>
    private static (long Low, long High) RangeOf(string line)
    {
        int dash = line.IndexOf('-', StringComparison.Ordinal), end = line.IndexOf(' ', StringComparison.Ordinal);
        return (Hex(line.AsSpan(0, dash)), Hex(line.AsSpan(dash + 1, end - dash - 1)));
    }

    /// <summary>The kernel's own page at the end (vsyscall) is beyond what is positive, and so beyond what can be mapped.</summary>
    private static long Hex(ReadOnlySpan<char> digits) =>
        long.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out long address) && address >= 0
            ? address
            : long.MaxValue;

    private static void Touch(byte* page, bool isReadOnly)
    {
        // SAFETY: the page is mapped, and a change by nothing loses no store of others.
        if (isReadOnly) _ = Volatile.Read(ref *page);
        else _ = Interlocked.Or(ref *(int*)page, 0);
    }
}
