namespace Pmem

//  rule (the name of its litmus tests)                                          source
//  ---------------------------------------------------------------------------  ------------------------------------------
//  atom: an aligned 8-byte word is never torn; what is longer or crosses one    Intel SDM vol. 3A, 9.1.1; SNIA NVM
//    is torn at the words, and these have no order among themselves             Programming Model 1.2, 10.1.1
//  line order: of the temporal stores to a line a prefix is durable             Intel SDM vol. 3A, 9.2.2 (stores are visible
//                                                                               in order) with one copy of a line; Gorjiara,
//                                                                               Xu, Demsky: Jaaru, ASPLOS 2021
//  lines are independent: an unflushed line may be evicted at any time or never Raad et al.: Persistency semantics of the
//                                                                               Intel-x86 architecture (Px86), POPL 2020
//  word order only (Relaxed): the axiomatic models promise order to one         Px86, POPL 2020; Khyzha, Lahav: Taming x86-TSO
//    location, not to a line                                                    persistency (PTSOsyn), POPL 2021
//  non-temporal: weakly ordered; what a word holds is what its last durable     Intel SDM vol. 1, 10.4.6.2; vol. 2, MOVNTI
//    store left, and that carries no order of the line along; durable after a
//    fence alone: the buffers that it waits in are no cache, CLFLUSH does not
//    reach them
//  write-back and fence: CLWB and CLFLUSHOPT cover the stores before them, and  Intel SDM vol. 2, CLWB and CLFLUSHOPT; Px86;
//    take effect at a fence after them; DC CVAP and DC CVADP at a DSB           Cho et al.: Revamping hardware persistency
//                                                                               models, PLDI 2021; Arm ARM DDI 0487, DC CVAP
//  CLFLUSH is ordered like a store, and completes no other write-back           Intel SDM vol. 2, CLFLUSH; Px86
//  a fence alone makes no temporal store durable, and orders no two of them     Intel SDM vol. 2, SFENCE; Px86
//  a locked read-modify-write or MFENCE is a fence                              Intel SDM vol. 2, CLWB; vol. 3A, 9.2.5
//  eADR: visible is durable, and temporal stores are visible in program order;  pmem_has_auto_flush(3); Intel SDM vol. 3A, 9.2.2;
//    a younger non-temporal store may be durable before they are                vol. 1, 10.4.6.2 (weakly ordered)
//  page cache: msync is flush and drain of its pages; inside a page only a word msync(2), MS_SYNC; Linux, mm/page-writeback.c: a page
//    keeps its order                                                            is written while it is stored to, and the device
//                                                                               writes its sectors in any order
//  msync on DAX writes back the dirty lines of its pages and fences             Linux, fs/dax.c, dax_writeback_mapping_range

/// <summary>What a power failure can leave behind: which stores are durable, given the events so far.</summary>
/// <remarks>
/// A failure comes after some prefix of the events. Stores are cut into aligned 8-byte words. In X86, PageCache and
/// Relaxed a store may be durable as soon as it is made, and is guaranteed to be once (a) it was non-temporal and a fence
/// followed, (b) its line was written back by CLWB, CLFLUSHOPT or DC CVAP after it and a fence followed that, or (c) it
/// was temporal and its line was written back by CLFLUSH after it. A promise given to a caller counts as visible after
/// everything before it. Non-temporal stores have no order against other stores, except that a word holds what the last
/// durable store to it left.
/// </remarks>
[<RequireQualifiedAccess>]
type PersistencyModel =
    /// <summary>x86-64 with ADR: the stores to one cache line are durable in program order, lines are independent, and
    /// non-temporal stores are ordered only to the same word.</summary>
    | X86
    /// <summary>The caches survive too: temporal stores are durable in program order as they become visible; non-temporal
    /// stores may overtake them, and still need the fence; a write-back is none.</summary>
    | Eadr
    /// <summary>A file in the page cache: as Relaxed, with pages of 4096 bytes for lines and msync for flush and drain.
    /// Write-backs and fences mean nothing. The first msync that fails ends all promises: the model has only those that
    /// succeed.</summary>
    | PageCache
    /// <summary>As X86, but only the stores to one aligned 8-byte word have an order.</summary>
    /// <remarks>What the published axiomatic models promise, and what a compiler that reorders plain stores or an Arm64
    /// core may do: Arm64 keeps the order of plain stores to one location only (Arm ARM DDI 0487, B2.3). A program of
    /// stores, flushes and drains that is right under it is right under X86 and Eadr.</remarks>
    | Relaxed

    /// The name.
    override model.ToString() =
        match model with
        | X86 -> "X86"
        | Eadr -> "Eadr"
        | PageCache -> "PageCache"
        | Relaxed -> "Relaxed"
