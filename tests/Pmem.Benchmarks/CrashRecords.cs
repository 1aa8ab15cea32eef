namespace Pmem.Benchmarks;

/// <summary>Mistakes that hide among more states than can be tried: what it takes to find them.</summary>
internal static class CrashRecords
{
    private const int Records = 20;

    /// <summary>Records of so many bytes, with a sum that does not cover the length; zeros at the end do not change it.</summary>
    public static CrashReport WeakSum(CrashCheckOptions options, int size)
    {
        int room = (size + 16 + 63) / 64 * 64;
        return CrashCheck.Run(
            options, new byte[Records * room],
            memory =>
            {
                byte[] bytes = new byte[size];
                for (int i = 0; i < Records; i++) memory.StoreInt64(i * (long)room, size - 16);
                memory.Persist(0, Records * (long)room);
                for (int i = 0; i < Records; i++)
                {
                    for (int j = 0; j < size - 16; j++) bytes[j] = (byte)(i + j + 1);
                    long at = i * (long)room;
                    memory.Store(at + 16, bytes);
                    memory.StoreInt64(at + 8, Sum(bytes));
                    memory.StoreInt64(at, size);
                    memory.Persist(at, room);
                    memory.Acknowledge(i);
                }
            },
            memory =>
            {
                int i = 0;
                for (; i < Records; i++)
                {
                    long at = i * (long)room;
                    long length = memory.ReadInt64(at), sum = memory.ReadInt64(at + 8);
                    if (sum == 0 || Sum(memory.ReadBytes(at + 16, (int)Math.Clamp(length, 0, size))) != sum) break;
                    if (length != size) return false;
                }

                return memory.Acknowledged.Count <= i;
            });

        static long Sum(ReadOnlySpan<byte> bytes)
        {
            ulong sum = 0;
            for (int i = 0; i <= bytes.Length - 8; i += 8) sum += BitConverter.ToUInt64(bytes[i..]) * (ulong)(2 * i + 1);
            return (long)(sum | 1);
        }
    }

    /// <summary>So many lines that nothing orders, where one must not be durable while another is lost and the rest differ.</summary>
    public static CrashReport WrongPair(CrashCheckOptions options, int lines) => CrashCheck.Run(
        options, new byte[64 * lines],
        memory =>
        {
            for (int i = 0; i < lines; i++) memory.StoreInt64(64L * i, 1);
            memory.Persist(0, 64L * lines);
        },
        memory =>
        {
            long[] words = new long[lines];
            for (int i = 0; i < lines; i++) words[i] = memory.ReadInt64(64L * i);
            // A pair that is wrong only where others are lost and durable too: no end of the search shows it.
            long durable = words.Sum();
            return !(words[lines / 3] == 1 && words[lines / 2] == 0 && durable > 3 && durable < lines - 3);
        });
}
