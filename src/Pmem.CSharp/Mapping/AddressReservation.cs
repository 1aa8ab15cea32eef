using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace Pmem;

/// <summary>
/// Address space of this process that is kept free, so that several files, or parts of files, can be mapped side by side in it, and
/// grow there. It costs no memory.
/// </summary>
/// <remarks>
/// <para>Offsets and lengths are in bytes, offsets relative to <see cref="Pointer"/>; both are multiples of the page (of a
/// device's alignment, where one is mapped). What is mapped never overlaps: that is refused. A mapping that is disposed leaves its space
/// reserved.</para>
/// <para>As pmem2_vm_reservation_new(3) and the functions beside it, whose rules these are. All members may be called from many
/// threads.</para>
/// </remarks>
public sealed unsafe partial class AddressReservation : IDisposable
{
    private const string NoFile = "";

    private readonly Lock _gate = new();
    private readonly List<ReservedRange> _ranges = [];
    private readonly bool _isOfOneMapping;
    private ByteRange _addresses;
    private bool _isReleased;

    private AddressReservation(ByteRange addresses, bool isOfOneMapping) => (_addresses, _isOfOneMapping) = (addresses, isOfOneMapping);

    /// <summary>Reserves address space.</summary>
    /// <param name="length">How much, in bytes: a multiple of the page.</param>
    /// <param name="address">Where, a multiple of the page; null for anywhere.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length or the address is no multiple of the page.</exception>
    /// <exception cref="PmemException">Something is mapped there, there is not that much address space, or this is not Linux: elsewhere no
    /// mapping can move in.</exception>
    [SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
    public static AddressReservation Create(long length, byte* address = null)
    {
        CheckWhole(length, nameof(length));
        if (!Bounds.isWhole(Environment.SystemPageSize, (nint)address))
            throw new ArgumentOutOfRangeException(nameof(address), $"0x{(nint)address:x} is no multiple of the page, {Environment.SystemPageSize}.");
        // SAFETY: an address is looked at, and nothing is accessed.
        long alignment = MappingPlan.AlignmentFor(Environment.SystemPageSize, 1, length);
        return new AddressReservation(Reserve((nint)address, length, alignment, NoFile), isOfOneMapping: false);
    }

    /// <summary>For a mapping that grows: released with it.</summary>
    internal static AddressReservation OfOneMapping(nint address, long lengthBytes, long alignmentBytes, string path) =>
        new(Reserve(address, lengthBytes, alignmentBytes, path), isOfOneMapping: true);

    /// <summary>The first byte. Only what is mapped there may be accessed.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public byte* Pointer
    {
        get
        {
            lock (_gate) return (byte*)Addresses.Offset;
        }
    }

    /// <summary>How much is reserved, in bytes.</summary>
    public long Length
    {
        get
        {
            lock (_gate) return Addresses.Length;
        }
    }

    /// <summary>The mappings in it, in the order of their addresses.</summary>
    public IReadOnlyList<PmemMapping> Mappings
    {
        get
        {
            lock (_gate) return [.. _ranges.Select(range => range.Mapping).OfType<PmemMapping>()];
        }
    }

    private ByteRange Addresses
    {
        get
        {
            ObjectDisposedException.ThrowIf(_isReleased, this);
            return _addresses;
        }
    }

    /// <summary>Maps an existing file, or a part of it, into the reservation.</summary>
    /// <param name="path">The file.</param>
    /// <param name="at">Where in the reservation, in bytes.</param>
    /// <param name="options">How; null for the defaults. ReserveLength has no meaning here: the mapping can grow up to the next one.</param>
    /// <exception cref="PmemException">Another mapping lies there, or the range is not in the reservation; or as
    /// <see cref="PmemMapping.Open(string, PmemOpenOptions)"/> says.</exception>
    public PmemMapping Map(string path, long at, PmemOpenOptions? options = null) =>
        Map((options ?? PmemOpenOptions.Default).For(new FileRequest(PmemMapping.Checked(path))), at);

    /// <inheritdoc cref="Map(string, long, PmemOpenOptions)"/>
    /// <param name="file">The file, open to read and write; it may be closed afterwards.</param>
    /// <param name="at">Where in the reservation, in bytes.</param>
    /// <param name="options">How; null for the defaults.</param>
    public PmemMapping Map(SafeFileHandle file, long at, PmemOpenOptions? options = null) =>
        Map((options ?? PmemOpenOptions.Default).For(PmemMapping.Checked(file)), at);

    /// <summary>Maps a source, or a part of it, into the reservation.</summary>
    /// <param name="source">What.</param>
    /// <param name="at">Where in the reservation, in bytes.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <exception cref="PmemException">As <see cref="Map(string, long, PmemOpenOptions)"/> says.</exception>
    public PmemMapping Map(PmemSource source, long at, PmemOpenOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        return Map(source.RequestFor(options ?? PmemOpenOptions.Default), at);
    }

    /// <summary>The first mapping that has a byte of the range; null where none has.</summary>
    /// <param name="offset">The first byte, in the reservation.</param>
    /// <param name="length">How many bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The offset or the length is negative.</exception>
    public PmemMapping? Find(long offset, long length)
    {
        lock (_gate)
        {
            long start = Addresses.Offset;
            var asked = new ByteRange(offset, length);
            return _ranges.Find(range => new ByteRange(range.Addresses.Offset - start, range.Addresses.Length).Overlaps(asked))?.Mapping;
        }
    }

    /// <summary>Makes the reservation longer, at its end.</summary>
    /// <param name="length">By how much, in bytes: a multiple of the page.</param>
    /// <exception cref="PmemException">The space behind it is in use.</exception>
    public void Extend(long length)
    {
        CheckWhole(length, nameof(length));
        lock (_gate)
        {
            _ = Reserve((nint)Addresses.End, length, 1, NoFile);
            _addresses = new ByteRange(_addresses.Offset, new ByteRange(_addresses.Length, length).End);
        }
    }

    /// <summary>Gives up space at the beginning or at the end. Cut at the beginning, all offsets count from the new first byte.</summary>
    /// <param name="offset">The first byte that is given up: 0, or where the rest of the reservation is.</param>
    /// <param name="length">How many, in bytes: a multiple of the page.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is not the beginning or the end, or it is all.</exception>
    /// <exception cref="InvalidOperationException">A mapping lies there.</exception>
    public void Shrink(long offset, long length)
    {
        CheckWhole(length, nameof(length));
        lock (_gate)
        {
            ByteRange all = new(0, Addresses.Length), given = new(offset, length), given2 = new(_addresses.Offset + offset, length);
            bool isFirst = offset == 0, isLast = given.End == all.End;
            if (!all.Contains(given) || isFirst == isLast || !Bounds.isWhole(Environment.SystemPageSize, offset))
                throw new ArgumentOutOfRangeException(nameof(offset), $"{length} bytes at {offset} are not the beginning or the end of {all.Length} bytes.");
            if (_ranges.Any(range => range.Addresses.Overlaps(given2)))
                throw new InvalidOperationException("A mapping lies there; dispose it first.");
            int error = FileMapper.System.Unmap((nint)given2.Offset, length);
            if (error != 0) throw Failures.OfErrno(error, NoFile, "give up address space");
            _addresses = new ByteRange(isFirst ? given2.End : _addresses.Offset, all.Length - length);
        }
    }

    /// <summary>Gives the address space back. Disposing twice does nothing.</summary>
    /// <exception cref="InvalidOperationException">Mappings are in it; dispose these first.</exception>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_isReleased) return;
            if (_ranges.Count > 0)
                throw new InvalidOperationException($"{_ranges.Count} mappings are in this reservation; dispose these first.");
            Release();
        }
    }

    private PmemMapping Map(MapRequest request, long at)
    {
        if (request.ReserveLengthBytes != 0)
            throw Failures.OfRefusal(Refusal.NewDoesNotApply(nameof(PmemMapOptions.ReserveLength), "a mapping in a reservation"), request.File.Path);
        if (request.Address != 0)
            throw Failures.OfRefusal(Refusal.NewDoesNotApply(nameof(PmemMapOptions.Address), "a mapping in a reservation"), request.File.Path);
        return PmemMapping.Over(request with { Reservation = this, ReservationOffset = at });
    }

    private void Release()
    {
        int error = FileMapper.System.Unmap((nint)_addresses.Offset, _addresses.Length);
        if (error != 0) throw Failures.OfErrno(error, NoFile, "give back address space");
        _isReleased = true;
    }

    private static ByteRange Reserve(nint address, long lengthBytes, long alignmentBytes, string path)
    {
        nint start = FileMapper.System.ReserveSpace(address, lengthBytes, alignmentBytes, out int error);
        if (Errno.Of(error) == Errno.EOPNOTSUPP)
            throw Failures.OfRefusal(Refusal.NewNoAddressSpace("a mapping moves to no other address on this system; map the whole length at once, anywhere"), path);
        if (Errno.Of(error) == Errno.EEXIST)
            throw Failures.OfRefusal(Refusal.NewNoAddressSpace($"something is mapped in the {lengthBytes} bytes at 0x{address:x}"), path);
        return error == 0 ? new ByteRange(start, lengthBytes) : throw Failures.OfErrno(error, path, $"reserve {lengthBytes} bytes of address space{(path.Length == 0 ? "" : " for")}");
    }

    private static void CheckWhole(long length, string parameter)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length, parameter);
        if (!Bounds.isWhole(Environment.SystemPageSize, length))
            throw new ArgumentOutOfRangeException(parameter, $"{length} bytes are no multiple of the page, {Environment.SystemPageSize}.");
    }
}
