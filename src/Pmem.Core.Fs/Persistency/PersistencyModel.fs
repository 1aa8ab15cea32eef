namespace Pmem

open System

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
//  non-temporal: weakly ordered, except to the same word; durable after a fence Intel SDM vol. 1, 10.4.6.2; vol. 2, MOVNTI
//  write-back and fence: CLWB and CLFLUSHOPT cover the stores before them, and  Intel SDM vol. 2, CLWB and CLFLUSHOPT; Px86;
//    take effect at a fence after them; DC CVAP and DC CVADP at a DSB           Cho et al.: Revamping hardware persistency
//                                                                               models, PLDI 2021; Arm ARM DDI 0487, DC CVAP
//  CLFLUSH is ordered like a store, and completes no other write-back           Intel SDM vol. 2, CLFLUSH; Px86
//  a fence alone makes no temporal store durable, and orders no two of them     Intel SDM vol. 2, SFENCE; Px86
//  a locked read-modify-write or MFENCE is a fence                              Intel SDM vol. 2, CLWB; vol. 3A, 9.2.5
//  eADR: visible is durable; write-backs, CLFLUSH too, make nothing durable     pmem_has_auto_flush(3); Intel SDM vol. 3A, 9.2.2
//  page cache: the page is the unit, msync its flush and drain                  msync(2), MS_SYNC
//  msync on DAX writes back the dirty lines of its pages and fences             Linux, fs/dax.c, dax_writeback_mapping_range

/// <summary>What a power failure can leave behind: which stores are durable, given the events so far.</summary>
/// <remarks>
/// A failure comes after some prefix of the events. Stores are cut into aligned 8-byte words. In X86, PageCache and
/// Relaxed a store may be durable as soon as it is made, and is guaranteed to be once (a) it was non-temporal and a fence
/// followed, (b) its line was written back by CLWB, CLFLUSHOPT or DC CVAP after it and a fence followed that, or (c) its
/// line was written back by CLFLUSH after it. A promise given to a caller counts as visible after everything before it.
/// </remarks>
[<RequireQualifiedAccess>]
type PersistencyModel =
    /// <summary>x86-64 with ADR: the stores to one cache line are durable in program order, lines are independent, and
    /// non-temporal stores are ordered only to the same word.</summary>
    | X86
    /// <summary>The caches survive too: temporal stores are durable in program order and at once; non-temporal stores
    /// still need the fence, and a write-back is none.</summary>
    | Eadr
    /// <summary>A file in the page cache: as X86, with pages of 4096 bytes for lines and msync for flush and drain.
    /// Write-backs and fences mean nothing. The first msync that fails ends all promises: the model has only those that succeed.</summary>
    | PageCache
    /// <summary>As X86, but only the stores to one aligned 8-byte word have an order.</summary>
    /// <remarks>What the published axiomatic models promise, and what a compiler that reorders plain stores or an Arm64
    /// core may do: Arm64 keeps the order of plain stores to one location only (Arm ARM DDI 0487, B2.3). A program of
    /// stores, flushes and drains that is right under it is right under every model.</remarks>
    | Relaxed

    /// The name.
    override model.ToString() =
        match model with
        | X86 -> "X86"
        | Eadr -> "Eadr"
        | PageCache -> "PageCache"
        | Relaxed -> "Relaxed"

/// What the models differ in.
module internal Model =
    /// The page of the page cache, in bytes.
    [<Literal>]
    let PageBytes = 4096L

    /// What is written back as a whole, in bytes.
    let unitBytes model =
        match model with
        | PersistencyModel.PageCache -> PageBytes
        | PersistencyModel.X86
        | PersistencyModel.Eadr
        | PersistencyModel.Relaxed -> CacheLine.SizeBytes

    /// Whether the temporal stores to a unit keep their order. Eadr needs no such rule: they are durable at once.
    let keepsUnitOrder model =
        match model with
        | PersistencyModel.X86
        | PersistencyModel.PageCache -> true
        | PersistencyModel.Eadr
        | PersistencyModel.Relaxed -> false

    /// Whether write-backs of lines make anything durable. Under Eadr the caches survive, and what has not reached them yet
    /// is waited for by fences alone.
    let needsWriteBack model =
        match model with
        | PersistencyModel.X86
        | PersistencyModel.Relaxed -> true
        | PersistencyModel.Eadr
        | PersistencyModel.PageCache -> false

    let isDurableAtOnce model isNonTemporal =
        model = PersistencyModel.Eadr && not isNonTemporal

    /// Whether write-backs of lines, and fences, do anything.
    let hasLines model = model <> PersistencyModel.PageCache

    /// Whether a locked instruction waits for the write-backs before it.
    let locksFence model =
        match model with
        | PersistencyModel.X86
        | PersistencyModel.Eadr -> true
        | PersistencyModel.PageCache
        | PersistencyModel.Relaxed -> false
