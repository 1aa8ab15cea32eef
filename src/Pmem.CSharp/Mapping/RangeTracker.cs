using System.Diagnostics.Metrics;

namespace Pmem;

/// <summary>
/// The address ranges of all live mappings, whoever made them, and their files. Ranges are disjoint and sorted, the highest
/// first: a system that maps downwards then adds at the end, and moves nothing.
/// </summary>
internal static class RangeTracker
{
    private static readonly Lock Gate = new();
    private static readonly List<Tracked> Ranges = [];

    static RangeTracker() => PmemMeter.Watch(() => Measure(_ => 1), () => Measure(range => range.End - range.Start));

    private readonly record struct Tracked(nint Start, nint End, MappedFile File)
    {
        /// <summary>Where the range ends in the file.</summary>
        public long FileEnd => File.Info.Facts.FileRange.Offset + (End - File.Address);
    }

    /// <summary>
    /// Maps a file and tracks the mapping in one step, so that nobody cuts the file in between. What was tracked of the range
    /// is gone: the system would not have mapped there otherwise.
    /// </summary>
    public static MappedFile Map(Func<MappedFile> map)
    {
        lock (Gate)
        {
            MappedFile file = map();
            Add(file);
            return file;
        }
    }

    /// <summary>Tracks a mapping.</summary>
    public static void Add(MappedFile file)
    {
        lock (Gate)
        {
            Forget(file.Address, file.Address + file.MappedBytes);
            Ranges.Insert(IndexBelow(file.Address), new Tracked(file.Address, file.Address + file.LengthBytes, file));
        }
    }

    /// <summary>Tracks a mapping instead of what it was before it grew, or failed to.</summary>
    public static void Replace(MappedFile file, MappedFile by)
    {
        lock (Gate)
        {
            Forget(file.Address, file.Address + file.MappedBytes);
            Add(by);
        }
    }

    /// <summary>Unmaps a range, and forgets it if that succeeds: 0, or the error number. The address space may stay reserved.</summary>
    public static int Unmap(nint start, nint length, bool staysReserved = false)
    {
        lock (Gate)
        {
            int error = staysReserved ? FileMapper.System.Vacate(start, length) : FileMapper.System.Unmap(start, length);
            if (error == 0) Forget(start, start + length);
            return error;
        }
    }

    /// <summary>Forgets a range, or the part of it that is in the tracked ones.</summary>
    public static int Remove(nint start, nint length)
    {
        lock (Gate) Forget(start, start + length);
        return 0;
    }

    /// <summary>Tracks a mapping, unless a part of it is tracked already.</summary>
    public static bool TryAdd(MappedFile file)
    {
        lock (Gate)
        {
            nint end = file.Address + file.LengthBytes;
            bool isFree = PieceAt(file.Address, end, out nint next) is null && next == end;
            if (isFree) Add(file);
            return isFree;
        }
    }

    /// <summary>Cuts a file, unless that would be below the end of a live mapping of it: then the end, else 0.</summary>
    public static long CutUnlessMapped(FileIdentity file, long lengthBytes, Action cut)
    {
        lock (Gate)
        {
            long end = Ranges.Where(range => range.File.Identity == file).Select(range => range.FileEnd).DefaultIfEmpty().Max();
            if (end > lengthBytes) return end;
            cut();
            return 0;
        }
    }

    /// <summary>
    /// Whether every byte lies in tracked ranges of persistent memory; neighbouring ranges count as one. No byte lies in none.
    /// </summary>
    public static bool Covers(nint start, nint length)
    {
        if (length <= 0) return false;
        lock (Gate)
        {
            for (int i = IndexOf(start); i >= 0 && Ranges[i].Start <= start && Ranges[i].File.IsPmem; i--)
            {
                nint here = Ranges[i].End - start;
                if (length <= here) return true;
                start = Ranges[i].End;
                length -= here;
            }
        }
        return false;
    }

    /// <summary>The file whose mapping holds all of the range; null where none does.</summary>
    public static MappedFile? FileOf(nint start, nint length)
    {
        lock (Gate)
        {
            int i = IndexOf(start);
            return i >= 0 && length <= Ranges[i].End - start ? Ranges[i].File : null;
        }
    }

    /// <summary>
    /// The file whose mapping holds the page at the start, and where it ends there, at the end at most; null, and where the
    /// next mapping begins, for what is tracked by none.
    /// </summary>
    public static MappedFile? PieceAt(nint start, nint end, out nint next)
    {
        lock (Gate)
        {
            int i = IndexBelow(start + 1);
            if (i < Ranges.Count && start < Ranges[i].End)
            {
                Tracked found = Ranges[i];
                bool isWhole = found.End == found.File.Address + found.File.LengthBytes;
                next = Math.Min(end, isWhole ? found.File.Address + found.File.MappedBytes : found.End);
                return found.File;
            }
            next = i > 0 ? Math.Min(end, Ranges[i - 1].Start) : end;
            return null;
        }
    }

    private static Measurement<long>[] Measure(Func<Tracked, long> value)
    {
        lock (Gate)
            return
            [
                .. Ranges.GroupBy(range => range.File.Info.Granularity.ToString(), value)
                    .Select(values => PmemMeter.Measured(values.Sum(), "pmem.granularity", values.Key)),
            ];
    }

    private static void Forget(nint start, nint end)
    {
        int first = IndexBelow(end), last = IndexBelow(start);
        // Only the range below the start can reach into it.
        if (last < Ranges.Count && Ranges[last].End > start) last++;
        Tracked[] hit = [.. Ranges[first..last]];
        Ranges.RemoveRange(first, hit.Length);
        // From the lowest to the highest, so that each goes before what was put back already.
        foreach (Tracked range in hit.Reverse())
        {
            if (range.Start < start) Ranges.Insert(first, range with { End = start });
            if (end < range.End) Ranges.Insert(first, range with { Start = end });
        }
    }

    /// <summary>The index of the range that holds the address; -1 where none does.</summary>
    private static int IndexOf(nint address)
    {
        int i = IndexBelow(address + 1);
        return i < Ranges.Count && address < Ranges[i].End ? i : -1;
    }

    /// <summary>The index of the first range that starts below the address; their number where none does.</summary>
    private static int IndexBelow(nint address)
    {
        int low = 0, high = Ranges.Count;
        while (low < high)
        {
            int middle = low + (high - low) / 2;
            if (Ranges[middle].Start < address) high = middle;
            else low = middle + 1;
        }
        return low;
    }
}
