namespace Pmem

open System
open System.Collections.Generic
open System.Runtime.InteropServices

//  fact                                                                          source
//  ----------------------------------------------------------------------------  ---------------------------------------
//  CLFLUSH: CPUID.1:EDX[19]; CLFLUSHOPT: CPUID.7:EBX[23]; CLWB: CPUID.7:EBX[24]  Intel SDM vol. 2, CPUID
//  DC CVAP: AT_HWCAP bit 16 (DCPOP); DC CVADP: AT_HWCAP2 bit 0 (DCPODP)          Linux, arch/arm64 uapi/asm/hwcap.h
//  persistence_domain is cpu_cache, memory_controller or unknown                 Linux, Documentation/ABI sysfs-bus-nfit,
//                                                                                drivers/nvdimm/region_devs.c
//  caches need no flush only where every region says cpu_cache                   pmem_has_auto_flush(3)
//  CLFLUSH is ordered by MFENCE, by nothing less on AMD                          AMD APM vol. 3, CLFLUSH

/// What was found out about the machine and the process; everything that a decision rests on.
type PlatformFacts =
    {
        /// The architecture of the process.
        Architecture: Architecture
        /// CLFLUSH is there.
        HasClflush: bool
        /// CLFLUSHOPT is there.
        HasClflushOpt: bool
        /// CLWB is there.
        HasClwb: bool
        /// DC CVAP is there.
        HasDcCvap: bool
        /// DC CVADP is there.
        HasDcCvadp: bool
        /// This process can run the library's machine code: there is some for its architecture and operating system, and
        /// executable memory was granted. Without it no cache line can be written back.
        CanRunMachineCode: bool
        /// The machine's data cache line, in bytes.
        LineSizeBytes: int64
        /// The page, in bytes.
        PageSizeBytes: int64
        /// The widest vector that can be stored, in bits; 0 where there are none.
        VectorBits: int
        /// <summary><c>persistence_domain</c> of every NVDIMM region, in any order.</summary>
        PersistenceDomains: IReadOnlyList<string>
        /// The environment variables of the library that are set.
        Environment: IReadOnlyDictionary<string, string>
    }

    /// Whether both are the same value.
    static member op_Equality(left: PlatformFacts, right: PlatformFacts) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: PlatformFacts, right: PlatformFacts) = not (Object.Equals(left, right))

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
        /// A flush on persistent memory does nothing: the caches are flushed on power failure, or the environment says so.
        IsFlushElided: bool
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

    member internal platform.WhyNoWriteBack =
        if platform.Environment.NoMachineCode = Setting.On then
            "PMEM_NO_MACHINE_CODE is 1"
        elif not platform.Facts.CanRunMachineCode then
            "write-back needs a few bytes of machine code, and this process was refused executable memory, or there is none "
            + "for its architecture and operating system"
        else
            "the processor has no instruction for it that a process can use"

    /// One paragraph that tells a person what a persist does on this machine, and why.
    member platform.Describe() =
        let facts = platform.Facts

        let pmem =
            if platform.IsFlushElided then
                let why =
                    if platform.Environment.NoFlush = Setting.On then
                        "because PMEM_NO_FLUSH is 1"
                    else
                        "because every NVDIMM region reports the persistence domain cpu_cache (eADR)"

                String.Concat(
                    [|
                        "a persist is only "
                        platform.Fence.ToString()
                        ", "
                        why
                        ": what is visible is durable"
                    |]
                )
            elif platform.WriteBack = NoWriteBack then
                String.Concat(
                    "no cache line can be written back, because ",
                    platform.WhyNoWriteBack,
                    ", so msync is used there too"
                )
            else
                let domain =
                    if facts.PersistenceDomains.Count = 0 then
                        "no NVDIMM region is here to say that its caches survive a power failure"
                    elif platform.HasAutoFlush then
                        "PMEM_NO_FLUSH is 0 although every region reports cpu_cache"
                    else
                        "not every NVDIMM region reports the persistence domain cpu_cache"

                String.Concat(
                    [|
                        "a persist writes back each cache line with "
                        platform.WriteBack.ToString()
                        " and waits with "
                        platform.Fence.ToString()
                        ", because "
                        domain
                    |]
                )

        let forced =
            match platform.Environment.IsPmemForce with
            | Setting.On -> " PMEM_IS_PMEM_FORCE is 1: every mapping is taken for persistent memory, whatever it is."
            | Setting.Off -> " PMEM_IS_PMEM_FORCE is 0: no mapping is taken for persistent memory."
            | Setting.Unset -> ""

        String.Concat(
            [|
                "On persistent memory (a DAX file mapped with MAP_SYNC, or a device-DAX device) "
                pmem
                ". On any other file a persist is msync(MS_SYNC) on whole pages of "
                platform.PageSizeBytes.ToString Globalization.CultureInfo.InvariantCulture
                " bytes, because only the operating system can write the page cache to storage."
                forced
            |]
        )

    /// The same paragraph.
    override platform.ToString() = platform.Describe()

    /// Whether both are the same value.
    static member op_Equality(left: Platform, right: Platform) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: Platform, right: Platform) = not (Object.Equals(left, right))

