/// Every generator and shrinker of the core's values.
module Pmem.Tests.Generators

open System
open System.Collections.Generic
open System.Runtime.InteropServices
open FsCheck
open FsCheck.FSharp
open Pmem

/// The bytes that small ranges lie in: some pages, so that lines and pages are shared, crossed and missed.
[<Literal>]
let SpaceBytes = 20_000L

/// A range anywhere in the offsets that there are, often at their very end.
type WideRange = WideRange of ByteRange

/// A file length and a plan whose ranges lie in it.
type PlanInFile = PlanInFile of fileBytes: int64 * plan: FlushPlan * ranges: ByteRange list

let private shrinkRange (range: ByteRange) =
    seq {
        for length in [ 0L; 1L; range.Length / 2L; range.Length - 1L ] do
            if 0L <= length && length < range.Length then
                ByteRange(range.Offset, length)

        for offset in [ 0L; range.Offset / 2L; range.Offset - range.Offset % 64L; range.Offset - 1L ] do
            if 0L <= offset && offset < range.Offset then
                ByteRange(offset, range.Length)
    }

let private lengthGen =
    Gen.frequency [ 1, Gen.constant 0L; 6, Gen.choose64 (1L, 200L); 2, Gen.choose64 (1L, 9000L) ]

let private rangeWithin bytes =
    gen {
        let! length = lengthGen
        let length = min length bytes
        let! offset = Gen.choose64 (0L, bytes - length)
        return ByteRange(offset, length)
    }

let private wideGen =
    gen {
        let! distance =
            Gen.oneof [ Gen.choose64 (0L, 200L); Gen.choose64 (0L, Int64.MaxValue) ]

        let offset = Int64.MaxValue - distance

        let! length =
            Gen.oneof [ Gen.choose64 (0L, min 200L distance); Gen.choose64 (0L, distance) ]

        return ByteRange(offset, length)
    }

let private x64Kinds = [ Clwb; ClflushOpt; Clflush; NoWriteBack ]
let private arm64Kinds = [ DcCvap; DcCvadp; NoWriteBack ]

let private platformGen =
    gen {
        let! architecture = Gen.elements [ Architecture.X64; Architecture.Arm64 ]

        let! kind =
            Gen.elements (if architecture = Architecture.X64 then x64Kinds else arm64Kinds)

        let! lineSizeBytes = Gen.elements [ 32L; 64L; 128L; 256L ]
        let! pageSizeBytes = Gen.elements [ 4096L; 16384L; 65536L ]

        let! domains =
            Gen.elements
                [
                    [||]
                    [| "cpu_cache" |]
                    [| "memory_controller" |]
                    [| "cpu_cache"; "unknown" |]
                ]

        let platform =
            if architecture = Architecture.X64 then
                Platform.x64 kind
            else
                Platform.arm64 kind

        let facts =
            { platform.Facts with
                LineSizeBytes = lineSizeBytes
                PageSizeBytes = pageSizeBytes
                PersistenceDomains = domains
            }

        return
            match Platform.Decide facts with
            | Ok platform -> platform
            | Error reason -> failwith (string reason)
    }

let private factsGen =
    gen {
        let! architecture =
            Gen.elements [ Architecture.X64; Architecture.Arm64; Architecture.S390x ]

        let! flags = Gen.listOfLength 6 (Gen.elements [ true; false ])

        let! domains =
            Gen.listOf (Gen.elements [ "cpu_cache"; "cpu_cache"; "memory_controller"; "unknown"; "" ])

        let! settings =
            [
                "PMEM_IS_PMEM_FORCE"
                "PMEM_NO_CLWB"
                "PMEM_NO_CLFLUSHOPT"
                "PMEM_NO_FLUSH"
                "PMEM_NO_MACHINE_CODE"
            ]
            |> List.map (fun name -> Gen.elements [ name, None; name, Some "0"; name, Some "1" ])
            |> Gen.sequenceToList

        let environment = Dictionary<string, string>()

        for name, value in settings do
            value |> Option.iter (fun value -> environment[name] <- value)

        return
            {
                Architecture = architecture
                HasClflush = flags[0]
                HasClflushOpt = flags[1]
                HasClwb = flags[2]
                HasDcCvap = flags[3]
                HasDcCvadp = flags[4]
                CanRunMachineCode = flags[5]
                LineSizeBytes = 64L
                PageSizeBytes = 4096L
                VectorBits = 256
                PersistenceDomains = List.toArray domains
                Environment = environment
            }
    }

let private shrinkRanges (ranges: ByteRange list) =
    (ArbMap.defaults |> ArbMap.arbitrary<int list>).Shrinker(List.map (fun _ -> 0) ranges)
    |> Seq.filter (fun shorter -> shorter.Length < ranges.Length)
    |> Seq.collect (fun shorter ->
        [
            List.truncate shorter.Length ranges
            List.skip (ranges.Length - shorter.Length) ranges
        ])
    |> Seq.append (
        seq {
            for i in 0 .. ranges.Length - 1 do
                for smaller in shrinkRange ranges[i] do
                    List.updateAt i smaller ranges
        }
    )

let private planInFileGen =
    gen {
        let! fileBytes = Gen.choose64 (1L, SpaceBytes)
        let! ranges = Gen.listOf (rangeWithin fileBytes)
        return PlanInFile(fileBytes, FlushPlan.ofRanges ranges, ranges)
    }

let private shrinkPlanInFile (PlanInFile(fileBytes, _, ranges)) =
    shrinkRanges ranges
    |> Seq.map (fun ranges -> PlanInFile(fileBytes, FlushPlan.ofRanges ranges, ranges))

type Arbitraries =
    static member ByteRange() =
        Arb.fromGenShrink (rangeWithin SpaceBytes, shrinkRange)

    static member Ranges() =
        Arb.fromGenShrink (Gen.listOf (rangeWithin SpaceBytes), shrinkRanges)

    static member WideRange() = Arb.fromGen (Gen.map WideRange wideGen)

    static member FlushPlan() =
        Arb.fromGenShrink (
            Gen.map FlushPlan.ofRanges (Gen.listOf (rangeWithin SpaceBytes)),
            fun plan -> FlushPlan.ranges plan |> shrinkRanges |> Seq.map FlushPlan.ofRanges
        )

    static member Platform() = Arb.fromGen platformGen

    static member PlatformFacts() = Arb.fromGen factsGen

    static member StoreGranularity() =
        Arb.fromGen (Gen.elements [ StoreGranularity.Byte; StoreGranularity.CacheLine; StoreGranularity.Page ])

    static member PlanInFile() =
        Arb.fromGenShrink (planInFileGen, shrinkPlanInFile)

let arbitraries = [ typeof<Arbitraries> ]

/// A property over the core's values.
let property name test =
    Harness.propertyOf (Harness.cases 300 3000) name arbitraries test
