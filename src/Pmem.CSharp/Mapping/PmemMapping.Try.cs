using System.Diagnostics.CodeAnalysis;

namespace Pmem;

/// <content>Reading and storing where memory may be broken.</content>
public sealed unsafe partial class PmemMapping
{
    /// <summary>
    /// Copies bytes out of the mapping through the kernel: where memory is broken, or somebody else shortened the file, it is false
    /// and says why, and not the end of the process (SIGBUS).
    /// </summary>
    /// <param name="offset">Where from, in bytes.</param>
    /// <param name="destination">Where to; what it holds after a failure is undefined.</param>
    /// <param name="error">What failed; null where it is true.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie in the mapping.</exception>
    /// <remarks>
    /// A DAX file is read as a file, whose driver knows its bad blocks and survives new ones. The page cache and a DAX device are copied by
    /// the kernel, after a look at the list of the device's bad blocks; a block of a device that goes bad only now is survived where the
    /// processor can recover from it (x86, since Linux 5.10). It costs a system call, on a device some more; <see cref="Read{T}"/> costs none.
    /// </remarks>
    public bool TryRead(long offset, Span<byte> destination, [NotNullWhen(false)] out PmemException? error)
    {
        error = TryCopy(offset, destination, isRead: true);
        return error is null;
    }

    /// <summary>
    /// Stores bytes through the kernel: where memory is broken, or somebody else shortened the file, it is false and says why. They are
    /// durable after a persist, as with <see cref="Store(long, ReadOnlySpan{byte})"/>.
    /// </summary>
    /// <param name="offset">Where to, in bytes.</param>
    /// <param name="source">What; after a failure a part of it may be stored.</param>
    /// <param name="error">What failed; null where it is true.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range does not lie in the mapping.</exception>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    public bool TryWrite(long offset, ReadOnlySpan<byte> source, [NotNullWhen(false)] out PmemException? error)
    {
        ThrowIfReadOnly();
        // SAFETY: the source is pinned, and a copy out of it only reads it.
        fixed (byte* from = source) error = TryCopy(offset, new Span<byte>(from, source.Length), isRead: false);
        return error is null;
    }

    private PmemException? TryCopy(long offset, Span<byte> bytes, bool isRead)
    {
        InFlight slot = Enter(offset, bytes.Length);
        try
        {
            // Nothing is unmapped until the slot is left.
            long at = _file.Info.Facts.FileRange.Offset + offset;
            int number = _file.IsKnownToBeBad(offset, bytes.Length)
                ? Errno.OfThisSystem(Errno.EIO)
                : FileMapper.System.TryCopy(_file.SafeWay, _address + (nint)offset, at, bytes, isRead);
            return number == 0 ? null : Failures.OfBroken(number, Path, offset, bytes.Length, isRead ? "read" : "write");
        }
        finally { slot.Leave(); }
    }
}
