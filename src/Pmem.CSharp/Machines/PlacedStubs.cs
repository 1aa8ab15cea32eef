using System.Runtime.InteropServices;

namespace Pmem;

/// <summary>
/// The machine code that .NET has no intrinsic for. An architecture is one file that has this, and its line in
/// <see cref="PlacedStubs"/>.
/// </summary>
internal interface IStubCode
{
    /// <summary>
    /// Position-independent code of <c>void (start, end)</c>: a loop that writes back the lines from one address (inclusive,
    /// aligned to a line) to another (exclusive), and then waits or does not. It writes back at least one line.
    /// </summary>
    /// <param name="kind">An instruction of this architecture; another is an <see cref="ArgumentOutOfRangeException"/>.</param>
    /// <param name="fence">The fence after the loop; null for none.</param>
    /// <param name="lineSizeBytes">The distance from line to line, in bytes.</param>
    static abstract byte[] WriteBack(WriteBackKind kind, FenceKind? fence, int lineSizeBytes);

    /// <summary>Position-independent code of <c>void ()</c>: the fence alone.</summary>
    static abstract byte[] Fence(FenceKind fence);

    /// <summary>
    /// Position-independent code of <c>void (to, from, length, isClosed, owner, whenClosed)</c>, in this order: a whole durable copy of 1 to
    /// <see cref="ShortCalls.LongestBytes"/> bytes; the same where whole lines go past the cache; the two for a fill, whose second argument is
    /// the byte eight times; a persist, which ignores it; a store of 1, 2, 4 or 8 bytes of it. All is loaded, then stored, then written back
    /// unless it went past the cache, then waited for; the store is neither. Where the flag is set, nothing is done but
    /// <c>whenClosed(owner)</c>. It is called as a managed function of the system is. None where there is no such code.
    /// </summary>
    static virtual byte[][] Short(WriteBackKind kind, FenceKind fence, int lineSizeBytes) => [];

    /// <summary>The write-backs that the architecture has.</summary>
    static abstract IReadOnlyList<WriteBackKind> WriteBacks { get; }

    /// <summary>Its fences.</summary>
    static abstract IReadOnlyList<FenceKind> Fences { get; }
}

/// <summary>All stubs of an architecture, in one page of executable memory, whichever of them a platform decides for.</summary>
internal sealed class PlacedStubs
{
    private readonly Dictionary<(WriteBackKind, FenceKind?), nint> _writeBacks = [];
    private readonly Dictionary<FenceKind, nint> _fences = [];

    private readonly Func<WriteBackKind, FenceKind, byte[][]> _shortCode;

    private PlacedStubs(Func<WriteBackKind, FenceKind, byte[][]> shortCode) => _shortCode = shortCode;

    /// <summary>Null where there is no machine code for the architecture, or executable memory is refused.</summary>
    public static PlacedStubs? TryPlace(Architecture architecture, int lineSizeBytes) => architecture switch
    {
        Architecture.X64 when OperatingSystem.IsWindows() => TryPlace<X64WindowsStubs>(lineSizeBytes),
        Architecture.X64 => TryPlace<X64Stubs>(lineSizeBytes),
        Architecture.Arm64 => TryPlace<Arm64Stubs>(lineSizeBytes),
        _ => null,
    };

    /// <summary>
    /// What Arm64's cache type register says; null where executable memory is refused, or no system says that a process may read it.
    /// </summary>
    public static unsafe int? TryReadArm64LineSize()
    {
        if (!OperatingSystem.IsLinux()) return null;
        if (ExecutablePage.TryPlace(Arm64Stubs.CacheType) is not [var read]) return null;
        // SAFETY: the code reads a register that every process may read.
        return Arm64Stubs.LineSizeBytes(((delegate* unmanaged[Cdecl, SuppressGCTransition]<ulong>)read)());
    }

    /// <summary>The instructions that the platform decided for; without write-back where it has none.</summary>
    public StubLines LinesFor(Platform platform) => platform.WriteBack.IsNoWriteBack
        ? new StubLines(0, 0, 0, 0, platform.Fence.IsMfence)
        : Lines(platform.WriteBack, platform.DeepWriteBack, platform.Fence);

    public StubLines Lines(WriteBackKind kind, WriteBackKind deep, FenceKind fence) => new(
        _writeBacks[(kind, null)], _writeBacks[(kind, fence)], _writeBacks[(deep, null)], _fences[fence], fence.IsMfence)
    {
        Short = PlaceShort(_shortCode(kind, fence)),
    };

    /// <summary>Takes nothing where there is no such code, or executable memory is refused by now.</summary>
    private static ShortCalls PlaceShort(byte[][] code) =>
        code.Length != 0 && ExecutablePage.TryPlace(code) is nint[] placed ? new ShortCalls(placed) : default;

    private static PlacedStubs? TryPlace<TCode>(int lineSizeBytes) where TCode : IStubCode
    {
        // A machine's larger lines are written back several times, which does no harm and is not for any machine we know.
        int step = (int)Math.Min(lineSizeBytes, CacheLine.SizeBytes);
        (WriteBackKind Kind, FenceKind? Fence)[] loops =
            [.. TCode.WriteBacks.SelectMany(kind => TCode.Fences.Cast<FenceKind?>().Append(null).Select(fence => (kind, fence)))];
        byte[][] code = [.. loops.Select(loop => TCode.WriteBack(loop.Kind, loop.Fence, step)), .. TCode.Fences.Select(TCode.Fence)];
        if (ExecutablePage.TryPlace(code) is not nint[] addresses) return null;

        var placed = new PlacedStubs((kind, fence) => TCode.Short(kind, fence, step));
        for (int i = 0; i < loops.Length; i++) placed._writeBacks[loops[i]] = addresses[i];
        for (int i = 0; i < TCode.Fences.Count; i++) placed._fences[TCode.Fences[i]] = addresses[loops.Length + i];
        return placed;
    }
}
