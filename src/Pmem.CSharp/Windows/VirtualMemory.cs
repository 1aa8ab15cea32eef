using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Windows;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  memory is allocated, and views begin, at multiples of 64 KiB
//  (dwAllocationGranularity); the offset of a view too               Microsoft, MapViewOfFileEx; SYSTEM_INFO
//  memory is released whole; a part of it can be decommitted         Microsoft, VirtualFree
//  a page with both rights is refused by arbitrary code guard, and so
//  is one that becomes executable                                    Microsoft, SetProcessMitigationPolicy, ProcessDynamicCodePolicy
//  FlushInstructionCache makes new instructions seen                 Microsoft, FlushInstructionCache
//  a read or write of a process's memory fails with an error where an
//  access would end the process                                      Microsoft, ReadProcessMemory, WriteProcessMemory
//  DirectMapped says that a view is of the storage itself (DAX)      Windows SDK, memoryapi.h, WIN32_MEMORY_REGION_INFORMATION;
//                                                                    PMDK, src/libpmem2/auto_flush_windows.c, is_direct_mapped

/// <summary>memoryapi.h: memory of this process. Every call returns 0, or the error number, which is negative.</summary>
internal static unsafe partial class VirtualMemory
{
    /// <summary>What views and allocations begin at multiples of.</summary>
    public const long GranuleBytes = 64 * 1024;

    private const uint Commit = 0x1000, Reserve = 0x2000, Decommit = 0x4000, ReleaseAll = 0x8000;
    private const uint NoAccess = 1, ReadOnly = 2, ReadWrite = 4, Execute = 0x10, ExecuteRead = 0x20, ExecuteReadWrite = 0x40, Guard = 0x100;
    private const uint IsCommitted = 0x1000, IsFree = 0x10000, IsPrivate = 0x20000;
    private static readonly nint ThisProcess = -1;

    /// <summary>Memory that reads as zero, at an address where one is given; 0 and the error number where there is none.</summary>
    public static nint Allocate(nint address, long lengthBytes, PmemProtection protection, out int error)
    {
        nint start = VirtualAlloc(address, (nuint)lengthBytes, Reserve | Commit, PageRights(protection));
        error = start == 0 ? LastError() : 0;
        return start;
    }

    /// <summary>Where so many bytes of address space are free at this moment; 0 where they are nowhere.</summary>
    public static nint FindRoom(long lengthBytes)
    {
        nint start = VirtualAlloc(0, (nuint)lengthBytes, Reserve, NoAccess);
        if (start != 0) _ = Release(start);
        return start;
    }

    /// <summary>Gives back all that was allocated at an address.</summary>
    public static int Release(nint address) => VirtualFree(address, 0, ReleaseAll) ? 0 : LastError();

    /// <summary>Gives back memory without a file: all of an allocation, or the pages of a part of it.</summary>
    public static int Free(nint address, long lengthBytes)
    {
        if (!Bounds.isWhole(Environment.SystemPageSize, address)) return WinError.ERROR_INVALID_PARAMETER;
        Region region = At(address);
        if (region.State == IsFree) return WinError.ERROR_INVALID_ADDRESS;
        // A part of a view cannot be unmapped, and a view of somebody else's is theirs.
        if (region.Type != IsPrivate) return WinError.ERROR_INVALID_PARAMETER;
        bool isAll = region.AllocationBase == address && At(address + (nint)lengthBytes).AllocationBase != address;
        if (isAll) return Release(address);
        return VirtualFree(address, (nuint)lengthBytes, Decommit) ? 0 : LastError();
    }

    public static int Protect(nint address, long lengthBytes, PmemProtection protection) =>
        VirtualProtect(address, (nuint)lengthBytes, PageRights(protection), out _) ? 0 : LastError();

    /// <summary>Takes the right to store, and gives that to execute; false where the system refuses.</summary>
    public static bool MakeExecutable(nint page, long lengthBytes) =>
        Protect(page, lengthBytes, PmemProtection.Read | PmemProtection.Execute) == 0 && FlushInstructionCache(ThisProcess, page, (nuint)lengthBytes);

    /// <summary>Whether every page of a range is there, and may be accessed.</summary>
    public static bool IsMapped(nint address, long lengthBytes)
    {
        nint end = address + (nint)lengthBytes;
        while (address < end)
        {
            Region region = At(address);
            if (region.State != IsCommitted || (region.Protection & (NoAccess | Guard)) != 0) return false;
            address = region.End;
        }
        return true;
    }

    /// <summary>
    /// What a sync of memory that is no view of ours comes to, and up to where: 0 where it has no file, else the error number.
    /// </summary>
    public static int Unsynced(nint address, out nint next)
    {
        Region region = At(address);
        next = region.End;
        if (region.State != IsCommitted) return WinError.ERROR_INVALID_ADDRESS;
        // Of a view that somebody else made no file is known that FlushFileBuffers could be asked for.
        return region.Type == IsPrivate ? 0 : WinError.ERROR_INVALID_HANDLE;
    }

