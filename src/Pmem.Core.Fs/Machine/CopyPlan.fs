namespace Pmem

open System
open System.Globalization
open System.Runtime.InteropServices

//  fact                                                                          source
//  ----------------------------------------------------------------------------  ---------------------------------------
//  a non-temporal store needs a fence, and no write-back, to be durable          Intel SDM vol. 1, 10.4.6.2
//  a line that is only partly stored past the cache leaves a write-combining
//  buffer in pieces; a whole one leaves in one transaction                       Intel SDM vol. 1, 11.3.1
//  PMEM_MOVNT_THRESHOLD is the shortest non-temporal copy; 0 makes all so        libpmem(7)
//  PMEM_NO_MOVNT: never non-temporal, whatever the hints say                     libpmem(7)
//  the thresholds below                                                          measured, docs/benchmarks.md

/// <summary>How a copy of any length is done on one mapping with one set of flags.</summary>
/// <remarks>Taken once, when a file is mapped; a copy then only compares its length with it. Which loop moves the bytes (short, by
/// whole lines, mixed) is the executor's choice: it changes neither the bytes nor what makes them durable.</remarks>
type internal CopyPlan =
    {
        /// <summary>The shortest copy of nothing but whole cache lines that is stored past the cache, in bytes;
        /// <see cref="F:System.Int64.MaxValue"/> where none is.</summary>
        NonTemporalFromBytes: int64
        /// <summary>The shortest other copy whose whole lines are: one that begins or ends within a line, or moves onto its source.</summary>
        MixedNonTemporalFromBytes: int64
        /// The words before the first and after the last whole line are stored past the cache as well.
        HasNonTemporalEdges: bool
        /// The widest vector to store with, in bits: 128, 256 or 512; 0 where there is none.
        VectorBits: int
        /// Lines that were stored through the cache are written back.
        WritesBack: bool
        /// The platform's fence follows.
        Fences: bool
        /// The pages are to be synchronised by the operating system, msync(MS_SYNC): at once, or by the next drain.
        SyncsPages: bool
        /// The bytes are durable when the copy returns.
        Drains: bool
    }

    /// Whether a copy of this many bytes, all of them in whole lines, is stored past the cache.
    member plan.IsNonTemporal(lengthBytes: int64) =
        lengthBytes >= plan.NonTemporalFromBytes

    /// Whether the whole lines of any other copy of this many bytes are.
    member plan.IsNonTemporalMixed(lengthBytes: int64) =
        lengthBytes >= plan.MixedNonTemporalFromBytes

    /// In words: what is stored how, and what follows.
    override plan.ToString() =
        let stores =
            if plan.NonTemporalFromBytes = Int64.MaxValue then
                "through the cache"
            else
                String.Concat(
                    "past the cache from ",
                    plan.NonTemporalFromBytes.ToString CultureInfo.InvariantCulture,
                    " bytes on"
                )

        String.Concat(
            stores,
            (if plan.WritesBack then ", write-back" else ""),
            (if plan.SyncsPages then ", msync" else ""),
            (if plan.Fences then ", fence" else "")
        )

/// Deciding how bytes are copied.
module internal CopyPlan =
    /// <summary>One line: a line that is wholly overwritten need not be read into the cache to be written back from there.</summary>
    [<Literal>]
    let DefaultThresholdBytes = 64L

    /// <summary>A short copy with lines to write back besides waits for those anyway; and what overlaps its source has just been
    /// read into the cache.</summary>
    [<Literal>]
    let DefaultMixedThresholdBytes = 512L

    /// <summary>With eADR a store is durable in the cache; going past it pays only where the cache would overflow.</summary>
    [<Literal>]
    let AutoFlushThresholdBytes = 4194304L

    let private all =
        PmemCopyOptions.NoDrain
        ||| PmemCopyOptions.NonTemporal
        ||| PmemCopyOptions.Temporal
        ||| PmemCopyOptions.WriteCombining
        ||| PmemCopyOptions.WriteBack
        ||| PmemCopyOptions.NoFlush

    let private has (flag: PmemCopyOptions) (flags: PmemCopyOptions) = flags &&& flag = flag

    let private hasAny (some: PmemCopyOptions) (flags: PmemCopyOptions) = flags &&& some <> PmemCopyOptions.None

    let private exclude flags first second (firstName, secondName) =
        Decision.require (not (has first flags && has second flags)) (Contradiction(firstName, secondName))

    /// Refuses flags that exclude each other, and values that are none.
    let check (platform: Platform) (flags: PmemCopyOptions) =
        decision {
            do! Decision.require (not (hasAny (~~~all) flags)) (UnknownFlags(int flags))
            do! exclude flags PmemCopyOptions.NonTemporal PmemCopyOptions.Temporal ("NonTemporal", "Temporal")
            do! exclude flags PmemCopyOptions.WriteCombining PmemCopyOptions.WriteBack ("WriteCombining", "WriteBack")

            if platform.Facts.Architecture = Architecture.X64 then
                do! exclude flags PmemCopyOptions.NonTemporal PmemCopyOptions.NoFlush ("NonTemporal", "NoFlush")
                do! exclude flags PmemCopyOptions.WriteCombining PmemCopyOptions.NoFlush ("WriteCombining", "NoFlush")
        }

    /// The widest vector to store with, in bits; 0 where there is none.
    let internal vectorBits (platform: Platform) =
        match platform.Environment.VectorBits with
        | 0 -> platform.Facts.VectorBits
        | widest -> min widest platform.Facts.VectorBits

    let private threshold (platform: Platform) granularity defaultBytes =
        if platform.Environment.MovntThresholdBytes >= 0L then
            platform.Environment.MovntThresholdBytes
        elif granularity = StoreGranularity.Byte then
            AutoFlushThresholdBytes
        else
            defaultBytes

    let private canStoreNonTemporal (platform: Platform) granularity =
        platform.Facts.Architecture = Architecture.X64
        && platform.Environment.NoMovnt <> Setting.On
        && not (platform.SyncsPages granularity)
        && vectorBits platform >= 128

    /// Decides for a mapping of this granularity, or refuses flags that exclude each other. Where libpmem allows a hint of
    /// each kind, as in NonTemporal with WriteBack, the non-temporal one wins, as it does there.
    let decide (platform: Platform) (granularity: StoreGranularity) (flags: PmemCopyOptions) =
        decision {
            do! check platform flags
            let isFlushed = not (has PmemCopyOptions.NoFlush flags)
            let isByPage = platform.SyncsPages granularity
            let drains = isFlushed && not (has PmemCopyOptions.NoDrain flags)

            let isPast =
                hasAny (PmemCopyOptions.NonTemporal ||| PmemCopyOptions.WriteCombining) flags

            let isThrough =
                hasAny (PmemCopyOptions.Temporal ||| PmemCopyOptions.WriteBack) flags

            let canBePast = isFlushed && canStoreNonTemporal platform granularity

            let from defaultBytes =
                if not canBePast then Int64.MaxValue
                elif isPast then 0L
                elif isThrough then Int64.MaxValue
                else threshold platform granularity defaultBytes

            return
                {
                    NonTemporalFromBytes = from DefaultThresholdBytes
                    MixedNonTemporalFromBytes = from DefaultMixedThresholdBytes
                    HasNonTemporalEdges = canBePast && isPast
                    VectorBits = vectorBits platform
                    WritesBack = isFlushed && not isByPage && granularity = StoreGranularity.CacheLine
                    Fences = drains && not isByPage
                    SyncsPages = isFlushed && isByPage
                    Drains = drains
                }
        }
