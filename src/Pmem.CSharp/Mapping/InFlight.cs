namespace Pmem;

/// <summary>
/// Which mapping each thread is using at this moment, so that an unmap waits until no thread is. A thread enters and
/// leaves with two plain stores: no locked instruction, no system call, no allocation.
/// </summary>
/// <remarks>
/// An asymmetric Dekker handshake. A thread stores the mapping's number in its own slot, then reads whether the mapping is
/// closed. Dispose sets closed, makes every processor pass a full barrier (membarrier(2)), then reads the slots. So either
/// the thread sees that the mapping is closed, or Dispose sees the thread.
/// </remarks>
internal sealed class InFlight
{
    [ThreadStatic] private static InFlight? t_slot;
    private static readonly Lock Gate = new();
    private static readonly List<WeakReference<InFlight>> Slots = [];
    private static int s_pruneAt = 64;

    private long _mapping;

    /// <summary>This thread's slot. It lives as long as the thread.</summary>
    public static InFlight Slot => t_slot ?? Register();

    /// <summary>From here until <see cref="Leave"/> the mapping, if it is not closed yet, stays mapped.</summary>
    public void Enter(long mapping) => Volatile.Write(ref _mapping, mapping);

    public void Leave() => Volatile.Write(ref _mapping, 0);

    /// <summary>Waits until no thread that entered before the mapping was closed is still in it.</summary>
    public static void WaitUntilNobodyIsIn(long mapping)
    {
        Interlocked.MemoryBarrierProcessWide();
        InFlight[] slots;
        lock (Gate)
        {
            Slots.RemoveAll(slot => !slot.TryGetTarget(out _));
            slots = [.. Slots.Select(slot => slot.TryGetTarget(out InFlight? target) ? target : null).OfType<InFlight>()];
        }
        foreach (InFlight slot in slots)
        {
            SpinWait spin = default;
            while (Volatile.Read(ref slot._mapping) == mapping) spin.SpinOnce();
        }
    }

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
        return t_slot = slot;
    }
}
