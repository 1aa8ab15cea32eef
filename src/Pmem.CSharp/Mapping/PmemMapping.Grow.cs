namespace Pmem;

/// <content>Growing in place.</content>
public sealed unsafe partial class PmemMapping
{
    private readonly Lock _growing = new();

    /// <summary>
    /// Makes the mapping, and its file, at least this long, behind the same address: spans, references and offsets stay valid. The new
    /// length is durable when this returns, and what is new reads as zero (or as what the file has there).
    /// </summary>
    /// <param name="newLength">The length of the mapping, in bytes. One that it has already changes nothing.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative, or no multiple of the unit of the file.</exception>
    /// <exception cref="PmemException">Too little address space was kept (<see cref="PmemMapOptions.ReserveLength"/>), another mapping of the
    /// reservation lies behind, the disk is full, or the mapping is of a device or read-only. File and mapping are as they were.</exception>
    /// <remarks>
    /// Other threads go on reading, storing and persisting meanwhile, and see the new length when it is there. Storage is reserved for what
    /// is new, unless the file was made Sparse. Where it fails, the file is cut back, unless somebody else has it open.
    /// </remarks>
    public void Grow(long newLength)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(newLength);
        lock (_growing)
        {
            ThrowIfClosed();
            if (newLength <= _length) return;
            InFlight slot = Enter();
            try
            {
                MappedFile grown = MappedGrowth.Grow(_file, newLength);
                _file = grown;
                _endOfLastLine = EndOfLastLine(grown);
                // Last, and visible after the pages: who sees the length can access them.
                Volatile.Write(ref _length, grown.LengthBytes);
            }
            finally { slot.Leave(); }
        }
    }

    private static long EndOfLastLine(MappedFile file) => Units.up(file.Info.Facts.Platform.LineSizeBytes - 1, file.LengthBytes);
}
