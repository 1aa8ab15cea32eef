using System.Runtime.InteropServices;

namespace Pmem.Benchmarks;

/// <summary>Logs whose crash checks are measured; all of them are right.</summary>
internal static class CrashLogs
{
    /// <summary>A record in a line each, and their count.</summary>
    public static CrashReport Log(CrashCheckOptions options, int count, bool readsAll) => CrashCheck.Run(
        options, new byte[64 * (count + 1)],
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

    /// <summary>A redo log of so many lines, applied by recovery, each line persisted by itself.</summary>
    public static CrashReport Redo(CrashCheckOptions options, int lines) => CrashCheck.Run(
        options, new byte[64 * (2 * lines + 1)],
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
            long logged = CopyLogged(memory, lines);
            for (long i = 1; i <= logged; i++)
                if (memory.ReadInt64(64 * (lines + i)) != i) return false;
            return logged == lines || memory.Acknowledged.Count == 0;
        });

    /// <summary>An undo log of so many lines, which are changed one by one; recovery takes them back one by one.</summary>
    public static CrashReport Undo(CrashCheckOptions options, int lines) => CrashCheck.Run(
        options, new byte[64 * (2 * lines + 1)],
        memory =>
        {
            for (long i = 1; i <= lines; i++) memory.StoreInt64(64 * i, memory.ReadInt64(64 * (lines + i)));
            memory.Persist(64, 64 * lines);
            memory.StoreInt64(0, lines);
            memory.Persist(0, 8);
            for (long i = 1; i <= lines; i++)
            {
                memory.StoreInt64(64 * (lines + i), i);
                memory.Persist(64 * (lines + i), 8);
            }

            memory.StoreInt64(0, 0);
            memory.Persist(0, 8);
            memory.Acknowledge(1);
        },
        memory =>
        {
            long logged = CopyLogged(memory, lines);
            if (logged > 0)
            {
                memory.StoreInt64(0, 0);
                memory.Persist(0, 8);
            }

            long first = memory.ReadInt64(64 * (lines + 1));
            for (long i = 2; i <= lines; i++)
                if (memory.ReadInt64(64 * (lines + i)) != i * first) return false;
            return first == 1 || memory.Acknowledged.Count == 0;
        });

    public static CrashReport Blocks(CrashCheckOptions options, int count)
    {
        const int Size = 4096;
        return CrashCheck.Run(
            options, new byte[Size * count],
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
            foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(bytes[8..]))
                sum = (sum ^ word) * 0x9E3779B97F4A7C15;
            return sum | 1;
        }
    }

    public static CrashReport Lint(int count)
    {
        var memory = new RecordedMemory(new byte[64 * count], PersistencyModel.X86);
        for (long i = 0; i < count; i++)
        {
            memory.StoreInt64(64 * i, i);
            memory.Persist(64 * i, 8);
        }

        if (PersistLint.Check(PersistencyModel.X86, memory.Trace).Count > 0) throw new InvalidOperationException("A right trace has a diagnostic.");
        return Log(CrashCheckOptions.Default, 1, readsAll: false);
    }

    /// <summary>What recovery does with each logged line, one by one; it returns how many there are.</summary>
    private static long CopyLogged(CrashedMemory memory, int lines)
    {
        long logged = memory.ReadInt64(0);
        for (long i = 1; i <= logged; i++)
        {
            memory.StoreInt64(64 * (lines + i), memory.ReadInt64(64 * i));
            memory.Persist(64 * (lines + i), 8);
        }

        return logged;
    }
}
