using System.Diagnostics;

namespace Pmem.Benchmarks;

/// <summary>What a crash check costs, at N and at 2N: whether a structure twice as long takes twice as long.</summary>
internal static class CrashContests
{
    private sealed record Case(string Name, int Count, Func<int, CrashReport> Run);

    private static readonly Case[] s_cases =
    [
        new("log read whole", 2500, n => Log(n, readsAll: true)),
        new("log read whole", 5000, n => Log(n, readsAll: true)),
        new("log, recovery reads two words", 17_000, n => Log(n, readsAll: false)),
        new("hash table", 5000, Table),
        new("recovery that persists lines", 50, Redo),
        new("blocks of 4 KiB, ReadValidated", 250, Blocks),
        new("lint of persists", 20_000, Lint),
    ];

    /// <summary>Prints a Markdown table, a row as soon as it is measured.</summary>
    public static void Run()
    {
        Console.WriteLine("| what | N | runs | runs at 2N | ms | ms at 2N | MB at 2N | verdict |");
        Console.WriteLine("|---|---:|---:|---:|---:|---:|---:|---|");
        foreach (Case each in s_cases)
        {
            (CrashReport one, long milliseconds) = Timed(each, each.Count);
            (CrashReport two, long milliseconds2) = Timed(each, 2 * each.Count);
            Console.WriteLine(
                $"| {each.Name} | {each.Count} | {one.RecoveryRuns} | {two.RecoveryRuns} | {milliseconds} | {milliseconds2} | {GC.GetTotalMemory(false) >> 20} | {two.Verdict} |");
        }
    }

    private static (CrashReport Report, long Milliseconds) Timed(Case what, int count)
    {
        Stopwatch clock = Stopwatch.StartNew();
        return (what.Run(count), clock.ElapsedMilliseconds);
    }

    private static CrashReport Log(int count, bool readsAll) => CrashCheck.Run(
        CrashCheckOptions.Default, new byte[64 * (count + 1)],
        memory =>
        {
            for (long i = 1; i <= count; i++)
            {
                memory.StoreInt64(64 * i, i);
                memory.Persist(64 * i, 8);
                memory.StoreInt64(0, i);
                memory.Persist(0, 8);
                memory.Acknowledge(i);
            }
        },
        memory =>
        {
            long length = memory.ReadInt64(0);
            if (readsAll)
            {
                for (long i = 1; i <= length; i++)
                    if (memory.ReadInt64(64 * i) != i) return false;
            }

            int promised = memory.Acknowledged.Count;
            return (length == 0 || memory.ReadInt64(64 * length) == length) && promised <= length;
        });

    /// <summary>Open addressing: the value first, then the key.</summary>
    private static CrashReport Table(int count)
    {
        int slots = 2 * count;
        long SlotOf(long key) => 16 * (long)((ulong)(key * 0x5851F42D4C957F2D) % (ulong)slots);
        return CrashCheck.Run(
            CrashCheckOptions.Default, new byte[16 * slots],
            memory =>
            {
                for (long key = 1; key <= count; key++)
                {
                    long at = SlotOf(key);
                    while (memory.ReadInt64(at) != 0) at = (at + 16) % (16 * slots);
                    memory.StoreInt64(at + 8, -key);
                    memory.Persist(at + 8, 8);
                    memory.StoreInt64(at, key);
                    memory.Persist(at, 8);
                    memory.Acknowledge(key);
                }
            },
            memory =>
            {
                int promised = memory.Acknowledged.Count;
                for (long key = Math.Max(1, promised - 2); key <= Math.Min(count, promised + 2); key++)
                {
                    long at = SlotOf(key);
                    long found;
                    while ((found = memory.ReadInt64(at)) != 0 && found != key) at = (at + 16) % (16 * slots);
                    if (found == 0 ? key <= promised : memory.ReadInt64(at + 8) != -key) return false;
                }

                return true;
            });
    }

    /// <summary>A redo log of so many lines, applied by recovery, each line persisted by itself.</summary>
    private static CrashReport Redo(int lines) => CrashCheck.Run(
        CrashCheckOptions.Default, new byte[64 * (2 * lines + 1)],
        memory =>
        {
            for (long i = 1; i <= lines; i++) memory.StoreInt64(64 * i, i);
            memory.Persist(64, 64 * lines);
            memory.StoreInt64(0, lines);
            memory.Persist(0, 8);
            memory.Acknowledge(1);
        },
        memory =>
        {
            long logged = memory.ReadInt64(0);
            for (long i = 1; i <= logged; i++)
            {
                memory.StoreInt64(64 * (lines + i), memory.ReadInt64(64 * i));
                memory.Persist(64 * (lines + i), 8);
            }

            for (long i = 1; i <= logged; i++)
                if (memory.ReadInt64(64 * (lines + i)) != i) return false;
            return logged == lines || memory.Acknowledged.Count == 0;
        });

    private static CrashReport Blocks(int count)
    {
        const int Size = 4096;
        return CrashCheck.Run(
            CrashCheckOptions.Default, new byte[Size * count],
            memory =>
            {
                byte[] block = new byte[Size];
                for (int i = 0; i < count; i++)
                {
                    Array.Fill(block, (byte)(i % 250 + 1));
                    BitConverter.TryWriteBytes(block, Sum(block));
                    memory.Store(Size * (long)i, block);
                    memory.Persist(Size * (long)i, Size);
                    memory.Acknowledge(i);
                }
            },
            memory =>
            {
                Span<byte> block = stackalloc byte[Size];
                int whole = 0;
                while (whole < count && memory.ReadValidated(Size * (long)whole, block, bytes => BitConverter.ToUInt64(bytes) == Sum(bytes)))
                    whole++;
                return memory.Acknowledged.Count <= whole;
            });

        static ulong Sum(ReadOnlySpan<byte> bytes)
        {
            ulong sum = 7;
            foreach (ulong word in System.Runtime.InteropServices.MemoryMarshal.Cast<byte, ulong>(bytes[8..]))
                sum = (sum ^ word) * 0x9E3779B97F4A7C15;
            return sum | 1;
        }
    }

    private static CrashReport Lint(int count)
    {
        var memory = new RecordedMemory(new byte[64 * count], PersistencyModel.X86);
        for (long i = 0; i < count; i++)
        {
            memory.StoreInt64(64 * i, i);
            memory.Persist(64 * i, 8);
        }

        if (PersistLint.Check(PersistencyModel.X86, memory.Trace).Count > 0) throw new InvalidOperationException("A right trace has a diagnostic.");
        return Log(1, readsAll: false);
    }
}