/// Deciding how a machine makes a store durable.
module Platform =
    let private isPowerOfTwo (bytes: int64) =
        bytes > 0L && bytes &&& (bytes - 1L) = 0L

    let private writeBack (facts: PlatformFacts) (environment: PmemEnvironment) =
        match facts.Architecture with
        | _ when not facts.CanRunMachineCode || environment.NoMachineCode = Setting.On -> NoWriteBack
        | Architecture.X64 when facts.HasClwb && environment.NoClwb <> Setting.On -> Clwb
        | Architecture.X64 when facts.HasClflushOpt && environment.NoClflushOpt <> Setting.On -> ClflushOpt
        | Architecture.X64 when facts.HasClflush -> Clflush
        | Architecture.Arm64 when facts.HasDcCvap -> DcCvap
        | _ -> NoWriteBack

    let private fence (facts: PlatformFacts) writeBack =
        match facts.Architecture, writeBack with
        | Architecture.Arm64, _ -> DsbSy
        | _, Clflush -> Mfence
        | _ -> Sfence

    /// Takes every decision from the facts, or refuses a fact that cannot be.
    let decide (facts: PlatformFacts) =
        decision {
            do! Decision.require (isPowerOfTwo facts.PageSizeBytes) (BadGeometry("A page", facts.PageSizeBytes))

            do!
                Decision.require
                    (isPowerOfTwo facts.LineSizeBytes && facts.LineSizeBytes <= facts.PageSizeBytes)
                    (BadGeometry("A cache line", facts.LineSizeBytes))

            let! environment = PmemEnvironment.parse facts.Environment

            let hasAutoFlush =
                facts.PersistenceDomains.Count > 0
                && Seq.forall ((=) "cpu_cache") facts.PersistenceDomains

            let writeBack = writeBack facts environment

            return
                {
                    Facts = facts
                    Environment = environment
                    WriteBack = writeBack
                    DeepWriteBack = (if writeBack = DcCvap && facts.HasDcCvadp then DcCvadp else writeBack)
                    Fence = fence facts writeBack
                    IsFlushElided =
                        (match environment.NoFlush with
                         | Setting.On -> true
                         | Setting.Off -> false
                         | Setting.Unset -> hasAutoFlush)
                    HasAutoFlush = hasAutoFlush
                }
        }

    let private ofWriteBack architecture kind =
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

        match decide facts with
        | Accepted platform -> platform
        | Refused reason -> invalidOp (reason.ToString())

    /// An x86-64 machine with this write-back instruction, 64-byte lines, 4096-byte pages, ADR and no environment.
    let x64 (kind: WriteBackKind) =
        match kind with
        | DcCvap
        | DcCvadp -> invalidArg (nameof kind) "x86-64 has CLWB, CLFLUSHOPT and CLFLUSH."
        | _ -> ofWriteBack Architecture.X64 kind

    /// An Arm64 machine with this write-back instruction, 64-byte lines, 4096-byte pages, ADR and no environment.
    let arm64 (kind: WriteBackKind) =
        match kind with
        | Clwb
        | ClflushOpt
        | Clflush -> invalidArg (nameof kind) "Arm64 has DC CVAP and DC CVADP."
        | _ -> ofWriteBack Architecture.Arm64 kind
