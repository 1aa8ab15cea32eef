namespace Pmem

open System

/// How much must be flushed to make a store durable; the order is from finest to coarsest.
[<RequireQualifiedAccess>]
type StoreGranularity =
    /// Nothing: the caches are flushed on power failure (eADR). A fence is enough.
    | Byte
    /// Its cache line (ADR).
    | CacheLine
    /// Its page, by the operating system (page cache, msync).
    | Page

    /// In words.
    override granularity.ToString() =
        match granularity with
        | Byte -> "byte"
        | CacheLine -> "cache line"
        | Page -> "page"
