namespace Pmem

open System
open System.Collections.Generic
open System.Runtime.InteropServices

//  fact                                                                          source
//  ----------------------------------------------------------------------------  ---------------------------------------
//  CLFLUSH is ordered by MFENCE, by nothing less on AMD                          AMD APM vol. 3, CLFLUSH
//  a platform has auto-flush where every region says cpu_cache                   pmem_has_auto_flush(3)
//  but only the memory of that region is in the domain: what lies in another
//  one, or in none (CXL), is not                                                 Linux, drivers/nvdimm/region_devs.c

/// Choosing instructions.
module internal PlatformChoice =
    let isPowerOfTwo (bytes: int64) =
        bytes > 0L && bytes &&& (bytes - 1L) = 0L

    let writeBack (facts: PlatformFacts) (environment: PmemEnvironment) =
        match facts.Architecture with
        | _ when not facts.CanRunMachineCode || environment.NoMachineCode = Setting.On -> NoWriteBack
        | Architecture.X64 when facts.HasClwb && environment.NoClwb <> Setting.On -> Clwb
        | Architecture.X64 when facts.HasClflushOpt && environment.NoClflushOpt <> Setting.On -> ClflushOpt
        | Architecture.X64 when facts.HasClflush -> Clflush
        | Architecture.Arm64 when facts.HasDcCvap -> DcCvap
        | _ -> NoWriteBack

    let fence (facts: PlatformFacts) writeBack =
        match facts.Architecture, writeBack with
        | Architecture.Arm64, _ -> DsbSy
        | _, Clflush -> Mfence
        | _ -> Sfence

/// How this machine makes a store durable: every decision that does not depend on the mapping.
type Platform =
    {
        /// What the decisions rest on.
        Facts: PlatformFacts
        /// What the environment asks for.
        Environment: PmemEnvironment
        /// The instruction of a flush.
        WriteBack: WriteBackKind
        /// The instruction of a deep flush.
        DeepWriteBack: WriteBackKind
        /// The instruction of a drain.
        Fence: FenceKind
        /// Every region's caches are flushed on power failure (eADR), as pmem_has_auto_flush(3) has it.
        HasAutoFlush: bool
    }

    /// <summary>Whether there is an instruction that drains persistent memory itself: no known machine has one.</summary>
    /// <remarks>As pmem_has_hw_drain(3): a drain is a fence all the same.</remarks>
    member _.HasHardwareDrain = false

    /// The unit of a write-back on this machine, in bytes; never less than a plan's cache line.
    member platform.LineSizeBytes = max CacheLine.SizeBytes platform.Facts.LineSizeBytes

    /// The unit of msync, in bytes.
    member platform.PageSizeBytes = platform.Facts.PageSizeBytes

    /// Whether a store to a mapping of this granularity becomes durable by msync only.
    member internal platform.SyncsPages(granularity: StoreGranularity) =
        granularity = StoreGranularity.Page
        || (granularity = StoreGranularity.CacheLine && platform.WriteBack = NoWriteBack)

    /// <summary>Whether a flush of memory does nothing: its caches are flushed on power failure (eADR), or the environment says
    /// so.</summary>
    /// <param name="persistenceDomain"><c>persistence_domain</c> of the region that holds the memory; empty where none
    /// does.</param>
    member platform.ElidesFlush(persistenceDomain: string) =
        match platform.Environment.NoFlush with
        | Setting.On -> true
        | Setting.Off -> false
        | Setting.Unset -> persistenceDomain = PlatformFacts.FlushedDomain

    /// Whether there is memory of which a flush does nothing; where not, nobody need ask which region holds it.
    member platform.CanElideFlush =
        platform.ElidesFlush ""
        || Seq.exists platform.ElidesFlush platform.Facts.PersistenceDomains

    member internal platform.WhyNoWriteBack =
        PlatformWords.whyNoWriteBack platform.Facts platform.Environment

    /// One paragraph that tells a person what a persist does on this machine, and why.
    member platform.Describe() =
        PlatformWords.describe platform.Facts platform.Environment platform.WriteBack platform.Fence

    /// The same paragraph.
    override platform.ToString() = platform.Describe()

    /// Whether both are the same value.
    static member op_Equality(left: Platform, right: Platform) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: Platform, right: Platform) = not (Object.Equals(left, right))

    /// Takes every decision from the facts, or refuses a fact that cannot be.
    static member internal Decide(facts: PlatformFacts) =
        decision {
            do!
                Decision.require
                    (PlatformChoice.isPowerOfTwo facts.PageSizeBytes)
                    (BadGeometry("A page", facts.PageSizeBytes))

            do!
                Decision.require
                    (PlatformChoice.isPowerOfTwo facts.LineSizeBytes
                     && facts.LineSizeBytes <= facts.PageSizeBytes)
                    (BadGeometry("A cache line", facts.LineSizeBytes))

            let! environment = PmemEnvironment.Parse facts.Environment

            let hasAutoFlush =
                facts.PersistenceDomains.Count > 0
                && Seq.forall ((=) PlatformFacts.FlushedDomain) facts.PersistenceDomains

            let writeBack = PlatformChoice.writeBack facts environment

            return
                {
                    Facts = facts
                    Environment = environment
                    WriteBack = writeBack
                    DeepWriteBack = (if writeBack = DcCvap && facts.HasDcCvadp then DcCvadp else writeBack)
                    Fence = PlatformChoice.fence facts writeBack
                    HasAutoFlush = hasAutoFlush
                }
        }

    static member private OfWriteBack(architecture, kind) =
        let facts =
            {
                Architecture = architecture
                HasClflush = (kind = Clflush)
                HasClflushOpt = (kind = ClflushOpt)
                HasClwb = (kind = Clwb)
                HasDcCvap = (kind = DcCvap || kind = DcCvadp)
                HasDcCvadp = (kind = DcCvadp)
                CanRunMachineCode = (kind <> NoWriteBack)
                LineSizeBytes = CacheLine.SizeBytes
                PageSizeBytes = 4096L
                VectorBits = 128
                PersistenceDomains = [||]
                Environment = Dictionary()
            }

        match Platform.Decide facts with
        | Ok platform -> platform
        | Error reason -> invalidOp (reason.ToString())

    /// An x86-64 machine with this write-back instruction, 64-byte lines, 4096-byte pages, ADR and no environment.
    static member X64(kind: WriteBackKind) =
        match kind with
        | DcCvap
        | DcCvadp -> invalidArg (nameof kind) "x86-64 has CLWB, CLFLUSHOPT and CLFLUSH."
        | _ -> Platform.OfWriteBack(Architecture.X64, kind)

    /// An Arm64 machine with this write-back instruction, 64-byte lines, 4096-byte pages, ADR and no environment.
    static member Arm64(kind: WriteBackKind) =
        match kind with
        | Clwb
        | ClflushOpt
        | Clflush -> invalidArg (nameof kind) "Arm64 has DC CVAP and DC CVADP."
        | _ -> Platform.OfWriteBack(Architecture.Arm64, kind)

namespace Pmem.FSharp

open Pmem

/// Platforms, for pipelines.
module Platform =
    /// An x86-64 machine with this write-back instruction, 64-byte lines, 4096-byte pages, ADR and no environment.
    let x64 (kind: WriteBackKind) = Platform.X64 kind

    /// An Arm64 machine with this write-back instruction, 64-byte lines, 4096-byte pages, ADR and no environment.
    let arm64 (kind: WriteBackKind) = Platform.Arm64 kind
