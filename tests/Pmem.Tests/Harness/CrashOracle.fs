/// An oracle of crash states that shares nothing with the library: every subset of the stored words, kept where the rules of
/// the model, written as they are read, allow it; and recovery run concretely on each, crashed after each of its events.
module Pmem.Tests.CrashOracle

open System
open System.Collections.Generic
open Pmem

/// A stored word: the event, the word, its bytes (where and what), and whether it went past the cache.
type private StoredWord = { Event: int; Word: int64; At: int64; Bytes: byte[]; IsNonTemporal: bool }

let private storedWords (events: PersistEvent[]) count =
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

    [|
        for i in 0 .. count - 1 do
            match events[i] with
            | Store(offset, bytes) -> yield! cut i false offset bytes
            | StoreNonTemporal(offset, bytes) -> yield! cut i true offset bytes
            | _ -> ()
    |]

/// Where the later of two temporal stores cannot be durable without the earlier.
let private isOrdered (model: PersistencyModel) earlier later =
    let shareOrder =
        match model with
        | PersistencyModel.X86 -> earlier.At / 64L = later.At / 64L
        | PersistencyModel.Eadr -> true
        | _ -> false

    earlier.Event < later.Event
    && not earlier.IsNonTemporal
    && not later.IsNonTemporal
    && shareOrder

let private touches (range: ByteRange) (unit: int64) stored =
    not range.IsEmpty
    && stored.At / unit >= range.Offset / unit
    && stored.At / unit <= (range.End - 1L) / unit

/// Whether a word is surely durable once this many events have happened.
let private isSure (model: PersistencyModel) (events: PersistEvent[]) count stored =
    let after first test =
        seq { first + 1 .. count - 1 } |> Seq.exists test

    let isFence i =
        match events[i] with
        | Execute Fence -> true
        | Execute(SyncPages range) -> not range.IsEmpty
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

    let isPromise i = events[i].IsAcknowledge
    let after = after stored.Event

    match model with
    | PersistencyModel.PageCache -> after isSynced
    | _ when stored.IsNonTemporal -> after isFence
    | PersistencyModel.Eadr -> after (fun i -> isFence i || isFlushed i || isPromise i)
    | _ ->
        after isFlushed
        || after isSynced
        || seq { stored.Event + 1 .. count - 1 }
           |> Seq.exists (fun i -> isWrittenBack i && Seq.exists isFence (seq { i + 1 .. count - 1 }))

/// Every content of memory after a power failure once this many events have happened.
let statesAfter model (image: byte[]) (events: PersistEvent[]) count =
    let stored = storedWords events count
    let sure = stored |> Array.map (isSure model events count)

    let below =
        stored
        |> Array.map (fun later ->
            [| 0 .. stored.Length - 1 |]
            |> Array.filter (fun i -> isOrdered model stored[i] later))

    let state subset =
        let isIn i = subset >>> i &&& 1 = 1
        let state = Array.copy image

        // What a word holds is what its last durable store left: those before it are part of that.
        for i in 0 .. stored.Length - 1 do
            if Seq.exists (fun j -> isIn j && stored[j].Word = stored[i].Word) (seq { i .. stored.Length - 1 }) then
                stored[i].Bytes.CopyTo(state, int stored[i].At)

        state

    let isAllowed subset =
        let isIn i = subset >>> i &&& 1 = 1

        Seq.forall
            (fun i -> if isIn i then Array.forall isIn below[i] else not sure[i])
            (seq { 0 .. stored.Length - 1 })

    seq { 0 .. (1 <<< stored.Length) - 1 }
    |> Seq.filter isAllowed
    |> Seq.map state
    |> Seq.distinctBy Convert.ToHexString
    |> Seq.toList

/// Every content of memory after a power failure at any point.
let states model image (events: PersistEvent list) =
    let events = List.toArray events

    seq { 0 .. events.Length }
    |> Seq.collect (statesAfter model image events)
    |> Seq.distinctBy Convert.ToHexString
    |> Seq.toList

/// What memory holds after a crash, and what was promised before.
type Crashed = { Image: byte[]; Promised: int64 list }

let private promises (events: PersistEvent[]) count =
    [
        for event in Array.truncate count events do
            match event with
            | Acknowledge operation -> operation
            | _ -> ()
    ]

