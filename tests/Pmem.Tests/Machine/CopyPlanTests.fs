/// The decisions about copies, for every platform.
module Pmem.Tests.CopyPlanTests

open System
open System.Collections.Generic
open Expecto
open Pmem
open Pmem.Tests.Generators

/// An x86-64 machine with these vectors and this environment.
let platformWith vectorBits (environment: (string * string) list) =
    let facts =
        { (Platform.x64 Clwb).Facts with
            VectorBits = vectorBits
            Environment = Dictionary(dict environment)
        }

    match Platform.Decide facts with
    | Ok platform -> platform
    | Error reason -> failwith (string reason)

let allFlags = [ for flags in 0..63 -> enum<PmemCopyOptions> flags ]

/// The rules of pmem_memmove_persist(3), word for word.
let private isExcluded isX64 (flags: PmemCopyOptions) =
    let has flag = flags.HasFlag flag

    (has PmemCopyOptions.NonTemporal && has PmemCopyOptions.Temporal)
    || (has PmemCopyOptions.WriteCombining && has PmemCopyOptions.WriteBack)
    || (isX64
        && has PmemCopyOptions.NoFlush
        && (has PmemCopyOptions.NonTemporal || has PmemCopyOptions.WriteCombining))

/// The sets of flags that a copy on x86-64 may be given.
let goodFlags = List.filter (isExcluded true >> not) allFlags

let private decide platform granularity flags =
    match CopyPlan.decide platform granularity flags with
    | Ok plan -> plan
    | Error reason -> failwith (string reason)

let private lineGranularity = StoreGranularity.CacheLine

let private threshold vectorBits environment flags =
    (decide (platformWith vectorBits environment) lineGranularity flags).NonTemporalFromBytes

let private hints =
    [
        PmemCopyOptions.None
        PmemCopyOptions.NonTemporal
        PmemCopyOptions.Temporal
        PmemCopyOptions.WriteCombining
        PmemCopyOptions.WriteBack
    ]

