namespace Pmem

open System

//  fact                                                                          source
//  ----------------------------------------------------------------------------  ---------------------------------------
//  CLWB writes a line back and may keep it; CLFLUSHOPT and CLFLUSH evict it      Intel SDM vol. 2, CLWB/CLFLUSHOPT/CLFLUSH
//  CLWB and CLFLUSHOPT are ordered only by fences and locked instructions        the same, "Operation" notes
//  CLFLUSH is ordered with writes (Intel), by MFENCE only (AMD)                  Intel SDM vol. 2; AMD APM vol. 3, CLFLUSH
//  DC CVAP cleans a line to the point of persistence (FEAT_DPB), DC CVADP to
//  the point of deep persistence (FEAT_DPB2); both complete with a DSB           Arm ARM DDI 0487, D7.5 and B2.3

/// The instruction that starts writing a cache line back to persistent memory.
type WriteBackKind =
    /// x86-64: write back, and keep the line in the cache.
    | Clwb
    /// x86-64: write back and evict.
    | ClflushOpt
    /// x86-64: write back and evict, ordered with other writes.
    | Clflush
    /// Arm64: clean to the point of persistence.
    | DcCvap
    /// Arm64: clean to the point of deep persistence.
    | DcCvadp
    /// None that this process can use: only msync makes a store durable.
    | NoWriteBack

    /// The mnemonic.
    override kind.ToString() =
        match kind with
        | Clwb -> "CLWB"
        | ClflushOpt -> "CLFLUSHOPT"
        | Clflush -> "CLFLUSH"
        | DcCvap -> "DC CVAP"
        | DcCvadp -> "DC CVADP"
        | NoWriteBack -> "none"

/// The instruction that waits for the write-backs and the non-temporal stores before it.
type FenceKind =
    /// x86-64: after CLWB, CLFLUSHOPT and non-temporal stores.
    | Sfence
    /// x86-64: after CLFLUSH, which AMD orders by nothing less.
    | Mfence
    /// Arm64.
    | DsbSy

    /// The mnemonic.
    override kind.ToString() =
        match kind with
        | Sfence -> "SFENCE"
        | Mfence -> "MFENCE"
        | DsbSy -> "DSB SY"

/// What a machine is told to do.
type Instruction =
    /// Write back every line of the range.
    | WriteBack of Kind: WriteBackKind * Range: ByteRange
    /// Wait for write-backs and non-temporal stores, with the platform's fence.
    | Fence
    /// Have the operating system write the pages of the range to storage, and wait: msync(MS_SYNC).
    | SyncPages of Range: ByteRange

    /// <summary>As in <c>CLWB 0+64</c>, <c>fence</c>, <c>msync 0+4096</c>.</summary>
    override instruction.ToString() =
        match instruction with
        | WriteBack(kind, range) -> System.String.Concat(kind.ToString(), " ", range.ToString())
        | Fence -> "fence"
        | SyncPages range -> System.String.Concat("msync ", range.ToString())

    /// Whether both are the same value.
    static member op_Equality(left: Instruction, right: Instruction) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: Instruction, right: Instruction) = not (Object.Equals(left, right))
