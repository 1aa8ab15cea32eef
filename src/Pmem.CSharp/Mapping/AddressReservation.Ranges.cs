using System.Runtime.ExceptionServices;

namespace Pmem;

/// <content>Which mapping has which addresses, and persisting across them.</content>
public sealed unsafe partial class AddressReservation
{
    /// <summary>
    /// Makes what was stored in a range durable, in whichever mappings it lies: each is persisted, also where another fails, and
    /// the first failure is told.
    /// </summary>
    /// <param name="offset">The first byte, in the reservation.</param>
    /// <param name="length">How many bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">A byte of it lies in no mapping; nothing was flushed.</exception>
    /// <exception cref="PmemException">A storage failed, at this call or before; what was stored there may be lost.</exception>
    public void Persist(long offset, long length)
    {
        ExceptionDispatchInfo? first = null;
        foreach (Piece piece in PiecesOf(offset, length))
        {
            // One that fails, or has failed before, keeps nobody from persisting the others.
            try { piece.Mapping.Persist(piece.Range.Offset, piece.Range.Length); }
            catch (Exception e) when (e is PmemException or ObjectDisposedException) { first ??= ExceptionDispatchInfo.Capture(e); }
        }
        first?.Throw();
    }

    /// <summary>Takes a place for a mapping, which nobody else gets until it is given back.</summary>
    internal ReservedRange Take(long at, long lengthBytes, long unitBytes, string path)
    {
        lock (_gate)
        {
            var asked = new ByteRange(at, lengthBytes);
            if (!asked.IsWithin(Addresses.Length))
                throw Refused($"{lengthBytes} bytes at {at} are not in the reservation, which has {_addresses.Length}", path);
            var addresses = new ByteRange(_addresses.Offset + at, lengthBytes);
            long unit = Math.Max(unitBytes, Environment.SystemPageSize);
            if (!Bounds.isWhole(unit, addresses.Offset)) throw Refused($"the place {at} is no multiple of {unit}, the unit of this file", path);
            ThrowIfTaken(addresses, null, path);
            var range = new ReservedRange(this, addresses);
            int index = _ranges.FindIndex(other => other.Addresses.Offset > addresses.Offset);
            _ranges.Insert(index < 0 ? _ranges.Count : index, range);
            return range;
        }
    }

    /// <summary>Makes a place longer, up to the next one.</summary>
    internal void Extend(ReservedRange range, long mappedBytes, string path)
    {
        lock (_gate)
        {
            var longer = new ByteRange(range.Addresses.Offset, mappedBytes);
            if (longer.End > Addresses.End)
                throw Refused($"{mappedBytes} bytes are more than the {_addresses.End - longer.Offset} that are reserved from here on", path);
            ThrowIfTaken(longer, range, path);
            range.Addresses = longer;
        }
    }

    internal void GiveBack(ReservedRange range)
    {
        lock (_gate)
        {
            if (_ranges.Remove(range) && _isOfOneMapping) Release();
        }
    }

    private List<Piece> PiecesOf(long offset, long length)
    {
        lock (_gate)
        {
            ByteRange left = AddressesOf(offset, length);
            List<Piece> pieces = [];
            foreach (ReservedRange range in _ranges)
            {
                if (range.Mapping is not { } mapping || left.IsEmpty) continue;
                ByteRange bytes = new ByteRange(range.Addresses.Offset, mapping.Length).Intersect(left);
                if (bytes.IsEmpty || bytes.Offset != left.Offset) continue;
                pieces.Add(new Piece(mapping, new ByteRange(bytes.Offset - range.Addresses.Offset, bytes.Length)));
                left = new ByteRange(bytes.End, left.End - bytes.End);
            }
            return left.IsEmpty
                ? pieces
                : throw new ArgumentOutOfRangeException(
                    nameof(offset), $"Byte {left.Offset - _addresses.Offset} of the reservation lies in no mapping: nothing was flushed.");
        }
    }

    private ByteRange AddressesOf(long offset, long length)
    {
        var asked = new ByteRange(offset, length);
        return asked.IsWithin(Addresses.Length)
            ? new ByteRange(_addresses.Offset + offset, length)
            : throw new ArgumentOutOfRangeException(nameof(offset), $"{asked} does not lie in the reservation, which has {_addresses.Length} bytes.");
    }

    private void ThrowIfTaken(ByteRange addresses, ReservedRange? own, string path)
    {
        if (_ranges.Find(other => other != own && other.Addresses.Overlaps(addresses)) is { } taken)
        {
            string owner = taken.Mapping is { } mapping ? $"the mapping of '{mapping.Path}'" : "a mapping that is being made";
            throw Refused($"from {taken.Addresses.Offset - _addresses.Offset} on it is taken by {owner}", path);
        }
    }

    private static Exception Refused(string why, string path) => Failures.OfRefusal(Refusal.NewNoAddressSpace(why), path);

    private readonly record struct Piece(PmemMapping Mapping, ByteRange Range);
}
