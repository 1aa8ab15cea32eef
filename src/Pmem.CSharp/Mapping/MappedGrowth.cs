namespace Pmem;

//  fact                                                                     source
//  -----------------------------------------------------------------------  ---------------------------------------------
//  pages can be mapped before the file has them                              mmap(2), NOTES
//  fsync of the open file that is mapped would hear of a failed write-back   fsync(2); Linux, lib/errseq.c
//  in the place of the mapping's own msync: so the length is synced by
//  another open file

/// <summary>Making a mapping longer where it lies. What fails leaves file and mapping as they were.</summary>
internal static class MappedGrowth
{
    /// <summary>
    /// Maps what is new elsewhere, which leaves nothing behind; grows the file, durably; moves the pages behind the old ones
    /// last. Until then nobody can see them.
    /// </summary>
    public static MappedFile Grow(MappedFile file, long lengthBytes)
    {
        MappingFacts facts = file.Info.Facts;
        if (WhyNot(file) is { } why) throw Failures.OfRefusal(Refusal.NewCannotGrow(why), facts.Path);
        var bytes = new ByteRange(facts.FileRange.Offset, lengthBytes);
        MappingPlan.LengthInUnits(FileMapper.System.GranuleBytes, file.UnitBytes, lengthBytes).ValueOrThrow(facts.Path);

        ReservedRange room = file.Room!;
        long oldBytes = room.Addresses.Length, newBytes = ReservedRange.MappedBytes(file.UnitBytes, lengthBytes);
        room.Extend(newBytes, facts.Path);
        MappedFile grown = file with { Info = file.Info.WithRange(bytes) };
        RangeTracker.Replace(file, grown);
        try
        {
            using StoredFile stored = FileMapper.System.Open(new FileRequest(facts.Path) { Handle = file.Kept, IsMapped = true });
            if (newBytes == oldBytes) Lengthen(stored, grown);
            else MapBehind(stored, grown, oldBytes, newBytes - oldBytes);
            _ = stored.Keep();
            return grown;
        }
        catch
        {
            RangeTracker.Replace(grown, file);
            room.ShortenTo(oldBytes);
            throw;
        }
    }

    private static string? WhyNot(MappedFile file) =>
        file.Room is null ? "no address space was kept behind it; map it with ReserveLength, or in an AddressReservation"
        : file.Kind.IsDeviceDax ? "a device has one length"
        : file.Info.IsVolatile ? "it has no file of its own"
        : file.Info.Facts.IsReadOnly ? "it is read-only"
        : file.Kept is null ? "its file could not be kept open (too many open files)"
        : null;

    private static void MapBehind(StoredFile stored, MappedFile grown, long at, long lengthBytes)
    {
        MappingFacts facts = grown.Info.Facts;
        var plan = new MapPlan(new ByteRange(facts.FileRange.Offset + at, lengthBytes), IsReadOnly: false, AlignmentBytes: 1, Hint: 0)
        {
            Protection = grown.Protection,
        };
        RawMapping raw = FileMapper.System.Map(stored, plan);
        bool isMoved = false;
        try
        {
            if (raw.Kind != grown.Kind)
                throw Failures.OfRefusal(Refusal.NewCannotGrow($"it is on {grown.Kind}, and what is behind would be on {raw.Kind}"), facts.Path);
            Lengthen(stored, grown);
            int error = grown.IsPrefaulted ? FileMapper.System.Populate(raw.Address, lengthBytes, isReadOnly: false) : 0;
            if (error == 0) error = FileMapper.System.Move(raw.Address, grown.Address + (nint)at, lengthBytes);
            if (error != 0) throw Failures.OfErrno(error, facts.Path, $"map {lengthBytes} more bytes of");
            isMoved = true;
        }
        finally
        {
            if (!isMoved) _ = FileMapper.System.Unmap(raw.Address, lengthBytes);
        }
    }

    private static void Lengthen(StoredFile stored, MappedFile grown)
    {
        stored.Grow(grown.Info.Facts.FileRange.End, grown.IsSparse);
        stored.SyncApart();
    }
}
