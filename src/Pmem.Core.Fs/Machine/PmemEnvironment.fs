namespace Pmem

open System
open System.Collections.Generic
open System.Globalization

//  variable               values      meaning                                       source
//  ---------------------  ----------  --------------------------------------------  -----------------
//  PMEM_IS_PMEM_FORCE     0, 1        every mapping is (not) persistent memory      libpmem(7)
//  PMEM_NO_CLWB           0, 1        never CLWB                                    libpmem(7)
//  PMEM_NO_CLFLUSHOPT     0, 1        never CLFLUSHOPT                              libpmem(7)
//  PMEM_NO_FLUSH          0, 1        1: never flush; 0: flush in spite of eADR     libpmem(7)
//  PMEM_NO_MOVNT          0, 1        never non-temporal stores                     libpmem(7)
//  PMEM_MOVNT_THRESHOLD   bytes       shortest non-temporal copy; a negative        libpmem(7); PMDK,
//                                     number is as unset                            src/libpmem2/x86_64/init.c
//  PMEM_MMAP_HINT         hex         where to map; no randomisation                libpmem(7)
//  PMEM2_FORCE_GRANULARITY  a word    the granularity of each mapping; read each    libpmem2(7)
//                                     time that something is mapped
//  PMEM_VECTOR_BITS       128 …       widest vector that a copy uses                this library
//  PMEM_NO_MACHINE_CODE   0, 1        as if executable memory were refused          this library
//
//  libpmem ignores a value that it does not understand. Here it is refused: whoever sets one means something by it.

/// A setting that can be left to the library.
[<RequireQualifiedAccess>]
type Setting =
    /// The variable is unset: the platform decides.
    | Unset
    /// Forced off: 0.
    | Off
    /// Forced on: 1.
    | On

/// The values that a variable can have.
module internal Variable =
    let setting variable (value: string) =
        match value with
        | "0" -> Ok Setting.Off
        | "1" -> Ok Setting.On
        | _ -> Error(BadEnvironment(variable, value, "0 or 1"))

    /// Of any case: libpmem2(7), ENVIRONMENT.
    let granularity variable (value: string) =
        match value.ToUpperInvariant() with
        | "BYTE" -> Ok StoreGranularity.Byte
        | "CACHE_LINE" -> Ok StoreGranularity.CacheLine
        | "PAGE" -> Ok StoreGranularity.Page
        | _ -> Error(BadEnvironment(variable, value, "BYTE, CACHE_LINE or PAGE"))

    /// A negative number is passed over, as libpmem does; its tests set -15.
    let threshold variable (value: string) =
        match Int64.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture) with
        | true, bytes -> Ok(max -1L bytes)
        | _ -> Error(BadEnvironment(variable, value, "a number of bytes"))

    let hint variable (value: string) =
        let digits =
            if value.StartsWith("0x", StringComparison.OrdinalIgnoreCase) then
                value.Substring 2
            else
                value

        match Int64.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) with
        | true, address when address > 0L && address % 4096L = 0L -> Ok address
        | _ -> Error(BadEnvironment(variable, value, "a page-aligned address in hexadecimal, as in 0x10000000000"))

    let vectorBits variable (value: string) =
        match value with
        | "128" -> Ok 128
        | "256" -> Ok 256
        | "512" -> Ok 512
        | _ -> Error(BadEnvironment(variable, value, "128, 256 or 512"))

/// What the environment asks for.
type PmemEnvironment =
    {
        /// <c>PMEM_IS_PMEM_FORCE</c>
        IsPmemForce: Setting
        /// <c>PMEM_NO_CLWB</c>
        NoClwb: Setting
        /// <c>PMEM_NO_CLFLUSHOPT</c>
        NoClflushOpt: Setting
        /// <c>PMEM_NO_FLUSH</c>
        NoFlush: Setting
        /// <c>PMEM_NO_MOVNT</c>
        NoMovnt: Setting
        /// <summary><c>PMEM_MOVNT_THRESHOLD</c>, in bytes; -1 where unset or negative.</summary>
        MovntThresholdBytes: int64
        /// <summary><c>PMEM_MMAP_HINT</c>; 0 where unset.</summary>
        MmapHint: int64
        /// <summary><c>PMEM_VECTOR_BITS</c>: 128, 256 or 512; 0 where unset.</summary>
        VectorBits: int
        /// <c>PMEM_NO_MACHINE_CODE</c>
        NoMachineCode: Setting
    }

    /// Nothing is set.
    static member Empty =
        {
            IsPmemForce = Setting.Unset
            NoClwb = Setting.Unset
            NoClflushOpt = Setting.Unset
            NoFlush = Setting.Unset
            NoMovnt = Setting.Unset
            MovntThresholdBytes = -1L
            MmapHint = 0L
            VectorBits = 0
            NoMachineCode = Setting.Unset
        }

    /// Whether both are the same value.
    static member op_Equality(left: PmemEnvironment, right: PmemEnvironment) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: PmemEnvironment, right: PmemEnvironment) = not (Object.Equals(left, right))

    /// The variable that is read each time that something is mapped, and its value, where it is set.
    static member internal ForcedGranularity(value: string) =
        Variable.granularity PmemEnvironment.ForceVariable value

    /// Its name.
    static member internal ForceVariable = "PMEM2_FORCE_GRANULARITY"

    /// The variables that are read once.
    static member internal Variables: IReadOnlyList<string> =
        [|
            "PMEM_IS_PMEM_FORCE"
            "PMEM_NO_CLWB"
            "PMEM_NO_CLFLUSHOPT"
            "PMEM_NO_FLUSH"
            "PMEM_NO_MOVNT"
            "PMEM_MOVNT_THRESHOLD"
            "PMEM_MMAP_HINT"
            "PMEM_VECTOR_BITS"
            "PMEM_NO_MACHINE_CODE"
        |]

    /// Reads the variables; those that the dictionary lacks are unset. The first bad value is refused.
    static member internal Parse(values: IReadOnlyDictionary<string, string>) =
        let read variable unset parse =
            match values.TryGetValue variable with
            | true, value -> parse variable value
            | _ -> Ok unset

        decision {
            let! isPmemForce = read "PMEM_IS_PMEM_FORCE" Setting.Unset Variable.setting
            let! noClwb = read "PMEM_NO_CLWB" Setting.Unset Variable.setting
            let! noClflushOpt = read "PMEM_NO_CLFLUSHOPT" Setting.Unset Variable.setting
            let! noFlush = read "PMEM_NO_FLUSH" Setting.Unset Variable.setting
            let! noMovnt = read "PMEM_NO_MOVNT" Setting.Unset Variable.setting
            let! movntThresholdBytes = read "PMEM_MOVNT_THRESHOLD" -1L Variable.threshold
            let! mmapHint = read "PMEM_MMAP_HINT" 0L Variable.hint
            let! vectorBits = read "PMEM_VECTOR_BITS" 0 Variable.vectorBits
            let! noMachineCode = read "PMEM_NO_MACHINE_CODE" Setting.Unset Variable.setting

            return
                {
                    IsPmemForce = isPmemForce
                    NoClwb = noClwb
                    NoClflushOpt = noClflushOpt
                    NoFlush = noFlush
                    NoMovnt = noMovnt
                    MovntThresholdBytes = movntThresholdBytes
                    MmapHint = mmapHint
                    VectorBits = vectorBits
                    NoMachineCode = noMachineCode
                }
        }