    /// <summary>The first place with room at or above an address; 0 where there is none.</summary>
    public static nint FirstUnused(in MapPlan plan)
    {
        nint candidate = (nint)Placement.At(plan.Hint, plan);
        while (TryQuery(candidate, out Region region))
        {
            if (region.State == IsFree && region.End - candidate >= plan.Bytes.Length) return candidate;
            candidate = (nint)Placement.At(region.End, plan);
        }
        return 0;
    }

    /// <summary>Makes every page present: 0, or the error number.</summary>
    public static int Populate(nint address, long lengthBytes, bool isReadOnly)
    {
        byte* seen = stackalloc byte[1];
        for (nint at = address; at < address + (nint)lengthBytes; at += Environment.SystemPageSize)
        {
            int error = Copy(at, seen, 1, isRead: true);
            if (error != 0) return error;
            // SAFETY: the page is there by now, and a change by nothing loses no store of others.
            if (!isReadOnly) _ = Interlocked.Or(ref *(int*)at, 0);
        }
        return 0;
    }

    /// <summary>Copies out of memory that may be broken, or to it: 0, or the error number.</summary>
    public static int Copy(nint doubtful, byte* own, nuint length, bool isRead) =>
        (isRead ? ReadProcessMemory(ThisProcess, doubtful, own, length, 0) : WriteProcessMemory(ThisProcess, doubtful, own, length, 0)) ? 0 : LastError();

    /// <summary>Whether a view is of the storage itself. A system that cannot tell has no such views.</summary>
    public static bool IsDirect(nint address)
    {
        const uint directMapped = 1 << 5;
        try
        {
            return QueryVirtualMemoryInformation(ThisProcess, address, 0, out RegionFacts facts, (nuint)sizeof(RegionFacts), out _)
                && (facts.Flags & directMapped) != 0;
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            return false;
        }
    }

    public static nint MapView(SafeFileHandle section, uint access, in MapPlan plan, nint address, out int error)
    {
        long offset = plan.Bytes.Offset;
        nint start = MapViewOfFileEx(section, access, (uint)(offset >> 32), (uint)offset, (nuint)plan.Bytes.Length, address);
        error = start == 0 ? LastError() : 0;
        return start;
    }

    public static int UnmapView(nint address) => UnmapViewOfFile(address) ? 0 : LastError();

    public static int FlushView(nint start, nint lengthBytes) => FlushViewOfFile(start, (nuint)lengthBytes) ? 0 : LastError();

    /// <summary>Waits, whatever interrupts the thread: who waits here holds what others wait for.</summary>
    public static void Pause(int milliseconds) => Sleep((uint)milliseconds);

    private static Region At(nint address) => TryQuery(address, out Region region) ? region : new Region { Length = nint.MaxValue - address, Base = address, State = IsFree };

    private static bool TryQuery(nint address, out Region region) => VirtualQuery(address, out region, (nuint)sizeof(Region)) != 0;

    private static uint PageRights(PmemProtection protection) =>
        (protection.HasFlag(PmemProtection.Execute), protection.HasFlag(PmemProtection.Write), protection.HasFlag(PmemProtection.Read)) switch
        {
            (true, true, _) => ExecuteReadWrite,
            (true, false, true) => ExecuteRead,
            (true, false, false) => Execute,
            (false, true, _) => ReadWrite,
            (false, false, true) => ReadOnly,
            _ => NoAccess,
        };

    private static int LastError() => WinError.Of(Marshal.GetLastPInvokeError());

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial nint VirtualAlloc(nint address, nuint length, uint kind, uint protection);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool VirtualFree(nint address, nuint length, uint kind);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool VirtualProtect(nint address, nuint length, uint protection, out uint before);

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial nuint VirtualQuery(nint address, out Region region, nuint bytes);

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial nint MapViewOfFileEx(SafeFileHandle section, uint access, uint offsetHigh, uint offsetLow, nuint length, nint address);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool UnmapViewOfFile(nint address);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool FlushViewOfFile(nint address, nuint length);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool FlushInstructionCache(nint process, nint address, nuint length);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool ReadProcessMemory(nint process, nint from, byte* to, nuint length, nint copied);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool WriteProcessMemory(nint process, nint to, byte* from, nuint length, nint copied);

    [LibraryImport("kernel32")]
    private static partial void Sleep(uint milliseconds);

    [LibraryImport("kernelbase", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool QueryVirtualMemoryInformation(nint process, nint address, int kind, out RegionFacts facts, nuint bytes, out nuint returned);

    /// <summary>MEMORY_BASIC_INFORMATION.</summary>
    private struct Region
    {
        public nint Base, AllocationBase;
        public uint AllocationProtection, Partition;
        public nint Length;
        public uint State, Protection, Type;

        public readonly nint End => Base + Length;
    }

    /// <summary>WIN32_MEMORY_REGION_INFORMATION.</summary>
    private struct RegionFacts
    {
        public nint AllocationBase;
        public uint AllocationProtection, Flags;
        public nuint RegionBytes, CommittedBytes;
    }
}
