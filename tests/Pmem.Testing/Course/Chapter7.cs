using Pmem;

namespace Course;

/// <summary>Recovery that crashes: it runs again, on what it left.</summary>
public static class Chapter7
{
    private static void Put(IPersistentMemory memory, long offset, long value)
    {
        memory.StoreInt64(offset, value);
        memory.Persist(offset, 8);
    }

    // 0: head    64: how many were taken    128: a note, the number that both are to have, or 0
    public static void TakesNoteBackFirst(IPersistentMemory memory)
    {
        long note = memory.ReadInt64(128);
        if (note == 0) return;
        Put(memory, 128, 0);
        Put(memory, 0, note);
        Put(memory, 64, note);
    }

    public static void TakesNoteBackLast(IPersistentMemory memory)
    {
        long note = memory.ReadInt64(128);
        if (note == 0) return;
        Put(memory, 0, note);
        Put(memory, 64, note);
        Put(memory, 128, 0);
    }

    public static CrashReport Check(Action<IPersistentMemory> recover, int recoveryCrashes) => CrashCheck.Run(
        CrashCheckOptions.Default.WithRecoveryCrashes(recoveryCrashes),
        new byte[192],
        memory =>
        {
            Put(memory, 128, 1);
            Put(memory, 0, 1);
            Put(memory, 64, 1);
            Put(memory, 128, 0);
        },
        memory =>
        {
            recover(memory);
            return memory.ReadInt64(0) == memory.ReadInt64(64);
        });
}
