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
    match Platform.Decide { facts with Environment = environmentOf pairs } with
    | Ok platform -> platform
    | Error reason -> failtest (string reason)

let private refused name value =
    match PmemEnvironment.Parse(environmentOf [ name, value ]) with
    | Error(BadEnvironment(variable, found, expected)) -> variable = name && found = value && expected.Length > 0
    | _ -> false

let private mapped kind domain platform =
    MappingInfo.Decide
        {
            Path = "f"
            FileRange = ByteRange.create 0L 4096L
            Kind = kind
            IsReadOnly = false
            PersistenceDomain = domain
            Platform = platform
        }

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
                match Platform.Decide facts with
                | Error _ -> false
                | Ok platform ->
                    match platform.WriteBack with
                    | Clwb -> facts.HasClwb && not (isOn facts "PMEM_NO_CLWB")
                    | ClflushOpt -> facts.HasClflushOpt && not (isOn facts "PMEM_NO_CLFLUSHOPT")
                    | Clflush -> facts.HasClflush
                    | DcCvap -> facts.HasDcCvap && facts.Architecture = Architecture.Arm64
                    | DcCvadp -> false
                    | NoWriteBack -> true)

            property
                "leaves out a flush only of memory whose own region flushes its caches, or where it was told to"
                (fun (facts: PlatformFacts) ->
                    match Platform.Decide facts with
                    | Error _ -> false
                    | Ok platform ->
                        let all =
                            facts.PersistenceDomains.Count > 0
                            && Seq.forall ((=) "cpu_cache") facts.PersistenceDomains

                        let isElided domain =
                            match facts.Environment.TryGetValue "PMEM_NO_FLUSH" with
                            | true, "1" -> true
                            | true, _ -> false
                            | _ -> domain = "cpu_cache"

                        let domains = "" :: List.ofSeq facts.PersistenceDomains

                        platform.HasAutoFlush = all
                        && domains
                           |> List.forall (fun domain -> platform.ElidesFlush domain = isElided domain)
                        && platform.CanElideFlush = List.exists isElided domains)

            property "decides nothing without machine code" (fun (facts: PlatformFacts) ->
                match Platform.Decide { facts with CanRunMachineCode = false } with
                | Ok platform -> platform.WriteBack = NoWriteBack && platform.Describe().Contains "msync"
                | Error _ -> false)

            property "maps as persistent memory only what is, or was forced" (fun (platform: Platform) ->
                List.allPairs [ FileDax; DeviceDax; PageCache ] [ ""; "cpu_cache"; "memory_controller" ]
                |> List.forall (fun (kind, domain) ->
                    match mapped kind domain platform with
                    | Ok mapping ->
                        mapping.IsPmem = (mapping.Granularity <> StoreGranularity.Page)
                        && (kind <> PageCache || not mapping.IsPmem)
                        && (mapping.Granularity <> StoreGranularity.CacheLine
                            || platform.WriteBack <> NoWriteBack)
                        && mapping.IsFlushElided = (mapping.IsPmem && platform.ElidesFlush domain)
                    | Error(NoWayToPersist _) ->
                        kind = DeviceDax
                        && platform.WriteBack = NoWriteBack
                        && not (platform.ElidesFlush domain)
                    | Error _ -> false))

            testCase "a DAX device has no page cache to sync, whatever the environment says"
            <| fun () ->
                match mapped DeviceDax "" (decided everything [ "PMEM_IS_PMEM_FORCE", "0" ]) with
                | Error(NoWayToPersist _) -> ()
                | other -> failtestf "%O" other

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

                let elides facts pairs domain =
                    (decided facts pairs).ElidesFlush domain

                Expect.isTrue (elides eadr [] "cpu_cache") "eADR"
                Expect.isFalse (elides eadr [] "") "memory in no region, as of CXL"
                Expect.isFalse (elides eadr [] "memory_controller") "another region"
                Expect.isFalse (elides eadr [ "PMEM_NO_FLUSH", "0" ] "cpu_cache") "forced to flush"
                Expect.isTrue (decided eadr [ "PMEM_NO_FLUSH", "0" ]).HasAutoFlush "still eADR"
                Expect.isTrue (elides everything [ "PMEM_NO_FLUSH", "1" ] "") "forced not to"

            testCase "decides for the region that holds a file, not for all"
            <| fun () ->
                let mixed =
                    { everything with PersistenceDomains = [| "cpu_cache"; "memory_controller" |] }

                let granularity domain =
                    mapped FileDax domain (decided mixed [])
                    |> Result.map (fun info -> info.Granularity)

                Expect.equal (granularity "cpu_cache") (Ok StoreGranularity.Byte) "its caches are flushed"
                Expect.equal (granularity "memory_controller") (Ok StoreGranularity.CacheLine) "its are not"
                Expect.equal (granularity "") (Ok StoreGranularity.CacheLine) "no region"
                Expect.isFalse (decided mixed []).HasAutoFlush "the platform as a whole has no auto-flush"

            testCase "reads good values of the environment"
            <| fun () ->
                match
                    PmemEnvironment.Parse(
                        environmentOf
                            [
                                "PMEM_IS_PMEM_FORCE", "1"
                                "PMEM_MOVNT_THRESHOLD", "0"
                                "PMEM_MMAP_HINT", "0x10000000000"
                                "PMEM_VECTOR_BITS", "512"
                            ]
                    )
                with
                | Ok environment ->
                    Expect.equal environment.IsPmemForce Setting.On "force"
                    Expect.equal environment.MovntThresholdBytes 0L "threshold"
                    Expect.equal environment.MmapHint 0x10000000000L "hint"
                    Expect.equal environment.VectorBits 512 "vectors"
                    Expect.equal environment.NoClwb Setting.Unset "unset"
                | Error reason -> failtest (string reason)

            testCase "refuses every bad value of the environment, with its name"
            <| fun () ->
                for name in PmemEnvironment.Variables do
                    for value in [ ""; " 1"; "yes"; "1.5"; "0x"; "99999999999999999999999" ] do
                        Expect.isTrue (refused name value) $"{name}={value}"

                    Expect.equal (refused name "-1") (name <> "PMEM_MOVNT_THRESHOLD") $"{name}=-1"

                for value in [ "2"; "01"; "00"; "+1"; " 1"; "1 "; "yes" ] do
                    Expect.isTrue (refused "PMEM_NO_CLWB" value) value

                Expect.isTrue (refused "PMEM_MMAP_HINT" "0x10000000001") "not a page"
                Expect.isTrue (refused "PMEM_VECTOR_BITS" "64") "no such vector"

            testCase "passes over a negative PMEM_MOVNT_THRESHOLD, as libpmem"
            <| fun () ->
                for value in [ "-1"; "-15"; string System.Int64.MinValue ] do
                    let environment = (decided everything [ "PMEM_MOVNT_THRESHOLD", value ]).Environment
                    Expect.equal environment.MovntThresholdBytes -1L value

            testCase "refuses a geometry that cannot be"
            <| fun () ->
                let isRefused facts =
                    match Platform.Decide facts with
                    | Error(BadGeometry _) -> true
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
                    MappingPlan.RangeOfFile(4096L, 4096L, file, offset, length)

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

            testCase "refuses what is no whole number of units, and says whether offset or length"
            <| fun () ->
                let range offset length =
                    MappingPlan.RangeOfFile(4096L, 2L <<< 20, 8L <<< 20, offset, length)

                Expect.equal (range 0L 4096L) (Error(LengthNotAligned(4096L, 2L <<< 20))) "length"
                Expect.equal (range 4096L 0L) (Error(OffsetNotAligned(4096L, 2L <<< 20))) "offset"
                Expect.equal (range (2L <<< 20) (4L <<< 20)) (Ok(ByteRange.create (2L <<< 20) (4L <<< 20))) "both whole"
                Expect.stringContains (string (LengthNotAligned(4096L, 2L <<< 20))) "The length 4096" "words"

            testCase "says that an offset lies behind the end, and names no negative length"
            <| fun () ->
                let message file offset length =
                    match MappingPlan.RangeOfFile(4096L, 4096L, file, offset, length) with
                    | Ok range -> failtest (string range)
                    | Error refusal -> string refusal

                for offset, length in [ 12288L, 0L; 12288L, 100L; 8192L, 0L; 8192L, 8192L ] do
                    Expect.stringContains
                        (message 8192L offset length)
                        $"The offset {offset} is not before the end of the file, which has 8192 bytes"
                        "offset"

                Expect.stringContains (message 8192L 4096L 8192L) "The range of 8192 bytes at offset 4096" "range"

                Expect.equal
                    (message 8192L 0L -4096L)
                    "A negative length was asked for; it must be at least 1."
                    "negative"

            testCase "names both lengths where a file would be shortened"
            <| fun () ->
                for refusal, words in
                    [
                        WouldShorten(65536L, 4096L), [ "65536"; "4096"; "Truncate" ]
                        WouldCutMapping(65536L, 4096L), [ "65536"; "4096"; "dispose" ]
                        DoesNotApply("Exclusive", "a device"), [ "Exclusive does not apply to a device" ]
                    ] do
                    for part in words do
                        Expect.stringContains (string refusal) part "words"

            testCase "places large mappings for huge pages"
            <| fun () ->
                let alignment length =
                    MappingPlan.AlignmentFor(4096L, 4096L, length)

                Expect.equal (alignment 4096L) 4096L "page"
                Expect.equal (alignment ((2L <<< 20) - 1L)) 4096L "just under 2 MiB"
                Expect.equal (alignment (2L <<< 20)) (2L <<< 20) "2 MiB"
                Expect.equal (alignment (1L <<< 30)) (1L <<< 30) "1 GiB"
                Expect.equal (MappingPlan.AlignmentFor(4096L, 2L <<< 20, 2L <<< 20)) (2L <<< 20) "a device's own"
        ]
