/// Generators of what only these tests need; the rest are the package's, PmemArbitraries.
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

let private ranges =
    ArbMap.defaults
    |> ArbMap.mergeWith<PmemArbitraries>
    |> ArbMap.arbitrary<ByteRange list>

let private planInFileGen =
    gen {
        let! fileBytes = Gen.choose64 (1L, SpaceBytes)
        let! ranges = Gen.listOf (rangeWithin fileBytes)
        return PlanInFile(fileBytes, FlushPlan.ofRanges ranges, ranges)
    }

let private shrinkPlanInFile (PlanInFile(fileBytes, _, list)) =
    ranges.Shrinker list
    |> Seq.map (fun ranges -> PlanInFile(fileBytes, FlushPlan.ofRanges ranges, ranges))

type Arbitraries =
    static member WideRange() = Arb.fromGen (Gen.map WideRange wideGen)

    static member PlanInFile() =
        Arb.fromGenShrink (planInFileGen, shrinkPlanInFile)

let arbitraries = [ typeof<PmemArbitraries>; typeof<Arbitraries> ]

/// A property over the core's values.
let property name test =
    Harness.propertyOf (Harness.cases 300 3000) name arbitraries test
