using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Pmem;

/// <summary>
/// The instructions of <see cref="Instruction"/> that a processor has, on addresses: what persisters and copiers are given as a
/// type argument, so that no call is left but that of the stub, and what a test double records. Starts and ends are whole lines;
/// the end is exclusive and past the start. No member may throw: its caller is in a mapping and must leave it.
/// </summary>
internal interface ILineInstructions
{
    void WriteBack(nint start, nint end);

    void WriteBackAndFence(nint start, nint end);

    void DeepWriteBack(nint start, nint end);

    void Fence();

    /// <summary>Short durable copies and persists as one call each; none where they are put together of the other members.</summary>
    ShortCalls Short => default;
}

/// <summary>Where pages are synchronised, no line is written back and nothing is fenced.</summary>
internal readonly struct NoLines : ILineInstructions
{
    public void WriteBack(nint start, nint end) { }

    public void WriteBackAndFence(nint start, nint end) { }

    public void DeepWriteBack(nint start, nint end) { }

    public void Fence() { }
}

/// <summary>Writes lines back with the stubs of the architecture.</summary>
internal readonly unsafe struct StubLines : ILineInstructions
{
    /// <summary>
    /// A stub holds the garbage collector off while it runs. 256 dirty lines take 3 to 10 microseconds, so a collection
    /// waits no longer than that.
    /// </summary>
    internal const int ChunkBytes = 16 * 1024;

    private readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint, void> _writeBack;
    private readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint, void> _writeBackAndFence;
    private readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint, void> _deepWriteBack;
    private readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<void> _fence;
    private readonly bool _isFullFence;

    public ShortCalls Short { get; init; }

    /// <summary>Lines that call these functions; 0 for one that there is not.</summary>
    public StubLines(nint writeBack, nint writeBackAndFence, nint deepWriteBack, nint fence, bool isFullFence)
    {
        _writeBack = (delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint, void>)writeBack;
        _writeBackAndFence = (delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint, void>)writeBackAndFence;
        _deepWriteBack = (delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint, void>)deepWriteBack;
        _fence = (delegate* unmanaged[Cdecl, SuppressGCTransition]<void>)fence;
        _isFullFence = isFullFence;
    }

    // SAFETY (all calls below): the caller has checked that the lines lie in memory that stays mapped during the call; the
    // stubs touch nothing else and change only the two argument registers.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteBack(nint start, nint end)
    {
        if (end - start <= ChunkBytes) _writeBack(start, end);
        else WriteBackChunks(_writeBack, _writeBack, start, end);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteBackAndFence(nint start, nint end)
    {
        if (end - start <= ChunkBytes) _writeBackAndFence(start, end);
        else WriteBackChunks(_writeBack, _writeBackAndFence, start, end);
    }

    public void DeepWriteBack(nint start, nint end) => WriteBackChunks(_deepWriteBack, _deepWriteBack, start, end);

    /// <summary>The fence as an intrinsic, where there is one: the same instruction that a stub ends in.</summary>
    /// <remarks>A full one is MFENCE itself: Interlocked.MemoryBarrier is a locked instruction, and AMD orders CLFLUSH by
    /// MFENCE only. Arm64's DSB has no intrinsic.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Fence()
    {
        if (Sse2.IsSupported)
        {
            if (_isFullFence) Sse2.MemoryFence();
            else Sse.StoreFence();
        }
        else if (_fence is not null) _fence();
        else Interlocked.MemoryBarrier();
    }

    /// <summary>Apart, so that the short way needs no stack: every store before a fence is one more to wait for.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void WriteBackChunks(
        delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint, void> chunk,
        delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint, void> last, nint start, nint end)
    {
        for (; end - start > ChunkBytes; start += ChunkBytes) chunk(start, start + ChunkBytes);
        last(start, end);
    }
}
