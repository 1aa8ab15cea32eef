namespace Pmem;

/// <content>The copying half of libpmem.</content>
public static unsafe partial class LibPmem
{
    /// <summary><c>pmem_memmove</c>: copies bytes, which may overlap, and makes them durable as the flags say.</summary>
    /// <returns>The destination.</returns>
    /// <remarks>
    /// Of flags that exclude each other libpmem takes one, and ignores those that it does not know; so does this.
    /// <see cref="PmemMapping"/> refuses both.
    /// </remarks>
    /// <exception cref="PmemException">There is no write-back here, and msync failed instead.</exception>
    public static byte* MemMove(void* destination, void* source, nuint length, PmemCopyOptions flags)
    {
        LibPmemMachine machine = Machine;
        CopyPlan plan = machine.PlanFor(destination, length, Resolved(flags));
        // SAFETY: as in C, both addresses are the caller's responsibility.
        _ = machine.Copier.Move((byte*)destination, (byte*)source, length, plan);
        if (plan.SyncsPages) SyncCopied(destination, length);
        return (byte*)destination;
    }

    /// <summary><c>pmem_memcpy</c>: copies bytes, and makes them durable as the flags say. They may overlap all the same.</summary>
    /// <inheritdoc cref="MemMove"/>
    public static byte* MemCpy(void* destination, void* source, nuint length, PmemCopyOptions flags) =>
        MemMove(destination, source, length, flags);

    /// <summary><c>pmem_memset</c>: stores the low byte of a value over and over, and makes it durable as the flags say.</summary>
    /// <inheritdoc cref="MemMove"/>
    public static byte* MemSet(void* destination, int value, nuint length, PmemCopyOptions flags)
    {
        LibPmemMachine machine = Machine;
        CopyPlan plan = machine.PlanFor(destination, length, Resolved(flags));
        // SAFETY: as in C, the address is the caller's responsibility.
        _ = machine.Copier.Fill((byte*)destination, (byte)value, length, plan);
        if (plan.SyncsPages) SyncCopied(destination, length);
        return (byte*)destination;
    }

    /// <summary><c>pmem_memmove_persist</c>: <see cref="MemMove"/> without flags.</summary>
    /// <inheritdoc cref="MemMove"/>
    public static byte* MemMovePersist(void* destination, void* source, nuint length) =>
        MemMove(destination, source, length, PmemCopyOptions.None);

    /// <summary><c>pmem_memcpy_persist</c>: <see cref="MemCpy"/> without flags.</summary>
    /// <inheritdoc cref="MemMove"/>
    public static byte* MemCpyPersist(void* destination, void* source, nuint length) =>
        MemMove(destination, source, length, PmemCopyOptions.None);

    /// <summary><c>pmem_memset_persist</c>: <see cref="MemSet"/> without flags.</summary>
    /// <inheritdoc cref="MemMove"/>
    public static byte* MemSetPersist(void* destination, int value, nuint length) =>
        MemSet(destination, value, length, PmemCopyOptions.None);

    /// <summary><c>pmem_memmove_nodrain</c>: <see cref="MemMove"/> with <see cref="PmemCopyOptions.NoDrain"/>.</summary>
    /// <inheritdoc cref="MemMove"/>
    public static byte* MemMoveNoDrain(void* destination, void* source, nuint length) =>
        MemMove(destination, source, length, PmemCopyOptions.NoDrain);

    /// <summary><c>pmem_memcpy_nodrain</c>: <see cref="MemCpy"/> with <see cref="PmemCopyOptions.NoDrain"/>.</summary>
    /// <inheritdoc cref="MemMove"/>
    public static byte* MemCpyNoDrain(void* destination, void* source, nuint length) =>
        MemMove(destination, source, length, PmemCopyOptions.NoDrain);

    /// <summary><c>pmem_memset_nodrain</c>: <see cref="MemSet"/> with <see cref="PmemCopyOptions.NoDrain"/>.</summary>
    /// <inheritdoc cref="MemMove"/>
    public static byte* MemSetNoDrain(void* destination, int value, nuint length) =>
        MemSet(destination, value, length, PmemCopyOptions.NoDrain);

    /// <summary>
    /// No flush goes before non-temporal, and that before temporal: PMDK 1.12, src/libpmem2/x86_64/init.c, memmove_nodrain.
    /// </summary>
    private static PmemCopyOptions Resolved(PmemCopyOptions flags)
    {
        const PmemCopyOptions pastCache = PmemCopyOptions.NonTemporal | PmemCopyOptions.WriteCombining;
        const PmemCopyOptions throughCache = PmemCopyOptions.Temporal | PmemCopyOptions.WriteBack;
        PmemCopyOptions waiting = flags & (PmemCopyOptions.NoDrain | PmemCopyOptions.NoFlush);
        if (waiting.HasFlag(PmemCopyOptions.NoFlush)) return waiting;
        PmemCopyOptions hint = flags & ((flags & pastCache) != 0 ? pastCache : throughCache);
        return waiting | hint;
    }

    private static void SyncCopied(void* destination, nuint length)
    {
        if (Msync(destination, length) != 0)
            throw new PmemException($"No cache line can be written back here, and {ErrorMessage()}; nothing was made durable.");
    }
}
