using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Pmem;

/// <summary>
/// Which mapping each thread is using at this moment, so that an unmap waits until no thread is. A thread enters and
/// leaves with two plain stores: no locked instruction, no system call, no allocation. Short calls of machine code do without
/// (<see cref="ShortCalls"/>).
/// </summary>
/// <remarks>
/// <para>An asymmetric Dekker handshake. A thread stores the mapping's number in its own slot, then reads whether the mapping is
/// closed. Dispose sets closed, makes every processor pass a full barrier (membarrier(2)), then reads the slots. So either
/// the thread sees that the mapping is closed, or Dispose sees the thread.</para>
/// <para>So on Arm64 as well, where the hardware reorders more. Entering: the barrier falls at one place in the thread's program. The
/// store to the slot is before it, and then Dispose sees it; or it is after it, and so is the read of closed, which then sees that
/// (membarrier(2)). Nothing that the call does to memory is done before that read: a store is never made on a guess, and a load on a
/// guess does not fault (Arm ARM DDI 0487, B2.3). Leaving is a store-release: all that was loaded and stored before it is observed
/// before it (Arm DEN0024A, 13.2.1; .NET's Volatile). A write-back that nobody has waited for may still be on its way then, but it
/// has been translated: it would abort precisely, before a later store is made (DDI 0487, precise exceptions).</para>
/// <para>A thread can enter while it is in a mapping: a handler of FirstChanceException runs inside of a call. Then it has a
/// second slot, and so on. The slots of two threads are never on one cache line, whatever a collection moves: hence the
/// empty space around the fields.</para>
/// </remarks>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal sealed class InFlight
{
    [ThreadStatic] private static InFlight? t_slot;
    private static readonly Lock Gate = new();
    private static readonly List<WeakReference<InFlight>> Slots = [];
    private static int s_pruneAt = 64;

    [FieldOffset(120)] private long _mapping;
    [FieldOffset(128)] private InFlight? _nested;

    private InFlight() { }

    /// <summary>From here until <see cref="Leave"/> the mapping, if it is not closed yet, stays mapped.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static InFlight Enter(long mapping)
    {
        InFlight slot = t_slot ?? RegisterFirst();
        if (slot._mapping != 0) slot = slot.FreeNested();
        Volatile.Write(ref slot._mapping, mapping);
        return slot;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Leave() => Volatile.Write(ref _mapping, 0);

    /// <summary>Whether this thread is inside of a call of the mapping.</summary>
    public static bool IsThisThreadIn(long mapping)
    {
        for (InFlight? slot = t_slot; slot is not null; slot = slot._nested)
            if (slot._mapping == mapping) return true;
        return false;
    }

    /// <summary>
    /// Waits until no thread that entered before the mapping was closed is still in it. An interrupt is kept for later: a
    /// mapping that nobody waits for would never be unmapped.
    /// </summary>
    public static void WaitUntilNobodyIsIn(long mapping)
    {
        Interlocked.MemoryBarrierProcessWide();
        bool wasInterrupted = false;
        while (true)
        {
            try
            {
                foreach (InFlight slot in LiveSlots())
                {
                    SpinWait spin = default;
                    while (Volatile.Read(ref slot._mapping) == mapping) spin.SpinOnce();
                }
                break;
            }
            catch (ThreadInterruptedException)
            {
                wasInterrupted = true;
            }
        }
        if (wasInterrupted) Thread.CurrentThread.Interrupt();
    }

    private static InFlight[] LiveSlots()
    {
        lock (Gate)
        {
            Slots.RemoveAll(slot => !slot.TryGetTarget(out _));
            return [.. Slots.Select(slot => slot.TryGetTarget(out InFlight? target) ? target : null).OfType<InFlight>()];
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private InFlight FreeNested()
    {
        InFlight slot = this;
        while (slot._mapping != 0) slot = slot._nested ??= Register();
        return slot;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static InFlight RegisterFirst() => t_slot = Register();

    private static InFlight Register()
    {
        var slot = new InFlight();
        lock (Gate)
        {
            // Slots of threads that ended are dropped when the list has doubled, so each costs little and none stays.
            if (Slots.Count >= s_pruneAt)
            {
                Slots.RemoveAll(known => !known.TryGetTarget(out _));
                s_pruneAt = Math.Max(64, 2 * Slots.Count);
            }
            Slots.Add(new WeakReference<InFlight>(slot));
        }
        return slot;
    }
}
