namespace Pmem;

/// <summary>
/// A place in reserved address space, for one mapping. It is taken before a file is mapped, and given back by Dispose unless the
/// mapping has moved in by then.
/// </summary>
internal sealed class ReservedRange : IDisposable
{
    private readonly AddressReservation _reservation;
    private bool _isOccupied;

    internal ReservedRange(AddressReservation reservation, ByteRange addresses)
    {
        _reservation = reservation;
        Addresses = addresses;
    }

    /// <summary>Where it lies in the process.</summary>
    public ByteRange Addresses { get; internal set; }

    /// <summary>What lies there.</summary>
    public PmemMapping? Mapping { get; set; }

    /// <summary>The place that is asked for: in a reservation, or in one that is the mapping's own; null where none is.</summary>
    public static ReservedRange? For(MapRequest request, StoredFile file, ByteRange bytes, long alignmentBytes)
    {
        long mappedBytes = MappedBytes(file.UnitBytes, bytes.Length);
        if (request.Reservation is { } reservation) return reservation.Take(request.ReservationOffset, mappedBytes, file.UnitBytes, file.Path);
        if (request.ReserveLengthBytes == 0 && request.Address == 0) return null;
        long unit = Math.Max(file.UnitBytes, Environment.SystemPageSize);
        long askedBytes = Math.Max(request.ReserveLengthBytes, request.Address == 0 ? 0 : bytes.Length);
        Refusal? refused = !Bounds.isWhole(unit, request.Address) ? Refusal.NewNoAddressSpace(
                $"the address 0x{request.Address:x} is no multiple of {unit}, the unit of this file")
            : request.ReserveLengthBytes == 0 ? null
            : file.Kind.IsDaxDevice ? Refusal.NewDoesNotApply(nameof(PmemMapOptions.ReserveLength), "a device")
            : request.File.IsReadOnly ? Refusal.NewContradiction("ReadOnly", nameof(PmemMapOptions.ReserveLength))
            : askedBytes < bytes.Length ? Refusal.NewNoAddressSpace(
                $"{nameof(PmemMapOptions.ReserveLength)} is {request.ReserveLengthBytes}, but {bytes.Length} bytes are mapped at once")
            : null;
        if (refused is not null) throw Failures.OfRefusal(refused, file.Path);
        long reservedBytes = MappedBytes(file.UnitBytes, askedBytes);
        AddressReservation own = AddressReservation.OfOneMapping(request.Address, reservedBytes, alignmentBytes, file.Path);
        return own.Take(0, mappedBytes, file.UnitBytes, file.Path);
    }

    /// <summary>Whole units, and whole pages: what is mapped for so many bytes.</summary>
    public static long MappedBytes(long unitBytes, long lengthBytes) =>
        new ByteRange(0, lengthBytes).AlignOut(Math.Max(unitBytes, Environment.SystemPageSize)).Length;

    /// <summary>Moves a mapping that was made elsewhere to this place.</summary>
    public MappedFile MoveIn(MappedFile mapped, nint from)
    {
        int error = FileMapper.System.Move(from, (nint)Addresses.Offset, Addresses.Length);
        if (error != 0) throw Failures.OfErrno(error, mapped.Info.Path, "move to its reserved addresses the mapping of");
        _isOccupied = true;
        return mapped with { Address = (nint)Addresses.Offset, Room = this };
    }

    /// <summary>Makes the place longer, up to this many bytes; it is refused where the space behind is gone.</summary>
    public void Extend(long mappedBytes, string path) => _reservation.Extend(this, mappedBytes, path);

    /// <summary>Makes it as long again as it was.</summary>
    public void ShortenTo(long mappedBytes) => Addresses = new ByteRange(Addresses.Offset, mappedBytes);

    /// <summary>Unmaps what is here, and gives the place back: 0, or the error number.</summary>
    public int Leave(MappedFile mapped)
    {
        int error = RangeTracker.Unmap(mapped.Address, (nint)Addresses.Length, staysReserved: true);
        if (error == 0) _reservation.GiveBack(this);
        return error;
    }

    public void Dispose()
    {
        if (!_isOccupied) _reservation.GiveBack(this);
    }
}
