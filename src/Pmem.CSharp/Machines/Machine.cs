using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Pmem.Linux;

namespace Pmem;

/// <summary>
/// The instructions of <see cref="Instruction"/>, on addresses: all that the executor can tell a machine to do, and so all
/// that a test double needs to record. Addresses of lines are aligned to a line; the end is exclusive and past the start.
/// No member may throw: its caller has entered a mapping and must leave it, or the mapping's Dispose waits for ever.
/// </summary>
internal abstract class Machine
{
    public abstract void WriteBack(nint start, nint end);

    public abstract void WriteBackAndFence(nint start, nint end);

    public abstract void DeepWriteBack(nint start, nint end);

    public abstract void Fence();

    /// <summary>msync(MS_SYNC) of whole pages; 0, or the error number.</summary>
    public virtual int SyncPages(nint start, nint end) => SysMman.Sync(start, (nuint)(end - start));

    /// <summary>The machine that the platform's decisions are for.</summary>
    public static Machine For(Platform platform) =>
        platform.WriteBack.IsNoWriteBack ? new FenceOnlyMachine(platform.Fence) : StubMachine.Create(platform);

    /// <summary>The fence as an intrinsic: the same instruction that a stub ends in.</summary>
    /// <remarks>A full one is MFENCE itself: Interlocked.MemoryBarrier is a locked instruction, and AMD orders CLFLUSH by
    /// MFENCE only.</remarks>
    protected static void IssueFence(bool isFull)
    {
        if (!Sse2.IsSupported) Interlocked.MemoryBarrier();
        else if (isFull) Sse2.MemoryFence();
        else Sse.StoreFence();
    }
}

/// <summary>Writes lines back with the stubs of <see cref="StubCode"/>.</summary>
internal sealed unsafe class StubMachine : Machine
{
    /// <summary>
    /// A stub holds the garbage collector off while it runs. 256 dirty lines take 3 to 10 microseconds, so a collection
    /// waits no longer than that.
    /// </summary>
    internal const int ChunkBytes = 16 * 1024;

    private readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint, void> _writeBack;
    private readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint, void> _writeBackAndFence;
    private readonly bool _isFullFence;

    private StubMachine(nint writeBack, nint writeBackAndFence, bool isFullFence)
    {
        _writeBack = (delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint, void>)writeBack;
        _writeBackAndFence = (delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint, void>)writeBackAndFence;
        _isFullFence = isFullFence;
    }

    public static StubMachine Create(Platform platform) => Create(platform.WriteBack, platform.Fence, platform.Facts.LineSizeBytes);

    public static StubMachine Create(WriteBackKind kind, FenceKind fence, long lineSizeBytes)
    {
        byte step = (byte)Math.Min(lineSizeBytes, CacheLine.SizeBytes);
        nint[] stubs = ExecutablePage.TryPlace(StubCode.X64SystemV(kind, null, step), StubCode.X64SystemV(kind, fence, step))
            ?? throw new PmemException("Executable memory was granted a moment ago and is refused now; set PMEM_NO_MACHINE_CODE to 1.");
        return Over(stubs[0], stubs[1], fence);
    }

    /// <summary>A machine that calls these functions: without and with the fence.</summary>
    public static StubMachine Over(nint writeBack, nint writeBackAndFence, FenceKind fence) =>
        new(writeBack, writeBackAndFence, fence.IsMfence);

    // SAFETY (all calls below): the caller has checked that the lines lie in memory that stays mapped during the call; the
    // stubs touch nothing else and change only the two argument registers.
    public override void WriteBack(nint start, nint end)
    {
        if (end - start <= ChunkBytes) _writeBack(start, end);
        else WriteBackChunks(start, end, isFenced: false);
    }

    public override void WriteBackAndFence(nint start, nint end)
    {
        if (end - start <= ChunkBytes) _writeBackAndFence(start, end);
        else WriteBackChunks(start, end, isFenced: true);
    }

    /// <summary>Apart, so that the short way needs no stack: every store before a fence is one more to wait for.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void WriteBackChunks(nint start, nint end, bool isFenced)
    {
        for (; end - start > ChunkBytes; start += ChunkBytes) _writeBack(start, start + ChunkBytes);
        if (isFenced) _writeBackAndFence(start, end);
        else _writeBack(start, end);
    }

    /// <summary>x86-64 has no deeper write-back than its write-back.</summary>
    public override void DeepWriteBack(nint start, nint end) => WriteBack(start, end);

    public override void Fence() => IssueFence(_isFullFence);
}

/// <summary>A machine without a write-back: the core then decides for msync, and never asks for one.</summary>
internal sealed class FenceOnlyMachine(FenceKind fence) : Machine
{
    private readonly bool _isFullFence = !fence.IsSfence;

    public override void WriteBack(nint start, nint end) => Unreachable();

    public override void WriteBackAndFence(nint start, nint end) => Unreachable();

    public override void DeepWriteBack(nint start, nint end) => Unreachable();

    public override void Fence() => IssueFence(_isFullFence);

    private static void Unreachable() => Environment.FailFast(
        "A cache-line write-back was asked of a machine that has none: to go on would lose data. This is a bug in Pmem.");
}
