using Pmem;

namespace Course;

/// <summary>Atomic updates: two words that change together.</summary>
public static class Chapter6
{
    private static readonly ByteRange Range = new(1024, 1024);

    private static PersistProgram Move(IPersistentMemory memory, long amount) => PersistProgram.Empty
        .Write(0, memory.ReadInt64(0) - amount)
        .Barrier()
        .Write(64, memory.ReadInt64(64) + amount);

    public static void OneAfterTheOther(IPersistentMemory memory) => Move(memory, 10).RunOn(memory);

    public static void Together(IPersistentMemory memory) => Journal.Open(memory, Range).Commit(Move(memory, 10));

    public static CrashReport Check(Action<IPersistentMemory> transfer)
    {
        var bank = new RecordedMemory(new byte[2048], PersistencyModel.X86);
        Journal.Format(bank, Range);
        bank.StoreInt64(0, 100);
        return CrashCheck.Run(
            CrashCheckOptions.Default,
            bank.ToArray(),
            memory =>
            {
                transfer(memory);
                memory.Acknowledge(1);
            },
            memory =>
            {
                Journal.Open(memory, Range); // recovers
                return memory.ReadInt64(0) + memory.ReadInt64(64) == 100;
            });
    }
}
