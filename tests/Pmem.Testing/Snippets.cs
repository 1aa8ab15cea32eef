using Pmem;

namespace Readme;

/// <summary>The C# of the README, compiled and run. A test holds each block of the README against this file.</summary>
public static class Snippets
{
    public static void Plan(string path)
    {
        using PmemMapping map = PmemMapping.Create(path, 64 * 1024);

        "a record"u8.CopyTo(map.Span[4096..]);      // stored: visible, not yet durable
        map.Persist(4096, 8);                       // durable

        map.Write(16384, "another"u8);              // stored and made durable, the fastest way for its length

        map.Span[8192] = 1;                         // several stores ...
        map.Span[12288] = 2;
        FlushPlan plan = FlushPlan.Of(new ByteRange(8192, 1), new ByteRange(12288, 1));
        map.Execute(plan);                          // ... one drain; a plan is a value: keep it, run it again
    }

    public static CrashReport Crash()
    {
        CrashReport report = CrashCheck.Run(
            CrashCheckOptions.Default,
            new byte[4096],
            (RecordedMemory memory) =>
            {
                memory.StoreInt64(64, 42);              // the record
                memory.StoreInt64(0, 1);                // the count: a bug, the record was not persisted first
                memory.Persist(0, 128);
            },
            (CrashedMemory memory) => memory.ReadInt64(0) == 0 || memory.ReadInt64(64) == 42);

        Console.WriteLine(report);                      // which stores were lost, and where they stand in the source
        return report;
    }
}
