/// What the compiler makes of the hot path, and where its data lies.
module Pmem.Tests.HotPathTests

open System
open System.IO
open System.Runtime.InteropServices
open System.Text.RegularExpressions
open Expecto
open Pmem
open Pmem.Testing

/// Whatever a collection moves, no other object comes nearer to the slot than the empty space around it.
let private slots () =
    let slot = InFlight.Enter 4711L

    try
        let struct (before, after, value) = SlotPlace.Of slot
        Expect.equal value 4711L "it is the slot that is looked at"
        Expect.isGreaterThanOrEqual before (int CacheLine.SizeBytes) "bytes before it"
        Expect.isGreaterThanOrEqual after (int CacheLine.SizeBytes) "bytes after it"
    finally
        slot.Leave()

/// The listings of the methods of one name, from their heads on.
let private methodsOf (name: string) (listings: string) =
    listings.Split "; Assembly listing for method "
    |> Array.filter (fun listing -> Regex.IsMatch(listing, $@"^[^\n]*:{name}[(\[]"))

let private matches pattern (text: string) = Regex.Matches(text, pattern).Count

let private storesPastTheCache () =
    Harness.inDirectory (fun directory ->
        let listings = Path.Combine(directory, "listings")

        let outcome =
            Child.run
                "copy-lines"
                [ Path.Combine(directory, "f") ]
                [
                    "PMEM_IS_PMEM_FORCE", "1"
                    "DOTNET_TieredCompilation", "0"
                    "DOTNET_JitDisasm", "CopyLines FillLines Fence"
                    "DOTNET_JitStdOutFile", listings
                ]

        Expect.equal outcome.ExitCode 0 outcome.Error
        let text = File.ReadAllText listings

        for name in [ "CopyLines"; "FillLines" ] do
            match methodsOf name text with
            | [||] -> failtest $"no listing of {name}: {text.Length} characters"
            | listings ->
                let listing = String.concat "\n" listings

                let vector =
                    if VectorWidth.Widest = 512 then "zmm"
                    elif VectorWidth.Widest = 256 then "ymm"
                    else "xmm"

                Expect.isGreaterThan
                    (matches $@"v?movntdq\s+\w+ ptr \[.*\], {vector}\d" listing)
                    0
                    $"{name} stores past the cache"

                Expect.equal
                    (matches @"v?mov(ups|upd|dqu|dqa|aps|dqu8)\s+[xyz]mmword ptr \[r(?!bp|sp).*\], [xyz]mm" listing)
                    0
                    $"{name} stores nothing through it:\n{listing}"

                let last = listing.LastIndexOf("movntdq", StringComparison.Ordinal)

                Expect.isTrue
                    (name = "FillLines"
                     || listing.IndexOf("sfence", last, StringComparison.Ordinal) > 0)
                    $"{name} fences behind its last store:\n{listing}")

let tests =
    testList
        "hot path"
        [
            testCase "the slots of two threads are on different cache lines" slots
            Harness.needing
                "x86-64"
                (fun () -> RuntimeInformation.ProcessArchitecture = Architecture.X64)
                "whole lines are stored past the cache, then fenced"
                storesPastTheCache
        ]
