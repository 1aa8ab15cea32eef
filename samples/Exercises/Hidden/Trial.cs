using Pmem;

namespace Exercises;

/// <summary>Crashes a workload under the models of machines that lose their caches.</summary>
internal static class Trial
{
    private static readonly PersistencyModel[] Models = [PersistencyModel.X86, PersistencyModel.Relaxed];

    /// <exception cref="ExerciseFailedException">A crash leaves what recovery does not accept.</exception>
    public static void Survives(byte[] image, Action<RecordedMemory> workload, Func<CrashedMemory, bool> recovery)
    {
        foreach (PersistencyModel model in Models)
        {
            CrashReport report = Run(CrashCheckOptions.Default.WithModel(model), image, workload, recovery);
            if (report.HasCounterexample) throw new ExerciseFailedException(report.ToString());
        }
    }

    private static CrashReport Run(
        CrashCheckOptions options, byte[] image, Action<RecordedMemory> workload, Func<CrashedMemory, bool> recovery)
    {
        try
        {
            return CrashCheck.Run(options, image, workload, recovery);
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException)
        {
            throw new ExerciseFailedException(error.Message);
        }
    }

    /// <summary>How often a workload waits: the fences in its trace.</summary>
    public static int Drains(byte[] image, Action<RecordedMemory> workload)
    {
        var memory = new RecordedMemory(image, PersistencyModel.X86);
        workload(memory);
        return memory.Trace.Count(recorded => recorded.Event.ToString() == "fence");
    }

    public static void Demand(bool holds, string what)
    {
        if (!holds) throw new ExerciseFailedException(what);
    }

    /// <summary>How many promises were given.</summary>
    public static int Promised(CrashedMemory memory) => memory.Acknowledged.Count;
}