/// Everything that crashes of these events can leave on top of a crash before.
let crashes model (before: Crashed) (events: PersistEvent[]) =
    [
        for count in 0 .. events.Length do
            let promised = before.Promised @ promises events count

            for image in statesAfter model before.Image events count do
                { Image = image; Promised = promised }
    ]
    |> List.distinctBy (fun crashed -> Convert.ToHexString crashed.Image, crashed.Promised)

/// The crashed memories that a recovery rejects, after as many crashes of recovery as are allowed.
let rejected model crashesLeft (recovery: IPersistentMemory -> int64 list -> bool) (image: byte[]) events =
    let seen = HashSet<struct (int * string * int64 list)>()
    let found = List<Crashed>()

    let rec visit left (crashed: Crashed) =
        if seen.Add(struct (left, Convert.ToHexString crashed.Image, crashed.Promised)) then
            let memory = RecordedMemory(crashed.Image, model)

            if not (recovery memory crashed.Promised) then
                found.Add crashed
            elif left > 0 then
                let trace = [| for recorded in memory.Trace -> recorded.Event |]
                crashes model crashed trace |> List.iter (visit (left - 1))

    crashes model { Image = image; Promised = [] } events
    |> List.iter (visit crashesLeft)

    List.ofSeq found

/// Where a temporal store is sure, those before it that it cannot do without are too.
let private spreadSure model (stored: StoredWord[]) (sure: bool[]) =
    for later in 0 .. stored.Length - 1 do
        if sure[later] then
            for earlier in 0 .. later - 1 do
                if isOrdered model stored[earlier] stored[later] then
                    sure[earlier] <- true

/// What no order ties together: words, or lines, or all that was stored.
let private orderUnit (model: PersistencyModel) stored =
    match model with
    | PersistencyModel.X86 -> stored.At / 64L
    | PersistencyModel.Eadr -> 0L
    | _ -> stored.Word

/// Whether a store is durable in the order of its unit.
let private isTied (model: PersistencyModel) stored =
    not stored.IsNonTemporal
    && List.contains model [ PersistencyModel.X86; PersistencyModel.Eadr ]

/// Whether a power failure once this many events have happened can leave this content.
let canLeave model (image: byte[]) (events: PersistEvent[]) count (state: byte[]) =
    let stored = storedWords events count
    let sure = stored |> Array.map (isSure model events count)
    spreadSure model stored sure
    let indices = [| 0 .. stored.Length - 1 |]
    let touched = HashSet<int64>(stored |> Seq.map (fun stored -> stored.Word))

    let isUntouched =
        Seq.forall (fun i -> touched.Contains(int64 i / 8L) || state[i] = image[i]) (seq { 0 .. image.Length - 1 })

    /// Whether a word can be as it is where this event is the last of its unit that may be durable: of the stores that are tied all
    /// before it are, and none after it. A word is what its last durable store left, and those before that are part of it.
    let holds cut (word: int64, chain: int[]) =
        let at = int word * 8
        let bytes = Array.sub image at (min 8 (image.Length - at))

        let isAsLeft () =
            ReadOnlySpan(bytes).SequenceEqual(ReadOnlySpan(state, at, bytes.Length))

        let last =
            chain
            |> Array.tryFindIndexBack (fun i -> sure[i] || (isTied model stored[i] && stored[i].Event < cut))
            |> Option.defaultValue -1

        let mutable isFound = last = -1 && isAsLeft ()

        for place in 0 .. chain.Length - 1 do
            let piece = stored[chain[place]]
            piece.Bytes.CopyTo(bytes, int piece.At - at)
            let isOpen = not (isTied model piece) || piece.Event <= cut

            if (place = last || (place > last && isOpen)) && isAsLeft () then
                isFound <- true

        isFound

    let isPossible (unit: int[]) =
        let chains = unit |> Array.groupBy (fun i -> stored[i].Word)

        let opened = unit |> Seq.filter (fun i -> not sure[i])

        Seq.append [ -1 ] (opened |> Seq.map (fun i -> stored[i].Event))
        |> Seq.distinct
        |> Seq.exists (fun cut -> Array.forall (holds cut) chains)

    isUntouched
    && indices
       |> Array.groupBy (fun i -> orderUnit model stored[i])
       |> Array.forall (snd >> isPossible)