let tests =
    testList
        "copy plans"
        [
            testCase "the values are libpmem's" (fun () ->
                [
                    PmemCopyOptions.NoDrain
                    PmemCopyOptions.NonTemporal
                    PmemCopyOptions.Temporal
                    PmemCopyOptions.WriteCombining
                    PmemCopyOptions.WriteBack
                    PmemCopyOptions.NoFlush
                ]
                |> List.iteri (fun bit flag -> Expect.equal (int flag) (1 <<< bit) (string flag)))

            property "what libpmem's manual excludes is refused, and nothing else" (fun platform granularity ->
                for flags in allFlags do
                    let isX64 = platform.Facts.Architecture = Runtime.InteropServices.Architecture.X64

                    match CopyPlan.decide platform granularity flags with
                    | Ok _ -> Expect.isFalse (isExcluded isX64 flags) (string flags)
                    | Error(Contradiction(first, second)) ->
                        Expect.isTrue (isExcluded isX64 flags) (string flags)
                        Expect.stringContains (string flags) first "names the flag"
                        Expect.stringContains (string flags) second "names the flag"
                    | Error other -> failtestf "%O: %O" flags other)

            testCase "unknown flags are refused" (fun () ->
                match CopyPlan.decide (Platform.x64 Clwb) lineGranularity (enum<PmemCopyOptions> 64) with
                | Error(UnknownFlags 64) -> ()
                | other -> failtestf "%A" other)

            property
                "what must follow depends on the granularity, NoFlush and NoDrain alone"
                (fun platform granularity ->
                    for hint in hints do
                        for drain in [ PmemCopyOptions.None; PmemCopyOptions.NoDrain ] do
                            let plain = decide platform granularity drain
                            let plan = decide platform granularity (hint ||| drain)

                            Expect.equal
                                (plan.WritesBack, plan.Fences, plan.SyncsPages)
                                (plain.WritesBack, plain.Fences, plain.SyncsPages)
                                (string hint)

                            let isDurable = plan.SyncsPages || plan.Fences || drain = PmemCopyOptions.NoDrain
                            Expect.isTrue isDurable "something makes it durable"

                    let stored = decide platform granularity PmemCopyOptions.NoFlush
                    Expect.isFalse (stored.WritesBack || stored.Fences || stored.SyncsPages) "NoFlush implies NoDrain"
                    Expect.equal stored.NonTemporalFromBytes Int64.MaxValue "and stores through the cache")

            property "past the cache only on x86-64, and never where msync follows" (fun platform granularity ->
                for flags in goodFlags do
                    match CopyPlan.decide platform granularity flags with
                    | Ok plan when plan.NonTemporalFromBytes <> Int64.MaxValue ->
                        Expect.equal
                            platform.Facts.Architecture
                            Runtime.InteropServices.Architecture.X64
                            "architecture"

                        Expect.isFalse plan.SyncsPages "msync"
                        Expect.isTrue (plan.MixedNonTemporalFromBytes >= plan.NonTemporalFromBytes) "overlap"
                    | _ -> ())

            testCase "the threshold, and what the environment makes of it" (fun () ->
                let none, never = PmemCopyOptions.None, Int64.MaxValue
                Expect.equal (threshold 512 [] none) 64L "one line"
                Expect.equal (threshold 512 [ "PMEM_MOVNT_THRESHOLD", "1000" ] none) 1000L "as set"
                Expect.equal (threshold 512 [ "PMEM_MOVNT_THRESHOLD", "0" ] none) 0L "always"

                Expect.equal
                    (threshold 512 [ "PMEM_MOVNT_THRESHOLD", "-15" ] none)
                    (threshold 512 [] none)
                    "negative: as unset"

                Expect.equal
                    (threshold 512 [ "PMEM_MOVNT_THRESHOLD", "1000" ] PmemCopyOptions.NonTemporal)
                    0L
                    "a flag wins"

                Expect.equal (threshold 512 [ "PMEM_NO_MOVNT", "1" ] none) never "forbidden"

                Expect.equal
                    (threshold 512 [ "PMEM_NO_MOVNT", "1" ] PmemCopyOptions.NonTemporal)
                    never
                    "forbidden to flags too"

                Expect.equal (threshold 512 [] PmemCopyOptions.Temporal) never "temporal"
                Expect.equal (threshold 512 [] PmemCopyOptions.WriteBack) never "write-back"
                Expect.equal (threshold 512 [] PmemCopyOptions.WriteCombining) 0L "write-combining"
                Expect.equal (threshold 0 [] PmemCopyOptions.NonTemporal) never "no vectors")

            testCase "a copy of as many bytes as the threshold goes past the cache, a shorter one does not" (fun () ->
                let plan = decide (platformWith 512 []) lineGranularity PmemCopyOptions.None
                let around from = [ for by in -1L .. 1L -> from + by ]

                Expect.equal
                    (around CopyPlan.DefaultThresholdBytes |> List.map plan.IsNonTemporal)
                    [ false; true; true ]
                    "whole lines"

                Expect.equal
                    (around CopyPlan.DefaultMixedThresholdBytes |> List.map plan.IsNonTemporalMixed)
                    [ false; true; true ]
                    "and others")

            testCase "the vector width is the machine's, or less where that is forced" (fun () ->
                let bits facts forced =
                    (decide (platformWith facts forced) lineGranularity PmemCopyOptions.None).VectorBits

                Expect.equal (bits 512 []) 512 "all"
                Expect.equal (bits 512 [ "PMEM_VECTOR_BITS", "128" ]) 128 "less"
                Expect.equal (bits 256 [ "PMEM_VECTOR_BITS", "512" ]) 256 "no more than there is")

            testCase "with eADR short copies stay in the cache" (fun () ->
                let plan = decide (platformWith 512 []) StoreGranularity.Byte PmemCopyOptions.None
                Expect.equal plan.NonTemporalFromBytes CopyPlan.AutoFlushThresholdBytes "threshold"
                Expect.isFalse plan.WritesBack "no write-back"
                Expect.isTrue plan.Fences "a fence")

            testCase "a plan says what it does" (fun () ->
                let text granularity flags =
                    string (decide (Platform.x64 Clwb) granularity flags)

                Expect.equal
                    (text lineGranularity PmemCopyOptions.None)
                    "past the cache from 64 bytes on, write-back, fence"
                    "all"

                Expect.equal (text lineGranularity PmemCopyOptions.NoFlush) "through the cache" "only stored"
                Expect.equal (text StoreGranularity.Page PmemCopyOptions.NoDrain) "through the cache, msync" "page")
        ]
