namespace Pmem;

/// <content>The constants of libpmem.h that are no flag of their own.</content>
public static unsafe partial class LibPmem
{
    /// <summary>PMEM_MIN_PART: the shortest part of a pool, in bytes.</summary>
    public const long MinPart = 2 << 20;

    /// <summary>PMEM_F_MEM_VALID_FLAGS: all flags of a copy.</summary>
    public const PmemCopyOptions ValidCopyFlags = PmemCopyOptions.NoDrain | PmemCopyOptions.NonTemporal | PmemCopyOptions.Temporal
        | PmemCopyOptions.WriteCombining | PmemCopyOptions.WriteBack | PmemCopyOptions.NoFlush;
}
