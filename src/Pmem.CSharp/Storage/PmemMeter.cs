using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Pmem;

/// <summary>
/// The meter `Pmem`: what dotnet-counters, OpenTelemetry and a MeterListener are told. Nothing of it is on the way of a store, a
/// flush or a persist of persistent memory; beside msync it costs a question whether somebody listens.
/// </summary>
/// <remarks>
/// A listener's code runs in the thread that tells it. So all but one instrument are asked for, on the listener's own thread; and the
/// one that tells, of persists, does so when the call holds no lock, and what the listener throws is not the caller's.
/// </remarks>
internal static class PmemMeter
{
    public const string Name = "Pmem";

    private const int Errnos = 256, WinErrors = 2048;

    private static readonly Meter Source = new(Name, typeof(PmemMeter).Assembly.GetName().Version?.ToString(3));
    private static readonly ConcurrentDictionary<string, long> RefusalsOf = new();
    private static readonly long[] ErrorsOf = new long[Errnos + WinErrors];
    private static long s_syncs, s_syncTicks;

    private static readonly Histogram<double> Persists = Source.CreateHistogram<double>(
        "pmem.persist.duration", "us", "How long persists and drains with page granularity took, as their callers saw it.");

    private static readonly ObservableCounter<long> Syncs = Source.CreateObservableCounter(
        "pmem.syncs", () => Volatile.Read(ref s_syncs), "{sync}", "Calls of msync (on Windows FlushFileBuffers); one serves all persists that wait.");

    private static readonly ObservableCounter<double> SyncTime = Source.CreateObservableCounter(
        "pmem.sync.time", () => Stopwatch.GetElapsedTime(0, Volatile.Read(ref s_syncTicks)).TotalSeconds, "s", "Time in them.");

    private static readonly ObservableCounter<long> Errors = Source.CreateObservableCounter(
        "pmem.storage.errors", CountErrors, "{error}", "Errors of the storage: what was stored may be lost.");

    private static readonly ObservableCounter<long> Refusals = Source.CreateObservableCounter(
        "pmem.refusals", CountRefusals, "{refusal}", "Requests that the library refused, by reason.");

    /// <summary>The live mappings, by granularity, and their bytes.</summary>
    public static void Watch(Func<IEnumerable<Measurement<long>>> mappings, Func<IEnumerable<Measurement<long>>> bytes)
    {
        Source.CreateObservableUpDownCounter("pmem.mappings", mappings, "{mapping}", "Mappings that are open.");
        Source.CreateObservableUpDownCounter("pmem.mapped", bytes, "By", "Bytes that are mapped.");
    }

    public static Measurement<long> Measured(long value, string tag, string of) => new(value, KeyValuePair.Create(tag, (object?)of));

    /// <summary>When a persist began; 0 while nobody listens.</summary>
    public static long BeginPersist() => Persists.Enabled ? Stopwatch.GetTimestamp() : 0;

    /// <summary>It has ended, and holds no lock.</summary>
    public static void EndPersist(long began)
    {
        if (began == 0) return;
        try { Persists.Record(Stopwatch.GetElapsedTime(began).TotalMicroseconds); }
        catch (Exception)
        {
            // What was persisted is durable, whatever a listener thinks of it.
        }
    }

    /// <summary>Syncs pages, and counts that: 0, or the error number.</summary>
    public static int SyncCounted(this IPageSync pages, nint start, nint end)
    {
        if (!Syncs.Enabled && !SyncTime.Enabled) return Counted(pages.Sync(start, end));
        long began = Stopwatch.GetTimestamp();
        int error = pages.Sync(start, end);
        Interlocked.Add(ref s_syncTicks, Stopwatch.GetTimestamp() - began);
        Interlocked.Increment(ref s_syncs);
        return Counted(error);
    }

    /// <summary>The error number of a call that was to make bytes durable, once it is counted.</summary>
    public static int Counted(int error)
    {
        if (error > 0) Interlocked.Increment(ref ErrorsOf[Math.Min(error, Errnos - 1)]);
        if (error < 0) Interlocked.Increment(ref ErrorsOf[Errnos + Math.Min(WinError.CodeOf(error), WinErrors - 1)]);
        return error;
    }

    public static void Refused(Refusal refusal) => RefusalsOf.AddOrUpdate(ReasonOf(refusal), 1, static (_, count) => count + 1);

    /// <summary>The case's name; the only case without values has no type of its own.</summary>
    private static string ReasonOf(Refusal refusal) => refusal.IsFileIsEmpty ? nameof(Refusal.FileIsEmpty) : refusal.GetType().Name;

    private static IEnumerable<Measurement<long>> CountErrors() => Enumerable.Range(0, ErrorsOf.Length)
        .Where(index => Volatile.Read(ref ErrorsOf[index]) != 0)
        .Select(index => Measured(
            Volatile.Read(ref ErrorsOf[index]), "error.type", Errno.Name(index < Errnos ? index : WinError.Of(index - Errnos))));

    private static IEnumerable<Measurement<long>> CountRefusals() =>
        RefusalsOf.Select(refused => Measured(refused.Value, "pmem.reason", refused.Key));
}
