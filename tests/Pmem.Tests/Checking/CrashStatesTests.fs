/// The enumerator of crash states against one that shares nothing with it: every subset of the stored words, kept where
/// the rules of the model, written as they are read, allow it.
module Pmem.Tests.CrashStatesTests

open System
open Expecto
open Pmem
open Pmem.Tests.CrashGenerators

let private image = Array.zeroCreate<byte> sizeBytes

let private states model events =
    CrashStates.enumerate model image events
    |> List.map (fun (state: byte[]) -> Convert.ToHexString state)

let private agree model (SmallTrace events) =
    let found = states model events

    let expected =
        CrashOracle.states model image events |> List.map Convert.ToHexString |> set

    Expect.equal (List.length found) (Set.count (set found)) "each state once"

    if set found <> expected then
        failtestf
            "%d states found that are impossible, %d that are possible not found"
            (Set.count (set found - expected))
            (Set.count (expected - set found))

let private models =
    [
        PersistencyModel.X86
        PersistencyModel.Eadr
        PersistencyModel.PageCache
        PersistencyModel.Relaxed
    ]

let private property name body =
    Harness.propertyOf (Harness.cases 500 10000) name [ typeof<CrashArbitraries> ] body

let private few name body =
    Harness.propertyOf (Harness.cases 500 2000) name [ typeof<CrashArbitraries> ] body

let private isSubset (smaller: string list) (larger: string list) = Set.isSubset (set smaller) (set larger)

let tests =
    testList
        "crash states"
        [
            for model in models do
                property $"{model} agrees with every subset of the stores that the rules allow" (agree model)

            few "what X86 allows, Relaxed allows" (fun (SmallTrace events) ->
                isSubset (states PersistencyModel.X86 events) (states PersistencyModel.Relaxed events))

            few "what Eadr allows, X86 and Relaxed allow" (fun (SmallTrace events) ->
                let eadr = states PersistencyModel.Eadr events

                isSubset eadr (states PersistencyModel.X86 events)
                && isSubset eadr (states PersistencyModel.Relaxed events))

            few "an instruction more allows no state more" (fun (SmallTrace events) ->
                let isStore event = wordCount event > 0

                models
                |> List.forall (fun model ->
                    isSubset (states model events) (states model (List.filter isStore events))))

            testCase "stores that go back and forth are listed as the contents that they leave" (fun () ->
                let stores =
                    [
                        for line in 0L .. 8L do
                            for value in [ 1uy; 0uy; 1uy; 0uy ] do
                                Store(64L * line, [| value |])
                    ]

                for model in [ PersistencyModel.X86; PersistencyModel.Relaxed ] do
                    // Of 2^36 ways to them each of the 512 is looked for a few times.
                    Harness.isCheap 100L (fun () ->
                        let states = CrashStates.enumerate model (Array.zeroCreate 1024) stores
                        Expect.equal states.Length 512 $"{model}: 0 or 1 in each line"))

            property
                "the contents before and, after the stores, the contents then are states"
                (fun (SmallTrace events) ->
                    let final = Array.copy image

                    for event in events do
                        match event with
                        | Store(offset, bytes)
                        | StoreNonTemporal(offset, bytes) -> bytes.CopyTo(final, int offset)
                        | _ -> ()

                    models
                    |> List.forall (fun model ->
                        let states = set (states model events)

                        Set.contains (Convert.ToHexString image) states
                        && Set.contains (Convert.ToHexString final) states))
        ]
