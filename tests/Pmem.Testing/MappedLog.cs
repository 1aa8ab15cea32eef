namespace Pmem.Testing;

/// <summary>What a <see cref="MappedLog"/> does wrong.</summary>
internal enum LogMistake
{
    None,
    RecordNotFlushed,
    CountNotFlushed,
    CountBeforeRecord,
    PromisedTooEarly,
}

/// <summary>
/// A log as ordinary code has it: its count in the first word, records of two lines each behind, stored through spans,
/// references, pointers and copies, one of each way in turn. Nothing here knows that it may be recorded.
/// </summary>
internal sealed class MappedLog(PmemMapping map, LogMistake mistake)
{
    public const int RecordBytes = 128, FirstOffset = 64;

    public static int SizeBytes(int records) => FirstOffset + records * RecordBytes;

    public void Append(long number)
    {
        ref long count = ref map.Ref<long>(0);
        long offset = OffsetOf(count);
        if (mistake == LogMistake.PromisedTooEarly) map.Acknowledge(number);
        if (mistake == LogMistake.CountBeforeRecord) map.Persist(ref Raise(ref count));
        StoreRecord(offset, number);
        if (mistake != LogMistake.RecordNotFlushed) map.Persist(offset, RecordBytes);
        if (mistake != LogMistake.CountBeforeRecord) Raise(ref count);
        if (mistake is not (LogMistake.CountNotFlushed or LogMistake.CountBeforeRecord)) map.Persist(ref count);
        if (mistake != LogMistake.PromisedTooEarly) map.Acknowledge(number);
    }

    /// <summary>Whether every record that is counted is whole, and every promise kept.</summary>
    public static bool IsRight(PmemMapping map, IReadOnlyList<long> promised)
    {
        long count = map.Ref<long>(0);
        if (count < promised.Count || OffsetOf(count) > map.Length) return false;
        for (long index = 0; index < count; index++)
            if (map.Read<long>(OffsetOf(index)) != index + 1 || map.Read<long>(OffsetOf(index) + RecordBytes - sizeof(long)) != index + 1) return false;
        return true;
    }

    private static long OffsetOf(long index) => FirstOffset + index * RecordBytes;

    private static ref long Raise(ref long count)
    {
        count++;
        return ref count;
    }

    /// <summary>The number in the first and in the last word, which lie in two lines.</summary>
    private unsafe void StoreRecord(long offset, long number)
    {
        long last = offset + RecordBytes - sizeof(long);
        switch (number % 4)
        {
            case 0:
                BitConverter.TryWriteBytes(map.Span[(int)offset..], number);
                BitConverter.TryWriteBytes(map.GetSpan(last, sizeof(long)), number);
                break;
            case 1:
                map.Ref<long>(offset) = number;
                map.Ref<long>(last) = number;
                break;
            case 2:
                // SAFETY: both words lie in the mapping, or Persist throws; the mapping outlives this call.
                *(long*)(map.Pointer + offset) = number;
                *(long*)(map.Pointer + last) = number;
                break;
            default:
                map.Write(offset, number, PmemCopyOptions.NoFlush);
                map.Write(last, number, PmemCopyOptions.NoFlush);
                break;
        }
    }
}

/// <summary>The log, crash-checked from C#.</summary>
internal static class MappedLogChecks
{
    public static CrashReport Check(PersistencyModel model, LogMistake mistake, int records) => MappedCrashCheck.Run(
        CrashCheckOptions.Default.WithModel(model),
        new byte[MappedLog.SizeBytes(records)],
        map =>
        {
            var log = new MappedLog(map, mistake);
            for (long number = 1; number <= records; number++) log.Append(number);
        },
        MappedLog.IsRight);

    /// <summary>Refused: the compiler makes the workload an async void.</summary>
    public static CrashReport Asynchronous() => MappedCrashCheck.Run(
        CrashCheckOptions.Default,
        new byte[64],
        async map =>
        {
            map.Write(0, 1L);
            await Task.Yield();
            map.Write(8, 1L);
        },
        (_, _) => true);
}
