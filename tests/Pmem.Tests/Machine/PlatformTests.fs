module Pmem.Tests.PlatformTests

open System.Collections.Generic
open System.Runtime.InteropServices
open Expecto
open Pmem
open Pmem.Tests.Generators

let private environmentOf (pairs: (string * string) list) =
    let values = Dictionary<string, string>()

    for name, value in pairs do
        values[name] <- value

    values

let private decided (facts: PlatformFacts) pairs =
    match Platform.decide { facts with Environment = environmentOf pairs } with
    | Accepted platform -> platform
    | Refused reason -> failtest (string reason)

let private refused name value =
    match PmemEnvironment.parse (environmentOf [ name, value ]) with
    | Refused(BadEnvironment(variable, found, expected)) -> variable = name && found = value && expected.Length > 0
    | _ -> false

let private everything =
    { (Platform.x64 Clwb).Facts with HasClflush = true; HasClflushOpt = true }

let private isOn (facts: PlatformFacts) name =
    match facts.Environment.TryGetValue name with
    | true, "1" -> true
    | _ -> false

let tests =
    testList
        "platform"
        [
            property "never uses what is not there or was forbidden" (fun (facts: PlatformFacts) ->
                match Platform.decide facts with
                | Refused _ -> false
                | Accepted platform ->
                    match platform.WriteBack with
                    | Clwb -> facts.HasClwb && not (isOn facts "PMEM_NO_CLWB")
                    | ClflushOpt -> facts.HasClflushOpt && not (isOn facts "PMEM_NO_CLFLUSHOPT")
                    | Clflush -> facts.HasClflush
                    | DcCvap -> facts.HasDcCvap && facts.Architecture = Architecture.Arm64
                    | DcCvadp -> false
                    | NoWriteBack -> true)

            property
                "leaves out a flush only where every region flushes its caches, or where it was told to"
                (fun (facts: PlatformFacts) ->
                    match Platform.decide facts with
                    | Refused _ -> false
                    | Accepted platform ->
                        let all =
                            facts.PersistenceDomains.Count > 0
                            && Seq.forall ((=) "cpu_cache") facts.PersistenceDomains

                        platform.HasAutoFlush = all
                        && platform.IsFlushElided =
                            (match facts.Environment.TryGetValue "PMEM_NO_FLUSH" with
                             | true, "1" -> true
                             | true, _ -> false
                             | _ -> all))

            property "decides nothing without machine code" (fun (facts: PlatformFacts) ->
                match Platform.decide { facts with CanRunMachineCode = false } with
                | Accepted platform -> platform.WriteBack = NoWriteBack && platform.Describe().Contains "msync"
                | Refused _ -> false)

            property "maps as persistent memory only what is, or was forced" (fun (platform: Platform) ->
                [ FileDax; DeviceDax; PageCache ]
                |> List.forall (fun kind ->
                    let facts =
                        {
                            Path = "f"
                            FileRange = ByteRange.create 0L 4096L
                            Kind = kind
                            IsReadOnly = false
                            Platform = platform
                        }

                    match Mapping.decide facts with
                    | Accepted mapping ->
                        mapping.IsPmem = (mapping.Granularity <> StoreGranularity.Page)
                        && (kind <> PageCache || not mapping.IsPmem)
                        && (mapping.Granularity <> StoreGranularity.CacheLine
                            || platform.WriteBack <> NoWriteBack)
                        && (mapping.Granularity <> StoreGranularity.Byte || platform.IsFlushElided)
                    | Refused(NoWayToPersist _) ->
                        kind = DeviceDax
                        && platform.WriteBack = NoWriteBack
                        && not platform.IsFlushElided
                    | Refused _ -> false))

            testCase "prefers CLWB, then CLFLUSHOPT, then CLFLUSH"
            <| fun () ->
                Expect.equal (decided everything []).WriteBack Clwb "all"
                Expect.equal (decided everything [ "PMEM_NO_CLWB", "1" ]).WriteBack ClflushOpt "no CLWB"

                Expect.equal
                    (decided everything [ "PMEM_NO_CLWB", "1"; "PMEM_NO_CLFLUSHOPT", "1" ]).WriteBack
                    Clflush
                    "neither"

                Expect.equal (decided everything [ "PMEM_NO_CLWB", "0" ]).WriteBack Clwb "0 is no"

            testCase "uses DC CVADP for deep persists only"
            <| fun () ->
                let platform = Platform.arm64 DcCvadp
                Expect.equal platform.WriteBack DcCvap "flush"
                Expect.equal platform.DeepWriteBack DcCvadp "deep flush"

            testCase "flushes in spite of eADR where PMEM_NO_FLUSH is 0"
            <| fun () ->
                let eadr = { everything with PersistenceDomains = [| "cpu_cache" |] }
                Expect.isTrue (decided eadr []).IsFlushElided "eADR"
                Expect.isFalse (decided eadr [ "PMEM_NO_FLUSH", "0" ]).IsFlushElided "forced to flush"
                Expect.isTrue (decided eadr [ "PMEM_NO_FLUSH", "0" ]).HasAutoFlush "still eADR"
                Expect.isTrue (decided everything [ "PMEM_NO_FLUSH", "1" ]).IsFlushElided "forced not to"

            testCase "reads good values of the environment"
            <| fun () ->
                match
                    PmemEnvironment.parse (
                        environmentOf
                            [
                                "PMEM_IS_PMEM_FORCE", "1"
                                "PMEM_MOVNT_THRESHOLD", "0"
                                "PMEM_MMAP_HINT", "0x10000000000"
                                "PMEM_VECTOR_BITS", "512"
                            ]
                    )
                with
                | Accepted environment ->
                    Expect.equal environment.IsPmemForce Setting.On "force"
                    Expect.equal environment.MovntThresholdBytes 0L "threshold"
                    Expect.equal environment.MmapHint 0x10000000000L "hint"
                    Expect.equal environment.VectorBits 512 "vectors"
                    Expect.equal environment.NoClwb Setting.Unset "unset"
                | Refused reason -> failtest (string reason)

            testCase "refuses every bad value of the environment, with its name"
            <| fun () ->
                for name in PmemEnvironment.variables do
                    for value in [ ""; " 1"; "yes"; "-1"; "1.5"; "0x"; "99999999999999999999999" ] do
                        Expect.isTrue (refused name value) $"{name}={value}"

                Expect.isTrue (refused "PMEM_NO_CLWB" "2") "2"
                Expect.isTrue (refused "PMEM_MMAP_HINT" "0x10000000001") "not a page"
                Expect.isTrue (refused "PMEM_VECTOR_BITS" "64") "no such vector"

            testCase "refuses a geometry that cannot be"
            <| fun () ->
                let isRefused facts =
                    match Platform.decide facts with
                    | Refused(BadGeometry _) -> true
                    | _ -> false

                Expect.isTrue (isRefused { everything with LineSizeBytes = 48L }) "line of 48"
                Expect.isTrue (isRefused { everything with LineSizeBytes = 0L }) "line of 0"
                Expect.isTrue (isRefused { everything with PageSizeBytes = 5000L }) "page of 5000"
                Expect.isTrue (isRefused { everything with LineSizeBytes = 8192L }) "line over page"

            testCase "describes what a persist does, and why"
            <| fun () ->
                let says (platform: Platform) (words: string) =
                    Expect.stringContains (platform.Describe()) words (string platform.WriteBack)

                says (decided everything []) "CLWB"
                says (decided everything []) "SFENCE"
                says (decided { everything with PersistenceDomains = [| "cpu_cache" |] } []) "eADR"
                says (decided everything [ "PMEM_NO_FLUSH", "1" ]) "PMEM_NO_FLUSH is 1"
                says (decided everything [ "PMEM_IS_PMEM_FORCE", "1" ]) "PMEM_IS_PMEM_FORCE"
                says (decided { everything with CanRunMachineCode = false } []) "executable memory"

            testCase "gives the bytes of a file that can be mapped"
            <| fun () ->
                let range file offset length =
                    match Mapping.rangeOfFile 4096L file offset length with
                    | Accepted range -> Ok range
                    | Refused reason -> Error reason

                Expect.equal (range 10000L 0L 0L) (Ok(ByteRange.create 0L 10000L)) "all"
                Expect.equal (range 10000L 4096L 0L) (Ok(ByteRange.create 4096L 5904L)) "the rest"
                Expect.equal (range 10000L 4096L 100L) (Ok(ByteRange.create 4096L 100L)) "a part"
                Expect.equal (range 0L 0L 0L) (Error FileIsEmpty) "empty"
                Expect.equal (range 10000L 100L 0L) (Error(OffsetNotAligned(100L, 4096L))) "unaligned"
                Expect.equal (range 10000L -4096L 0L) (Error(OffsetNotAligned(-4096L, 4096L))) "negative"
                Expect.equal (range 10000L 0L -1L) (Error(LengthNotPositive -1L)) "negative length"
                Expect.equal (range 10000L 0L 10001L) (Error(OutsideFile(0L, 10001L, 10000L))) "too long"
                Expect.equal (range 8192L 8192L 0L) (Error(OutsideFile(8192L, 0L, 8192L))) "nothing left"

                Expect.equal
                    (range 10000L 4096L System.Int64.MaxValue)
                    (Error(OutsideFile(4096L, System.Int64.MaxValue, 10000L)))
                    "overflow"

            testCase "places large mappings for huge pages"
            <| fun () ->
                let alignment = Mapping.alignmentFor 4096L
                Expect.equal (alignment 4096L) 4096L "page"
                Expect.equal (alignment ((2L <<< 20) - 1L)) 4096L "just under 2 MiB"
                Expect.equal (alignment (2L <<< 20)) (2L <<< 20) "2 MiB"
                Expect.equal (alignment (1L <<< 30)) (1L <<< 30) "1 GiB"
        ]
