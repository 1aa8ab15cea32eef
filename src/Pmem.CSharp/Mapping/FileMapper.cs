using Microsoft.FSharp.Core;
using Pmem.Linux;
using Pmem.Unix;
using Pmem.Windows;

namespace Pmem;

/// <summary>Opening, making and mapping files, as pmem_map_file(3) does it. What fails leaves everything as it was.</summary>
internal static class FileMapper
{
    /// <summary>How often a name may be taken by somebody else between looking for it and giving it.</summary>
    private const int Attempts = 100;

    private static readonly Storage? Known =
        OperatingSystem.IsLinux() ? new LinuxStorage()
        : OperatingSystem.IsWindows() ? new WindowsStorage()
        : OperatingSystem.IsMacOS() ? new UnixStorage(UnixNumbers.MacOS)
        : OperatingSystem.IsFreeBSD() ? new UnixStorage(UnixNumbers.FreeBsd)
        : null;

    /// <summary>The operating system's part.</summary>
    public static Storage System => Known ?? throw PmemPlatform.OfOtherSystem();

    public static MappedFile Map(MapRequest request)
    {
        // Finds out all that can fail about the platform before any file is touched.
        _ = PmemPlatform.Current;
        _ = PmemPlatform.CurrentLines;
        if (request.File.New is { } made) Allow(made.LengthBytes >= 0, Refusal.NewLengthNotPositive(made.LengthBytes), request.File.Path);

        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            using StoredFile file = System.Open(request.File);
            if (MapOpened(file, request) is MappedFile mapped) return mapped;
            if (request.File.New is { IsExclusive: true }) break;
        }
        throw Failures.OfTakenName(request.File.Path);
    }

    /// <summary>Null where somebody took the name of a new file meanwhile.</summary>
    private static MappedFile? MapOpened(StoredFile file, MapRequest request) => request.File.New switch
    {
        null => MapExisting(file, request),
        { } made when file.Kind.IsDaxDevice => MapDevice(file, request, made),
        { } made => MapWithLength(file, request, made),
    };

    private static MappedFile MapExisting(StoredFile file, MapRequest request)
    {
        Allow(!request.IsPrivate || !file.Kind.IsDaxDevice, Refusal.NewDoesNotApply("Private", "a device"), file.Path);
        if (request.IsReserved)
        {
            Allow(!file.Kind.IsDaxDevice, Refusal.NewDoesNotApply("Reserve", "a device"), file.Path);
            file.Reserve(RangeOf(file, request, file.LengthBytes));
        }
        return MapBytes(file, request);
    }

    /// <summary>A device is there already, and has its length.</summary>
    private static MappedFile MapDevice(StoredFile file, MapRequest request, NewFile made)
    {
        Allow(!made.IsExclusive, Refusal.NewDoesNotApply("Exclusive", "a device"), file.Path);
        Allow(
            made.LengthBytes == 0 || made.LengthBytes == file.LengthBytes,
            Refusal.NewDeviceLength(made.LengthBytes, file.LengthBytes), file.Path);
        return MapBytes(file, request);
    }

    /// <summary>
    /// Maps first, because that is what is likely to be refused and what leaves nothing behind, where bytes can be mapped before the
    /// file has them. Shrinks last: it loses data, so it waits until nothing is left that is likely to fail.
    /// </summary>
    private static MappedFile? MapWithLength(StoredFile file, MapRequest request, NewFile made)
    {
        Allow(made.LengthBytes > 0, Refusal.NewLengthNotPositive(made.LengthBytes), file.Path);
        MappingPlan.LengthInUnits(System.GranuleBytes, file.UnitBytes, made.LengthBytes).ValueOrThrow(file.Path);
        Allow(
            made.Longer != Longer.Refused || file.LengthBytes <= made.LengthBytes,
            Refusal.NewWouldShorten(file.LengthBytes, made.LengthBytes), file.Path);
        if (System.IsMappedAsLong) Measure(file, request, made);
        MappedFile mapped = MapTracked(file, request, made.LengthBytes);
        bool isKept = false;
        try
        {
            if (!System.IsMappedAsLong) Lengthen(file, made);
            Prefault(mapped, request);
            isKept = file.Keep();
            if (isKept) Shorten(file, mapped, made);
            return isKept ? mapped : null;
        }
        catch
        {
            isKept = false;
            throw;
        }
        finally { if (!isKept) _ = mapped.Unmap(); }
    }

    private static void Lengthen(StoredFile file, NewFile made)
    {
        file.Grow(made.LengthBytes, made.IsSparse);
        file.Sync();
    }

    /// <summary>Gives a file its length before it is mapped. What it has is mapped once before, to hear what is refused.</summary>
    private static void Measure(StoredFile file, MapRequest request, NewFile made)
    {
        if (file.LengthBytes == 0 || file.LengthBytes == made.LengthBytes)
        {
            Lengthen(file, made);
            return;
        }
        MappedFile tried = MapTracked(file, request with { Offset = 0, LengthBytes = 0 }, file.LengthBytes);
        int error = tried.Unmap();
        if (error != 0) throw Failures.OfErrno(error, file.Path, "unmap");
        Lengthen(file, made);
        Shorten(file, tried, made);
    }

    private static void Shorten(StoredFile file, MappedFile mapped, NewFile made)
    {
        if (file.LengthBytes <= made.LengthBytes) return;
        if (made.Longer == Longer.CutBelowMappings)
        {
            file.Cut(made.LengthBytes);
            return;
        }
        long end = RangeTracker.CutUnlessMapped(mapped.Identity, made.LengthBytes, () => file.Cut(made.LengthBytes));
        Allow(end == 0, Refusal.NewWouldCutMapping(end, made.LengthBytes), file.Path);
    }

    private static MappedFile MapBytes(StoredFile file, MapRequest request)
    {
        MappedFile mapped = MapTracked(file, request, file.LengthBytes);
        try
        {
            Prefault(mapped, request);
            return mapped;
        }
        catch
        {
            _ = mapped.Unmap();
            throw;
        }
    }

    private static void Prefault(MappedFile mapped, MapRequest request)
    {
        if (!request.IsPrefaulted) return;
        int error = System.Populate(mapped.Address, mapped.LengthBytes, request.File.IsReadOnly);
        if (error != 0) throw Failures.OfErrno(error, request.File.Path, $"make present {mapped.LengthBytes} bytes of");
    }

    private static MappedFile MapTracked(StoredFile file, MapRequest request, long fileLengthBytes) =>
        RangeTracker.Map(() => MapUntracked(file, request, fileLengthBytes));

    private static MappedFile MapUntracked(StoredFile file, MapRequest request, long fileLengthBytes)
    {
        Platform platform = PmemPlatform.Current;
        ByteRange bytes = RangeOf(file, request, fileLengthBytes);
        long alignment = MappingPlan.AlignmentFor(platform.PageSizeBytes, file.UnitBytes, Math.Max(bytes.Length, request.ReserveLengthBytes));
        using ReservedRange? room = ReservedRange.For(request, file, bytes, alignment);
        bool isReadOnly = !request.Protection.HasFlag(PmemProtection.Write);
        var plan = new MapPlan(bytes, isReadOnly, alignment, platform.Environment.MmapHint)
        {
            IsKept = room is not null,
            Protection = request.Protection,
            IsPrivate = request.IsPrivate,
        };
        RawMapping raw = System.Map(file, plan);

        var facts = new MappingFacts(file.Path, bytes, raw.Kind, plan.IsReadOnly, raw.PersistenceDomain, platform);
        FSharpResult<MappingInfo, Refusal> decision = PmemPlatform.Forced is { } forced
            ? Forced(facts, forced)
            : MappingInfo.Decide(facts);
        if (request.Required is StoreGranularity required && decision.IsOk) decision = decision.ResultValue.Require(required);
        try
        {
            var mapped = new MappedFile(raw.Address, decision.ValueOrThrow(file.Path), file.Device)
            {
                Identity = file.Identity,
                UnitBytes = file.UnitBytes,
                Kept = raw.Kept,
                Protection = request.Protection,
                IsSparse = request.File.New is { IsSparse: true },
                IsPrefaulted = request.IsPrefaulted,
            };
            return room is null ? mapped : room.MoveIn(mapped, raw.Address);
        }
        catch
        {
            raw.Kept?.Dispose();
            _ = System.Unmap(raw.Address, new ByteRange(0, bytes.Length).AlignOut(file.UnitBytes).Length);
            throw;
        }
    }

    private static FSharpResult<MappingInfo, Refusal> Forced(MappingFacts facts, string forced)
    {
        FSharpResult<StoreGranularity, Refusal> granularity = PmemEnvironment.ForcedGranularity(forced);
        return granularity.IsOk
            ? MappingInfo.Say(facts, granularity.ResultValue, $"{PmemEnvironment.ForceVariable} says so")
            : FSharpResult<MappingInfo, Refusal>.NewError(granularity.ErrorValue);
    }

    private static ByteRange RangeOf(StoredFile file, MapRequest request, long fileLengthBytes) => MappingPlan
        .RangeOfFile(System.GranuleBytes, file.UnitBytes, fileLengthBytes, request.Offset, request.LengthBytes)
        .ValueOrThrow(file.Path);

    private static void Allow(bool condition, Refusal refusal, string path)
    {
        if (!condition) throw Failures.OfRefusal(refusal, path);
    }
}
