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

    /// <summary>The <c>persistence_domain</c> whose caches are flushed on power failure.</summary>
    static member internal FlushedDomain = "cpu_cache"

    /// Whether both are the same value.
    static member op_Equality(left: PlatformFacts, right: PlatformFacts) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: PlatformFacts, right: PlatformFacts) = not (Object.Equals(left, right))
