using System.Runtime.CompilerServices;

namespace Pmem;

/// <content>Mappings, and the functions that make what is stored there durable.</content>
public static unsafe partial class LibPmem2
{
    private static readonly ConditionalWeakTable<PmemMapping, Pmem2Map> Maps = [];

    private static readonly Pmem2RangeFunction PersistBytes = static (_, _) => LibPmem.Drain();
    private static readonly Pmem2RangeFunction PersistLines = static (address, length) =>
    {
        LibPmem.DeepFlush(address, length);
        LibPmem.Drain();
    };
    private static readonly Pmem2RangeFunction SyncPages = SyncOrThrow;
    private static readonly Pmem2RangeFunction FlushNothing = static (_, _) => { };
    private static readonly Pmem2RangeFunction FlushLines = LibPmem.DeepFlush;
    private static readonly Pmem2DrainFunction DrainNothing = static () => { };
    private static readonly Pmem2DrainFunction DrainLines = LibPmem.Drain;
    private static readonly Pmem2CopyFunction MoveLines = static (to, from, length, flags) => LibPmem.MemMove(to, from, length, flags);
    private static readonly Pmem2CopyFunction MovePages = MoveAndSync;
    private static readonly Pmem2FillFunction FillLines = static (to, value, length, flags) => LibPmem.MemSet(to, value, length, flags);
    private static readonly Pmem2FillFunction FillPages = FillAndSync;

    /// <summary><c>pmem2_map_new</c>: maps a source as the configuration says.</summary>
    public static int MapNew(out Pmem2Map? map, Pmem2Config config, Pmem2Source source)
    {
        Pmem2Map? made = null;
        int result = Try(() =>
        {
            if (WhyNot(config, source) is var code and not 0) return code;
            var options = new PmemOpenOptions
            {
                Offset = config.Offset,
                Length = (long)config.Length,
                Private = config.IsPrivate,
                Protection = config.Protection,
                RequiredGranularity = config.Required,
            };
            made = MapOf(config.Reservation is { } place
                ? place.Reservation.Map(source.Source, (long)config.ReservationOffset, options)
                : source.Source.Map(options));
            return 0;
        });
        map = made;
        return result;
    }

    /// <summary><c>pmem2_map_from_existing</c>: memory that the caller mapped, and unmaps.</summary>
    /// <remarks>Unlike libpmem2, memory that is not mapped is refused, and so is what does not begin at a page.</remarks>
    public static int MapFromExisting(out Pmem2Map? map, Pmem2Source source, void* address, nuint length, Pmem2Granularity granularity)
    {
        Pmem2Map? made = null;
        int result = Try(() =>
        {
            if (Known(granularity) is not { } known) return Fail(Pmem2Error.GranularityNotSupported, $"unknown granularity {(int)granularity}");
            if (length == 0 || length > long.MaxValue) return Fail(-Errno.EINVAL, "the length is 0, or over 2^63 - 1");
            if (address is null) return Fail(Pmem2Error.AddressNull, "the address is null");
            made = MapOf(PmemMapping.Adopt((byte*)address, (long)length, known, source));
            return 0;
        });
        map = made;
        return result;
    }

    /// <summary><c>pmem2_map_delete</c>: unmaps, unless the caller mapped it.</summary>
    public static int MapDelete(ref Pmem2Map? map)
    {
        if (map is not { IsDeleted: false } deleted) return Fail(Pmem2Error.MappingNotFound, "it is no mapping any more");
        int result = Try(() =>
        {
            deleted.Mapping.Dispose();
            deleted.IsDeleted = true;
            return 0;
        });
        if (result == 0) map = null;
        return result;
    }

    /// <summary><c>pmem2_map_get_address</c></summary>
    public static byte* MapGetAddress(Pmem2Map map) => map.Mapping.Pointer;

    /// <summary><c>pmem2_map_get_size</c></summary>
    public static nuint MapGetSize(Pmem2Map map) => (nuint)map.Mapping.Length;

    /// <summary><c>pmem2_map_get_store_granularity</c></summary>
    public static Pmem2Granularity MapGetStoreGranularity(Pmem2Map map) => Pick(map, Pmem2Granularity.Byte, Pmem2Granularity.CacheLine, Pmem2Granularity.Page);

    /// <summary><c>pmem2_get_persist_fn</c>: flush, then drain. One for all mappings of a granularity.</summary>
    /// <remarks>On pages it throws where libpmem2 goes on: <see cref="PmemException"/>, with what may be lost.</remarks>
    public static Pmem2RangeFunction GetPersistFn(Pmem2Map map) => Pick(map, PersistBytes, PersistLines, SyncPages);

    /// <summary><c>pmem2_get_flush_fn</c></summary>
    public static Pmem2RangeFunction GetFlushFn(Pmem2Map map) => Pick(map, FlushNothing, FlushLines, SyncPages);

    /// <summary><c>pmem2_get_drain_fn</c></summary>
    public static Pmem2DrainFunction GetDrainFn(Pmem2Map map) => Pick(map, DrainLines, DrainLines, DrainNothing);

