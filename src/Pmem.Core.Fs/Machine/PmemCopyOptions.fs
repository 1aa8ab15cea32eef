namespace Pmem

open System

//  flag            value  excludes                        source
//  --------------  -----  ------------------------------  -------------------------------------------------
//  NoDrain         1                                      pmem_memmove_persist(3), libpmem.h PMEM_F_MEM_…
//  NonTemporal     2      Temporal; NoFlush on x86-64     the same
//  Temporal        4      NonTemporal                     the same
//  WriteCombining  8      WriteBack; NoFlush on x86-64    the same
//  WriteBack       16     WriteCombining                  the same
//  NoFlush         32     see above; implies NoDrain      the same

/// <summary>How bytes are stored to persistent memory, with libpmem's values. Only <see cref="F:Pmem.PmemCopyOptions.NoDrain"/> and
/// <see cref="F:Pmem.PmemCopyOptions.NoFlush"/> change what is promised; the others are hints, and never change the bytes.</summary>
[<Flags>]
type PmemCopyOptions =
    /// The library chooses; the bytes are durable when the call returns.
    | None = 0
    /// PMEM_F_MEM_NODRAIN: durable only after the next drain on this thread, and not surely visible to others before.
    | NoDrain = 1
    /// PMEM_F_MEM_NONTEMPORAL: past the cache.
    | NonTemporal = 2
    /// PMEM_F_MEM_TEMPORAL: through the cache.
    | Temporal = 4
    /// PMEM_F_MEM_WC: write-combining; on x86-64 as NonTemporal.
    | WriteCombining = 8
    /// PMEM_F_MEM_WB: write-back; on x86-64 as Temporal.
    | WriteBack = 16
    /// PMEM_F_MEM_NOFLUSH: only stored, to be flushed by a later call. Implies NoDrain.
    | NoFlush = 32
