using Microsoft.FSharp.Core;

namespace Pmem.Linux;

/// <summary>A file in memory: where it lies, what the core decided about it, and which device holds it.</summary>
internal sealed record MappedFile(nint Address, MappingInfo Info, SysStat.Device Device)
{
    public nint LengthBytes => (nint)Info.LengthBytes;

    public MappingKind Kind => Info.Facts.Kind;

    public bool IsPmem => Info.IsPmem;

    /// <summary>0, or the error number. After 0 the address is no longer this file's.</summary>
    public int Unmap()
    {
        RangeTracker.Remove(Address, LengthBytes);
        return SysMman.Unmap(Address, (nuint)LengthBytes) == 0 ? 0 : System.Runtime.InteropServices.Marshal.GetLastPInvokeError();
    }

    /// <summary>What a deep drain does after its fence: 0, or the error number.</summary>
    public int DeepDrain(nint start, nint end, Machine machine, Sysfs sysfs)
    {
        string? region = Kind.IsPageCache ? null : sysfs.RegionOf(Device, isBlockDevice: Kind.IsFileDax);
        FSharpResult<DeepFlush, Refusal> decision = DeepFlush.Decide(Kind, Sysfs.DeepFlushStateOf(region));
        if (decision.IsError) throw Failures.OfDeepFlush(decision.ErrorValue, Info.Path);
        DeepFlush action = decision.ResultValue;
        if (action.IsWriteRegion) return Sysfs.WriteDeepFlush(region!);
        return action.IsSyncPages ? machine.SyncPages(start, end) : 0;
    }
}

/// <summary>The address ranges of all live mappings that are persistent memory, whoever made them, and their files.</summary>
internal static class RangeTracker
{
    private static readonly Lock Gate = new();
    private static readonly List<Tracked> Ranges = [];

    private readonly record struct Tracked(nint Start, nint End, MappedFile File);

    public static void Add(MappedFile file)
    {
        lock (Gate)
        {
            Ranges.Add(new Tracked(file.Address, file.Address + file.LengthBytes, file));
            Sort();
        }
    }

    /// <summary>Forgets a range, or the part of it that is in the tracked ones.</summary>
    public static void Remove(nint start, nint length)
    {
        nint end = start + length;
        lock (Gate)
        {
            Tracked[] hit = [.. Ranges.Where(range => range.Start < end && start < range.End)];
            foreach (Tracked range in hit)
            {
                Ranges.Remove(range);
                if (range.Start < start) Ranges.Add(range with { End = start });
                if (end < range.End) Ranges.Add(range with { Start = end });
            }
            Sort();
        }
    }

    /// <summary>Whether every byte lies in a tracked range; neighbouring ranges count as one. No byte lies in none.</summary>
    public static bool Covers(nint start, nint length)
    {
        lock (Gate)
        {
            foreach (Tracked range in Ranges)
            {
                if (range.Start > start) return false;
                if (range.End <= start) continue;
                nint here = range.End - start;
                if (length <= here) return length > 0;
                start = range.End;
                length -= here;
            }
        }
        return false;
    }

    /// <summary>The file whose persistent memory holds all of the range; null where none does.</summary>
    public static MappedFile? FileOf(nint start, nint length)
    {
        lock (Gate)
            return Ranges.Find(range => range.Start <= start && length <= range.End - start).File;
    }

    private static void Sort() => Ranges.Sort((left, right) => left.Start.CompareTo(right.Start));
}
