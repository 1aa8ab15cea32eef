namespace Pmem;

/// <content>Reservations of address space.</content>
public static unsafe partial class LibPmem2
{
    /// <summary><c>pmem2_vm_reservation_new</c>: reserves address space, at an address or anywhere. Unlike there, a size of 0 is refused.</summary>
    public static int VmReservationNew(out Pmem2VmReservation? reservation, void* address, nuint size)
    {
        Pmem2VmReservation? made = null;
        int result = Try(() =>
        {
            if (!IsWhole((nuint)address)) return Fail(Pmem2Error.AddressUnaligned, $"address 0x{(nuint)address:x} is no multiple of the page");
            if (Whole(size) is var code and not 0) return code;
            made = new Pmem2VmReservation(AddressReservation.Create((long)size, (byte*)address));
            return 0;
        });
        reservation = made;
        return result;
    }

    /// <summary><c>pmem2_vm_reservation_delete</c></summary>
    public static int VmReservationDelete(ref Pmem2VmReservation reservation)
    {
        AddressReservation deleted = reservation.Reservation;
        int result = Try(() =>
        {
            if (deleted.Mappings.Count > 0) return Fail(Pmem2Error.ReservationNotEmpty, "mappings are in the reservation");
            deleted.Dispose();
            return 0;
        });
        if (result == 0) reservation = null!;
        return result;
    }

    /// <summary><c>pmem2_vm_reservation_get_address</c></summary>
    public static byte* VmReservationGetAddress(Pmem2VmReservation reservation) => reservation.Reservation.Pointer;

    /// <summary><c>pmem2_vm_reservation_get_size</c></summary>
    public static nuint VmReservationGetSize(Pmem2VmReservation reservation) => (nuint)reservation.Reservation.Length;

    /// <summary><c>pmem2_vm_reservation_extend</c>: makes it longer at its end.</summary>
    public static int VmReservationExtend(Pmem2VmReservation reservation, nuint size) => Try(() =>
    {
        if (Whole(size) is var code and not 0) return code;
        reservation.Reservation.Extend((long)size);
        return 0;
    });

    /// <summary><c>pmem2_vm_reservation_shrink</c>: gives up space at its beginning or end.</summary>
    public static int VmReservationShrink(Pmem2VmReservation reservation, nuint offset, nuint size) => Try(() =>
    {
        AddressReservation shrunk = reservation.Reservation;
        nuint length = (nuint)shrunk.Length;
        if (!IsWhole(offset)) return Fail(Pmem2Error.OffsetUnaligned, $"offset {offset} is no multiple of the page");
        if (!IsWhole(size)) return Fail(Pmem2Error.LengthUnaligned, $"size {size} is no multiple of the page");
        if (offset >= length) return Fail(Pmem2Error.OffsetOutOfRange, $"offset {offset} is not in the reservation");
        if (size == 0 || size > length || !Bounds.isWithin((long)length, (long)offset, (long)size))
            return Fail(Pmem2Error.LengthOutOfRange, $"size {size} is 0, or not in the reservation");
        bool isFirst = offset == 0, isLast = length - offset == size;
        if (isFirst == isLast) return Fail(Pmem2Error.NotSupported, "only a beginning or an end can be given up");
        if (shrunk.Find((long)offset, (long)size) is not null) return Fail(Pmem2Error.ReservationNotEmpty, "a mapping lies there");
        shrunk.Shrink((long)offset, (long)size);
        return 0;
    });

    /// <summary><c>pmem2_vm_reservation_map_find</c>: the first mapping that has a byte of the range.</summary>
    public static int VmReservationMapFind(Pmem2VmReservation reservation, nuint offset, nuint length, out Pmem2Map? map) =>
        Found(() => reservation.Reservation.Find((long)offset, (long)length), out map);

    /// <summary><c>pmem2_vm_reservation_map_find_prev</c></summary>
    public static int VmReservationMapFindPrev(Pmem2VmReservation reservation, Pmem2Map map, out Pmem2Map? previous) =>
        Found(() => reservation.Reservation.Mappings.TakeWhile(mapping => mapping != map.Mapping).LastOrDefault(), out previous);

    /// <summary><c>pmem2_vm_reservation_map_find_next</c></summary>
    public static int VmReservationMapFindNext(Pmem2VmReservation reservation, Pmem2Map map, out Pmem2Map? next) =>
        Found(() => reservation.Reservation.Mappings.SkipWhile(mapping => mapping != map.Mapping).Skip(1).FirstOrDefault(), out next);

    /// <summary><c>pmem2_vm_reservation_map_find_first</c></summary>
    public static int VmReservationMapFindFirst(Pmem2VmReservation reservation, out Pmem2Map? map) =>
        Found(() => reservation.Reservation.Mappings is [var first, ..] ? first : null, out map);

    /// <summary><c>pmem2_vm_reservation_map_find_last</c></summary>
    public static int VmReservationMapFindLast(Pmem2VmReservation reservation, out Pmem2Map? map) =>
        Found(() => reservation.Reservation.Mappings is [.., var last] ? last : null, out map);

    private static bool IsWhole(nuint bytes) => bytes <= long.MaxValue && Bounds.isWhole(Environment.SystemPageSize, (long)bytes);

    private static int Whole(nuint size) => IsWhole(size)
        ? 0
        : Fail(Pmem2Error.LengthUnaligned, $"size {size} is no multiple of the page, {Environment.SystemPageSize}");

    private static int Found(Func<PmemMapping?> find, out Pmem2Map? map)
    {
        int result = Ask(find, out PmemMapping? mapping);
        map = mapping is null ? null : MapOf(mapping);
        return result != 0 || map is not null ? result : Fail(Pmem2Error.MappingNotFound, "no mapping is there");
    }
}
