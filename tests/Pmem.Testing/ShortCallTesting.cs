using System.Reflection;
using Pmem.Linux;

namespace Pmem.Testing;

/// <summary>Short calls as a mapping makes them: as managed functions, with a flag and an owner.</summary>
internal static unsafe class ShortCallTesting
{
    private const string Owner = "the owner";

    /// <summary>Long enough for another thread to come meanwhile: some hundred milliseconds.</summary>
    private const int Pauses = 20_000_000;

    private static readonly string[] s_fields = ["_copyThrough", "_copyPast", "_fillThrough", "_fillPast", "_persist", "_store"];

    public static ShortCalls For(ShortCalls all, CopyPlan plan) => all.For(plan, &Refuse);

    public static void Copy(ShortCalls calls, byte* to, byte* from, int length)
    {
        bool isClosed = false;
        calls.Copy(to, ref *from, (nuint)length, ref isClosed, Owner);
    }

    public static void Fill(ShortCalls calls, byte* to, byte value, int length)
    {
        bool isClosed = false;
        calls.Fill(to, value, (nuint)length, ref isClosed, Owner);
    }

    public static void Persist(ShortCalls calls, byte* start, int length)
    {
        bool isClosed = false;
        calls.Persist(start, (nuint)length, ref isClosed, Owner);
    }

    public static void Word(ShortCalls calls, byte* to, ulong word, int length, bool isDurable)
    {
        bool isClosed = false;
        if (isDurable) calls.Write(to, word, (nuint)length, ref isClosed, Owner);
        else calls.Store(to, word, (nuint)length, ref isClosed, Owner);
    }

    /// <summary>Every call with an owner that is closed: what each was told.</summary>
    public static IEnumerable<(string Name, string Told)> CallClosed(ShortCalls all, CopyPlan plan, nint memory)
    {
        ShortCalls calls = For(all, plan);
        bool isClosed = true;
        byte* to = (byte*)memory;
        byte[] from = new byte[100];
        return
        [
            ("copy", Told(() => calls.Copy(to, ref from[0], 100, ref isClosed, Owner))),
            ("copy of a line", Told(() => calls.Copy(to, ref from[0], 64, ref isClosed, Owner))),
            ("copy through", Told(() => calls.CopyThrough(to, to + 100, 64, ref isClosed, Owner))),
            ("fill", Told(() => calls.Fill(to, 1, 100, ref isClosed, Owner))),
            ("fill of a line", Told(() => calls.Fill(to, 1, 64, ref isClosed, Owner))),
            ("write", Told(() => calls.Write(to, 1, 8, ref isClosed, Owner))),
            ("persist", Told(() => calls.Persist(to, 100, ref isClosed, Owner))),
            ("store", Told(() => calls.Store(to, 1, 8, ref isClosed, Owner))),
        ];
    }

    /// <summary>
    /// A mapping whose every short call is one that lingers: it stores 1 at the first byte, and much later 1 at the fifth. Nobody unmaps
    /// the memory, so that it can be looked at afterwards.
    /// </summary>
    public static PmemMapping Lingering(GuardedMemory memory, Platform platform) => Over(memory, platform, new LingeringLines());

    /// <summary>A mapping that may only be read, of memory that can be stored to all the same.</summary>
    public static PmemMapping ReadOnly(GuardedMemory memory) =>
        Over(memory, isReadOnly: true, new ByteRange(0, memory.Length));

    /// <summary>Short calls of code that is nowhere.</summary>
    public static ShortCalls Nowhere() => new([1, 1, 1, 1, 1, 1]);

    /// <summary>A mapping whose every short call stores, at the first byte, which code it is: 1 to 6, as a constructor is given them.</summary>
    public static PmemMapping Marking(GuardedMemory memory, Platform platform) => Over(memory, platform, new MarkingLines());

    /// <summary>The first bytes of the code of a call, numbered as a constructor is given them.</summary>
    public static byte[] CodeOf(ShortCalls calls, int which, int length)
    {
        string name = s_fields[which];
        FieldInfo field = typeof(ShortCalls).GetField(name, BindingFlags.Instance | BindingFlags.NonPublic) ?? throw new MissingFieldException(name);
        return new ReadOnlySpan<byte>((void*)(nint)(field.GetValue(calls) ?? 0), length).ToArray();
    }

