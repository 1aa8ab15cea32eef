using System.Runtime.Versioning;

namespace Pmem;

/// <summary>
/// Crash checks of code that stores through <c>Span</c>, <c>Ref</c>, <c>Pointer</c> and <c>Write</c> of a
/// <see cref="PmemMapping"/>, unchanged.
/// </summary>
/// <remarks>
/// <para>The mapping has memory of its own. At each flush, drain, promise and copy past the cache the memory is compared with what
/// it held at the one before: what differs was stored in between, in no known order, each aligned word of 8 bytes by itself. So
/// every state is tried that the real stores can leave, and some more, but for values that were overwritten in between. A report
/// names such a store by the line of the call that found it.</para>
/// <para>Recovery runs on a second mapping, which holds the memory as the crash left it: all of it counts as read at the start.
/// The states are tried in the order that <see cref="CrashCheck"/> has, and the verdict is the same; recovery is crashed too.</para>
/// <para>Both are run many times, must be deterministic, must use one thread and nothing but their mapping, and must not
/// dispose it or keep it. The two mappings lie at different addresses.</para>
/// <para>Not promised: that a locked instruction counts as a fence (a report may be too strict there); that a recovery which loops
/// without a flush, a drain or a promise ever ends; that stores from other threads are seen as such.</para>
/// </remarks>
[SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
public static class MappedCrashCheck
{
    /// <summary>Checks a workload and its recovery.</summary>
    /// <param name="options">The model, the budget and how states are chosen.</param>
    /// <param name="image">What memory holds, durably, before the workload: as many bytes as are mapped; it is left as it is.</param>
    /// <param name="workload">What is crashed. It is run twice; what it throws is thrown here.</param>
    /// <param name="recovery">Whether the memory is right after a crash, given what was promised before it.</param>
    /// <exception cref="ArgumentException">The workload did nothing, or the image is empty.</exception>
    /// <exception cref="InvalidOperationException">The workload or the recovery is not deterministic, is asynchronous, or used its
    /// memory from another thread.</exception>
    /// <exception cref="CrashCheckCanceledException">The check was cancelled; it has the report so far.</exception>
    public static CrashReport Run(
        CrashCheckOptions options, byte[] image, Action<PmemMapping> workload, Func<PmemMapping, IReadOnlyList<long>, bool> recovery)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(image);
        ArgumentNullException.ThrowIfNull(workload);
        ArgumentNullException.ThrowIfNull(recovery);
        using var stored = new RecordingMapping(image.Length, options.Model);
        using var left = new ThreadLocal<RecordingMapping>(() => new RecordingMapping(image.Length, options.Model), trackAllValues: true);
        try
        {
            return CrashCheck.Run(
                options,
                image,
                recorded => stored.Run(recorded, hasSources: true, workload),
                crashed =>
                {
                    bool isRight = false;
                    left.Value!.Run(crashed, hasSources: false, map => isRight = recovery(map, crashed.Acknowledged));
                    return isRight;
                });
        }
        finally
        {
            foreach (RecordingMapping each in left.Values) each.Dispose();
        }
    }

    /// <summary>The trace of a workload, to be saved, linted or drawn.</summary>
    /// <param name="model">What is guaranteed about durability.</param>
    /// <param name="image">What memory holds before the workload; it is left as it is.</param>
    /// <param name="workload">What is recorded; it is run once, and what it throws is thrown here.</param>
    /// <returns>What happened, in program order, without a state of the memory; <c>ToLines</c> saves it.</returns>
    /// <exception cref="ArgumentException">The image is empty.</exception>
    public static PersistTrace Record(PersistencyModel model, byte[] image, Action<PmemMapping> workload)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(image);
        ArgumentNullException.ThrowIfNull(workload);
        var recorded = new RecordedMemory(image, model);
        using var mapping = new RecordingMapping(image.Length, model);
        mapping.Run(recorded, hasSources: true, workload);
        return PersistTrace.Of(recorded);
    }
}