    /// <summary><c>pmem2_get_memmove_fn</c></summary>
    public static Pmem2CopyFunction GetMemMoveFn(Pmem2Map map) => Pick(map, MoveLines, MoveLines, MovePages);

    /// <summary><c>pmem2_get_memcpy_fn</c>: as in libpmem2, the ranges may overlap all the same.</summary>
    public static Pmem2CopyFunction GetMemCpyFn(Pmem2Map map) => GetMemMoveFn(map);

    /// <summary><c>pmem2_get_memset_fn</c></summary>
    public static Pmem2FillFunction GetMemSetFn(Pmem2Map map) => Pick(map, FillLines, FillLines, FillPages);

    /// <summary><c>pmem2_deep_flush</c>: makes a range durable in the most reliable domain there is.</summary>
    public static int DeepFlush(Pmem2Map map, void* address, nuint length) => Try(() =>
    {
        long offset = (nint)address - (nint)map.Mapping.Pointer;
        if (length > long.MaxValue || !Bounds.isWithin(map.Mapping.Length, offset, (long)length))
            return Fail(Pmem2Error.DeepFlushRange, $"{length} bytes at {offset} do not lie in the mapping");
        if (map.Mapping.Info.Facts.Kind.IsAnonymous) return Fail(Pmem2Error.NotSupported, "memory without a file has no deep flush");
        if (length != 0) map.Mapping.DeepPersist(offset, (long)length);
        return 0;
    });

    private static T Pick<T>(Pmem2Map map, T byByte, T byLine, T byPage) => map.Mapping.Granularity switch
    {
        { IsByte: true } => byByte,
        { IsCacheLine: true } => byLine,
        _ => byPage,
    };

    private static Pmem2Map MapOf(PmemMapping mapping) => Maps.GetValue(mapping, static mapping => new Pmem2Map(mapping));

    /// <summary>What libpmem2 checks before it maps, in its order: PMDK 1.12, src/libpmem2/map_posix.c, pmem2_map_new.</summary>
    private static int WhyNot(Pmem2Config config, Pmem2Source source)
    {
        if (config.Required is null) return Fail(Pmem2Error.GranularityNotSet, "the required granularity is not set");
        long size = source.Source.Length, alignment = source.Source.Alignment;
        if (!Bounds.isWhole(alignment, config.Offset)) return Fail(Pmem2Error.OffsetUnaligned, $"offset {config.Offset} is no multiple of {alignment}");
        if (size == 0) return Fail(Pmem2Error.SourceEmpty, "the source is empty");
        if (config.Length > long.MaxValue) return Fail(Pmem2Error.MapRange, $"length {config.Length} is over 2^63 - 1");
        if (!Bounds.isWhole(alignment, (long)config.Length)) return Fail(Pmem2Error.LengthUnaligned, $"length {config.Length} is no multiple of {alignment}");
        if (!Bounds.isWithin(size, config.Offset, (long)config.Length))
            return Fail(Pmem2Error.MapRange, $"{config.Length} bytes at {config.Offset} do not lie in the source, which has {size}");
        if (config.IsPrivate && source.Source.IsDevice) return Fail(Pmem2Error.SourceDevDaxPrivate, "a device cannot be mapped as a private copy");
        if (config.Reservation is null) return 0;
        long length = config.Length != 0 ? (long)config.Length : source.Source.IsAnonymous ? size : size - config.Offset;
        return WhyNotThere(config.Reservation.Reservation, config.ReservationOffset, length, alignment);
    }

    private static int WhyNotThere(AddressReservation reservation, nuint at, long length, long alignment)
    {
        if (!IsWhole(at)) return Fail(Pmem2Error.OffsetUnaligned, $"offset {at} in the reservation is no multiple of the page");
        long mappedBytes = ReservedRange.MappedBytes(alignment, length);
        if (at > long.MaxValue || !Bounds.isWithin(reservation.Length, (long)at, mappedBytes))
            return Fail(Pmem2Error.LengthOutOfRange, $"{mappedBytes} bytes at {at} are not in the reservation, which has {reservation.Length}");
        return Bounds.isWhole(alignment, (nint)reservation.Pointer + (long)at)
            ? 0
            : Fail(Pmem2Error.AddressUnaligned, $"the address is no multiple of {alignment}");
    }

    private static void SyncOrThrow(void* address, nuint length)
    {
        if (LibPmem.Msync(address, length) != 0) throw new PmemException($"{LibPmem.ErrorMessage()}; what was stored there may be lost.");
    }

    private static void* MoveAndSync(void* destination, void* source, nuint length, PmemCopyOptions flags)
    {
        _ = LibPmem.MemMove(destination, source, length, flags | PmemCopyOptions.NoFlush);
        if (!flags.HasFlag(PmemCopyOptions.NoFlush)) SyncOrThrow(destination, length);
        return destination;
    }

    private static void* FillAndSync(void* destination, int value, nuint length, PmemCopyOptions flags)
    {
        _ = LibPmem.MemSet(destination, value, length, flags | PmemCopyOptions.NoFlush);
        if (!flags.HasFlag(PmemCopyOptions.NoFlush)) SyncOrThrow(destination, length);
        return destination;
    }
}