    /// <summary>A mapping of all pages of memory but the first and the last: what strays a little harms nobody, and is seen.</summary>
    public static PmemMapping InTheMiddle(GuardedMemory memory)
    {
        int page = Environment.SystemPageSize;
        return Over(memory, isReadOnly: false, new ByteRange(page, memory.Length - 2 * page));
    }

    /// <summary>What the machine itself has; where it has no write-back, none is made.</summary>
    public static Persister PersisterFor(MappedFile file, IPageSync pages, Sysfs sysfs) => PmemPlatform.Current.WriteBack.IsNoWriteBack
        ? Persister.For(file, default(NoLines), pages, sysfs)
        : Persister.For(file, PmemPlatform.CurrentLines, pages, sysfs);

    private static PmemMapping Over(GuardedMemory memory, bool isReadOnly, ByteRange bytes)
    {
        MappedFile file = FileOver(memory, Platform.X64(WriteBackKind.Clwb), isReadOnly, bytes);
        return new PmemMapping(file, PersisterFor(file, FileMapper.System, new Sysfs("/nowhere")));
    }

    private static PmemMapping Over<TLines>(GuardedMemory memory, Platform platform, TLines lines) where TLines : struct, ILineInstructions
    {
        MappedFile file = FileOver(memory, platform, isReadOnly: false, new ByteRange(0, memory.Length));
        return new PmemMapping(file, Persister.For(file, lines, FileMapper.System, new Sysfs("/nowhere")));
    }

    private static MappedFile FileOver(GuardedMemory memory, Platform platform, bool isReadOnly, ByteRange bytes)
    {
        var facts = new MappingFacts("memory", new ByteRange(0, bytes.Length), MappingKind.FileDax, isReadOnly, "memory_controller", platform);
        return new MappedFile(memory.Address + (nint)bytes.Offset, MappingInfo.Decide(facts).ValueOrThrow("memory"), default) { IsAdopted = true };
    }

    private static string Told(Action call)
    {
        try { call(); }
        catch (InvalidOperationException e) { return e.Message; }
        return "nothing";
    }

    private static void Refuse(object owner) => throw new InvalidOperationException((string)owner);

    /// <summary>C6 07 ib is mov byte [rdi], ib.</summary>
    private readonly struct MarkingLines : ILineInstructions
    {
        private static readonly nint[] s_placed =
            ExecutablePage.TryPlace([.. Enumerable.Range(1, 6).Select(which => new byte[] { 0xF3, 0x0F, 0x1E, 0xFA, 0xC6, 0x07, (byte)which, 0xC3 })])
            ?? throw new InvalidOperationException("no executable memory");

        public ShortCalls Short => new(s_placed);

        public void WriteBack(nint start, nint end) { }

        public void WriteBackAndFence(nint start, nint end) { }

        public void DeepWriteBack(nint start, nint end) { }

        public void Fence() { }
    }

    /// <summary>Instructions of System V on x86-64: see X64ShortStubs.cs; 83 E8 01 is sub eax, 1, F3 90 is pause (Intel SDM vol. 2).</summary>
    private readonly struct LingeringLines : ILineInstructions
    {
        private static readonly byte[] s_code =
        [
            0xF3, 0x0F, 0x1E, 0xFA, 0x80, 0x39, 0x00, 0x74, 0x06, 0x4C, 0x89, 0xC7, 0x41, 0xFF, 0xE1,
            0xC6, 0x07, 0x01, 0xB8, .. BitConverter.GetBytes(Pauses), 0xF3, 0x90, 0x83, 0xE8, 0x01, 0x75, 0xF9, 0xC6, 0x47, 0x04, 0x01, 0xC3,
        ];

        private static readonly nint s_placed = (ExecutablePage.TryPlace(s_code) ?? throw new InvalidOperationException("no executable memory"))[0];

        public ShortCalls Short => new([s_placed, s_placed, s_placed, s_placed, s_placed, s_placed]);

        public void WriteBack(nint start, nint end) { }

        public void WriteBackAndFence(nint start, nint end) { }

        public void DeepWriteBack(nint start, nint end) { }

        public void Fence() { }
    }
}
