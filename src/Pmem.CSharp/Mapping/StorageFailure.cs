using System.Globalization;

namespace Pmem;

/// <summary>The first error of a mapping's storage. It stays the mapping's last word.</summary>
/// <param name="ErrorNumber">What msync, or what Windows has for it, said.</param>
/// <param name="NotDurable">What was flushed, or being made durable, when it said so.</param>
internal sealed record StorageFailure(int ErrorNumber, ByteRange[] NotDurable)
{
    private const int RangesInWords = 8;

    /// <summary>For a call that wanted this range durable: each has an exception of its own, with its own stack trace.</summary>
    /// <param name="path">The file.</param>
    /// <param name="wanted">What this call was to make durable, beside what was flushed before; may be empty.</param>
    public PmemException ToException(string path, ByteRange wanted) => new(
        $"Cannot make {(wanted.IsEmpty ? "what was flushed" : InWords(wanted))} of '{path}' durable: {Errno.Describe(ErrorNumber)} from {Source},"
        + $" now or before. Not known to be durable: {InWords(NotDurable)}, and all else that was stored and not yet persisted;"
        + " it may be lost. The operating system reports an error once and may drop the bytes, so no flush, drain, persist, copy or run"
        + " of this mapping succeeds any more. Dispose it, see to the storage, open the file again and recover; until the file system is"
        + " mounted again, reads can still show bytes that the storage does not have.",
        path, ErrorNumber)
    { NotDurable = NotDurable };

    private string Source => ErrorNumber < 0 ? "FlushViewOfFile or FlushFileBuffers" : "msync";

    private static string InWords(ByteRange range) => string.Create(CultureInfo.InvariantCulture, $"bytes {range.Offset} to {range.End}");

    private static string InWords(ByteRange[] ranges) => string.Join(", ", ranges.Take(RangesInWords).Select(InWords))
        + (ranges.Length > RangesInWords ? string.Create(CultureInfo.InvariantCulture, $" and {ranges.Length - RangesInWords} more ranges") : "");
}
