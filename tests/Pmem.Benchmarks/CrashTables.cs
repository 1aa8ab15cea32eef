namespace Pmem.Benchmarks;

/// <summary>A hash table and a B+-tree whose crash checks are measured; both are right. Recovery looks up the keys about the last
/// one that was promised.</summary>
internal static class CrashTables
{
    private static bool IsRight(CrashedMemory memory, int count, Func<IPersistentMemory, long, long> find)
    {
        int promised = memory.Acknowledged.Count;
        for (long key = Math.Max(1, promised - 2); key <= Math.Min(count, promised + 2); key++)
        {
            long found = find(memory, key);
            if (found == 0 ? key <= promised : found != -key) return false;
        }

        return true;
    }

    /// <summary>Open addressing: the value first, then the key.</summary>
    public static CrashReport Table(CrashCheckOptions options, int count)
    {
        int slots = 2 * count;
        long SlotOf(long key) => 16 * (long)((ulong)(key * 0x5851F42D4C957F2D) % (ulong)slots);
        return CrashCheck.Run(
            options, new byte[16 * slots],
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
            memory => IsRight(memory, count, (memory, key) =>
            {
                long at = SlotOf(key), found;
                while ((found = memory.ReadInt64(at)) != 0 && found != key) at = (at + 16) % (16 * slots);
                return found == 0 ? 0 : memory.ReadInt64(at + 8);
            }));
    }

    // A node of 256 bytes: the number of keys, or -1 in a leaf; 15 keys, 0 where there is none; 16 children, or values.
    private const int NodeBytes = 256, MostKeys = 15;

    /// <summary>Sorted nodes over leaves that are not. A leaf with room takes the value and then the key; a full one is split, and
    /// the path to it written anew, before the root turns.</summary>
    public static CrashReport Tree(CrashCheckOptions options, int count) => CrashCheck.Run(
        options, new byte[NodeBytes * (8 + count)],
        memory =>
        {
            var tree = new Grower(memory);
            for (long i = 1; i <= count; i++)
            {
                tree.Insert(KeyOf(i), -i);
                memory.Acknowledge(i);
            }
        },
        memory => IsRight(memory, count, (memory, i) => Find(memory, KeyOf(i))));

    private static long KeyOf(long i) => (long)((ulong)(i * 0x5851F42D4C957F2D) >> 1) | 1;

    private static long Find(IPersistentMemory memory, long key)
    {
        long node = memory.ReadInt64(0);
        if (node == 0) return 0;
        while (memory.ReadInt64(node) >= 0) node = memory.ReadInt64(node + 128 + 8 * Below(memory, node, memory.ReadInt64(node), key));
        for (int i = 0; i < MostKeys; i++)
            if (memory.ReadInt64(node + 8 + 8 * i) == key && memory.ReadInt64(node + 128 + 8 * i) is not 0 and long value) return value;
        return 0;
    }

    private static long Below(IPersistentMemory memory, long node, long keys, long key)
    {
        long i = 0;
        while (i < keys && memory.ReadInt64(node + 8 + 8 * i) <= key) i++;
        return i;
    }

    /// <summary>Keys and what belongs to them, of one node that is being written.</summary>
    private sealed record Content(bool IsLeaf, List<long> Keys, List<long> Children);

    private sealed class Grower(IPersistentMemory memory)
    {
        private long _free = NodeBytes;

        public void Insert(long key, long value)
        {
            long root = memory.ReadInt64(0);
            if (root == 0)
            {
                Turn(Write(new Content(true, [key], [value])));
                return;
            }

            var path = new Stack<(long Node, int Child)>();
            long node = root;
            while (memory.ReadInt64(node) >= 0)
            {
                int child = (int)Below(memory, node, memory.ReadInt64(node), key);
                path.Push((node, child));
                node = memory.ReadInt64(node + 128 + 8 * child);
            }

            int keys = KeysOf(node);
            if (keys < MostKeys) Add(node, keys, key, value);
            else Split(path, Read(node, keys), key, value);
        }

        private int KeysOf(long leaf)
        {
            int keys = 0;
            while (keys < MostKeys && memory.ReadInt64(leaf + 8 + 8 * keys) != 0) keys++;
            return keys;
        }

        private void Put(long at, long value)
        {
            memory.StoreInt64(at, value);
            memory.Persist(at, 8);
        }

        private void Turn(long root) => Put(0, root);

        private void Add(long leaf, int keys, long key, long value)
        {
            Put(leaf + 128 + 8 * keys, value);
            Put(leaf + 8 + 8 * keys, key);
        }

        private Content Read(long node, int keys)
        {
            bool isLeaf = memory.ReadInt64(node) < 0;
            var content = new Content(isLeaf, [], []);
            for (int i = 0; i < keys; i++) content.Keys.Add(memory.ReadInt64(node + 8 + 8 * i));
            for (int i = 0; i < (isLeaf ? keys : keys + 1); i++) content.Children.Add(memory.ReadInt64(node + 128 + 8 * i));
            return content;
        }

        private long Write(Content content)
        {
            long node = _free;
            _free += NodeBytes;
            memory.StoreInt64(node, content.IsLeaf ? -1 : content.Keys.Count);
            for (int i = 0; i < content.Keys.Count; i++) memory.StoreInt64(node + 8 + 8 * i, content.Keys[i]);
            for (int i = 0; i < content.Children.Count; i++) memory.StoreInt64(node + 128 + 8 * i, content.Children[i]);
            memory.Persist(node, NodeBytes);
            return node;
        }

        private void Split(Stack<(long Node, int Child)> path, Content full, long key, long value)
        {
            (long Key, long Value)[] sorted = [.. full.Keys.Zip(full.Children).Append((key, value)).OrderBy(pair => pair.Item1)];
            Content left = Leaf(sorted[..8]), right = Leaf(sorted[8..]);
            long first = Write(left), second = Write(right), between = right.Keys[0];
            while (path.TryPop(out (long Node, int Child) parent))
            {
                Content node = Read(parent.Node, (int)memory.ReadInt64(parent.Node));
                node.Children[parent.Child] = first;
                if (second != 0)
                {
                    node.Keys.Insert(parent.Child, between);
                    node.Children.Insert(parent.Child + 1, second);
                }

                if (node.Keys.Count <= MostKeys)
                {
                    (first, second) = (Write(node), 0);
                    continue;
                }

                between = node.Keys[8];
                first = Write(new Content(false, node.Keys[..8], node.Children[..9]));
                second = Write(new Content(false, node.Keys[9..], node.Children[9..]));
            }

            Turn(second == 0 ? first : Write(new Content(false, [between], [first, second])));
        }

        private static Content Leaf((long Key, long Value)[] pairs) =>
            new(true, [.. pairs.Select(pair => pair.Key)], [.. pairs.Select(pair => pair.Value)]);
    }
}
