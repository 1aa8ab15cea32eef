using System.Runtime.InteropServices;
using Pmem.Linux;

namespace Pmem;

/// <summary>
/// The machine code that .NET has no intrinsic for. An architecture is one file that has this, and its line in
/// <see cref="Stubs"/>.
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
}

/// <summary>Stubs for the decisions of a platform, placed in executable memory.</summary>
internal static class Stubs
{
    /// <summary>Whether there is machine code for this architecture and the calling convention of this operating system.</summary>
    public static bool IsThereFor(Architecture architecture) => architecture is Architecture.X64;

    /// <summary>The instructions that the platform decided for; without write-back where it has none.</summary>
    /// <exception cref="PmemException">Executable memory is refused, although it was granted when the platform was decided.</exception>
    public static StubLines For(Platform platform)
    {
        bool isFullFence = platform.Fence.IsMfence;
        if (platform.WriteBack.IsNoWriteBack) return new StubLines(0, 0, 0, 0, isFullFence);
        return platform.Facts.Architecture == Architecture.Arm64
            ? Placed<Arm64Stubs>(platform.WriteBack, platform.DeepWriteBack, platform.Fence, platform.Facts.LineSizeBytes)
            : Placed<X64Stubs>(platform.WriteBack, platform.DeepWriteBack, platform.Fence, platform.Facts.LineSizeBytes);
    }

    /// <summary>Stubs of one architecture; the line size is the machine's.</summary>
    public static StubLines Placed<TCode>(WriteBackKind kind, WriteBackKind deep, FenceKind fence, long lineSizeBytes) where TCode : IStubCode
    {
        int step = (int)Math.Min(lineSizeBytes, CacheLine.SizeBytes);
        nint[] stubs = ExecutablePage.TryPlace(
            TCode.WriteBack(kind, null, step), TCode.WriteBack(kind, fence, step), TCode.WriteBack(deep, null, step), TCode.Fence(fence))
            ?? throw new PmemException("Executable memory was granted a moment ago and is refused now; set PMEM_NO_MACHINE_CODE to 1.");
        return new StubLines(stubs[0], stubs[1], stubs[2], stubs[3], fence.IsMfence);
    }
}
