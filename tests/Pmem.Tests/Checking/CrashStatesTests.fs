/// The enumerator of crash states against one that shares nothing with it: every subset of the stored words, kept where
/// the rules of the model, written as they are read, allow it.
module Pmem.Tests.CrashStatesTests

open System
open System.Diagnostics
open Expecto
open Pmem
open Pmem.Tests.CrashGenerators

/// A stored word: the event, the word, its bytes (where and what), and whether it went past the cache.
type private StoredWord = { Event: int; Word: int64; At: int64; Bytes: byte[]; IsNonTemporal: bool }

let private storedWords (events: PersistEvent[]) =
    let cut event isNonTemporal (offset: int64) (bytes: byte[]) =
        Seq.indexed bytes
        |> Seq.groupBy (fun (i, _) -> (offset + int64 i) / 8L)
        |> Seq.map (fun (word, bytes) ->
            {
                Event = event
                Word = word
                At = offset + int64 (fst (Seq.head bytes))
                Bytes = bytes |> Seq.map snd |> Seq.toArray
                IsNonTemporal = isNonTemporal
            })
        |> List.ofSeq

    [
        for i in 0 .. events.Length - 1 do
            match events[i] with
            | Store(offset, bytes) -> yield! cut i false offset bytes
            | StoreNonTemporal(offset, bytes) -> yield! cut i true offset bytes
            | _ -> ()
    ]

let private unitBytes model =
    if model = PersistencyModel.PageCache then 4096L else 64L

let private isOrdered model earlier later =
    let keepsUnits = model = PersistencyModel.X86 || model = PersistencyModel.PageCache

    earlier.Event < later.Event
    && (earlier.Word = later.Word
        || (keepsUnits
            && not earlier.IsNonTemporal
            && not later.IsNonTemporal
            && earlier.At / unitBytes model = later.At / unitBytes model))

let private touches (range: ByteRange) (unit: int64) stored =
    stored.At / unit >= range.Offset / unit
    && stored.At / unit <= (range.End - 1L) / unit

/// Whether a word is surely durable once this many events have happened.
let private isSure model (events: PersistEvent[]) count stored =
    let after first test =
        seq { first + 1 .. count - 1 } |> Seq.exists test

    let isFence i =
        match events[i] with
        | Execute Fence
        | Execute(SyncPages _) -> true
        | _ -> false

    let isSynced i =
        match events[i] with
        | Execute(SyncPages range) -> touches range 4096L stored
        | _ -> false

    let isFlushed i =
        match events[i] with
        | Execute(WriteBack(Clflush, range)) -> touches range 64L stored
        | _ -> false

    let isWrittenBack i =
        match events[i] with
        | Execute(WriteBack((Clwb | ClflushOpt | DcCvap | DcCvadp), range)) -> touches range 64L stored
        | _ -> false

    let isFenced = stored.IsNonTemporal && after stored.Event isFence

    let lines =
        isFenced
        || after stored.Event isFlushed
        || after stored.Event isSynced
        || after stored.Event (fun i -> isWrittenBack i && after i isFence)

    match model with
    | PersistencyModel.PageCache -> after stored.Event isSynced
    | PersistencyModel.Eadr when not stored.IsNonTemporal -> stored.Event < count - 1
    | PersistencyModel.Eadr -> isFenced
    | _ -> lines

let private bruteForce model (image: byte[]) (events: PersistEvent[]) =
    set
        [
            for count in 0 .. events.Length do
                let stored =
                    storedWords events
                    |> List.filter (fun word -> word.Event < count)
                    |> List.toArray

                let sure = stored |> Array.map (isSure model events count)

                let below =
                    stored
                    |> Array.map (fun later ->
                        [| 0 .. stored.Length - 1 |]
                        |> Array.filter (fun i -> isOrdered model stored[i] later))

                for subset in 0 .. (1 <<< stored.Length) - 1 do
                    let isIn i = subset >>> i &&& 1 = 1

                    let isAllowed =
                        Seq.forall
                            (fun i -> if isIn i then Array.forall isIn below[i] else not sure[i])
                            (seq { 0 .. stored.Length - 1 })

                    if isAllowed then
                        let state = Array.copy image

                        for i in 0 .. stored.Length - 1 do
                            if isIn i then
                                stored[i].Bytes.CopyTo(state, int stored[i].At)

                        Convert.ToHexString state
        ]

let private image = Array.zeroCreate<byte> sizeBytes

let private states model events =
    CrashStates.enumerate model image events
    |> List.map (fun (state: byte[]) -> Convert.ToHexString state)

let private agree model (SmallTrace events) =
    let found = states model events
    let expected = bruteForce model image (List.toArray events)
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

            few "what Eadr allows, X86 allows, without CLFLUSH" (fun (SmallTrace events) ->
                // Under X86 a CLFLUSH makes a non-temporal store durable, under Eadr the fence alone does.
                let isClflush event =
                    match event with
                    | Execute(WriteBack(Clflush, _)) -> true
                    | _ -> false

                let events = List.filter (isClflush >> not) events
                isSubset (states PersistencyModel.Eadr events) (states PersistencyModel.X86 events))

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
                    let clock = Stopwatch.StartNew()
                    let states = CrashStates.enumerate model (Array.zeroCreate 1024) stores
                    Expect.equal states.Length 512 "0 or 1 in each line"
                    Expect.isLessThan clock.Elapsed (TimeSpan.FromSeconds 1.0) (string model))

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
