namespace Pmem

/// What a model allows, in the terms that durability is worked out with: the only place where the models differ.
type internal ModelRules =
    {
        /// What is written back as a whole, in bytes.
        UnitBytes: int64
        /// The temporal stores to one unit are durable in program order; otherwise only those to one word are.
        KeepsOrder: bool
        /// Write-backs of lines, and the fences after them, make stores durable.
        WritesBackLines: bool
        /// Fences and CLFLUSH do something: memory is the storage, not a copy of it.
        HasFences: bool
        /// What is visible is durable: a fence, CLFLUSH and a promise need no write-back before them.
        VisibleIsDurable: bool
        /// A locked instruction waits for the write-backs before it.
        LocksFence: bool
    }

module internal ModelRules =
    /// The page of the page cache, in bytes.
    [<Literal>]
    let PageBytes = 4096L

    let private x86 =
        {
            UnitBytes = CacheLine.SizeBytes
            KeepsOrder = true
            WritesBackLines = true
            HasFences = true
            VisibleIsDurable = false
            LocksFence = true
        }

    /// Stores become visible in one order for all of memory, which is therefore one unit. A younger non-temporal store
    /// may overtake them, so that they may still be lost until something waits for them.
    let private eadr =
        { x86 with
            UnitBytes = System.Int64.MaxValue
            WritesBackLines = false
            VisibleIsDurable = true
        }

    let private relaxed = { x86 with KeepsOrder = false; LocksFence = false }

    let private pageCache =
        { relaxed with
            UnitBytes = PageBytes
            WritesBackLines = false
            HasFences = false
        }

    let of' (model: PersistencyModel) =
        match model with
        | PersistencyModel.X86 -> x86
        | PersistencyModel.Eadr -> eadr
        | PersistencyModel.PageCache -> pageCache
        | PersistencyModel.Relaxed -> relaxed
