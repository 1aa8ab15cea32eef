module Pmem.Tests.CrashExplorationTests

open System
open System.Collections.Generic
open Expecto
open Pmem
open Pmem.Tests.CrashBugs
open Pmem.Tests.CrashGenerators

/// What the exploration must come to: recovery sees every image that the enumerator lists, and no other.
let private seesEveryState model (SmallTrace events) =
    let image = Array.zeroCreate sizeBytes
    let seen = HashSet<string>()

    let recovery (memory: CrashedMemory) =
        seen.Add(Convert.ToHexString(memory.ReadBytes(0L, sizeBytes))) |> ignore
        true

    let expected =
        CrashStates.enumerate model image events
        |> List.map (fun state -> Convert.ToHexString state)

    let trace = events |> List.map (fun event -> RecordedEvent(event, "", 0))

    events.IsEmpty
    || ((CrashCheck.runTrace (under model) image trace recovery).Verdict = CrashVerdict.Consistent
        && seen.SetEquals expected)

/// A recovery that reads byte by byte, from the end, sees the same.
let private readsInAnyOrder model (SmallTrace events) =
    let image = Array.zeroCreate sizeBytes
    let seen = HashSet<string>()

    let recovery (memory: CrashedMemory) =
        let state = Array.zeroCreate sizeBytes

        for i in [ sizeBytes - 1 .. -1 .. 4090 ] @ [ 90..-3..0 ] @ [ 89..-3..0 ] @ [ 88..-3..0 ] do
            state[i] <- memory.ReadByte(int64 i)

        seen.Add(Convert.ToHexString state) |> ignore
        true

    let expected =
        CrashStates.enumerate model image events
        |> List.map (fun state -> Convert.ToHexString state)

    let trace = events |> List.map (fun event -> RecordedEvent(event, "", 0))

    CrashCheck.runTrace (under model) image (RecordedEvent(Acknowledge 1L, "", 0) :: trace) recovery
    |> ignore

    seen.SetEquals expected

/// Two crashes: the second recovery sees what a crash of the first one's stores leaves on top of each state.
let private seesEverySecondState model (SmallTrace events) =
    let image = Array.zeroCreate sizeBytes
    let seen = HashSet<string>()
    let second = [ Store(0L, Array.create 8 201uy); Store(4104L, Array.create 8 202uy) ]

    let recovery (memory: CrashedMemory) =
        memory.Store(0L, ReadOnlySpan(Array.create 8 201uy))
        memory.Store(4104L, ReadOnlySpan(Array.create 8 202uy))

        // The second recovery is told from the first by the promise that the first one gives.
        if memory.Acknowledged.Count = 0 then
            memory.Acknowledge 1L

        true

    let spy (memory: CrashedMemory) =
        let before =
            if memory.Acknowledged.Count > 0 then memory.ReadBytes(0L, sizeBytes) else [||]

        let result = recovery memory

        if before.Length > 0 then
            seen.Add(Convert.ToHexString before) |> ignore

        result

    let expected =
        CrashStates.enumerate model image events
        |> List.collect (fun state ->
            // With the promise given, both stores have begun.
            CrashStates.enumerate model state second)
        |> List.map (fun state -> Convert.ToHexString state)
        |> set

    let trace = events |> List.map (fun event -> RecordedEvent(event, "", 0))

    if events.IsEmpty then
        true
    else
        let report = CrashCheck.runTrace (under model) image trace spy

        report.Verdict = CrashVerdict.Consistent
        && (if model = PersistencyModel.Eadr then
                Set.isSubset (set seen) expected
            else
                set seen = expected)

/// A recovery that rejects states by a hash of them: found wrong exactly where a state is rejected, and what is shown is
/// such a state, and one that the shown events can leave.
let private showsRejectedState model (SmallTrace events) =
    let image = Array.zeroCreate sizeBytes

    let accepts (state: byte[]) =
        Array.fold (fun sum value -> sum * 31 + int value) 7 state % 3 <> 0

    let recovery (memory: CrashedMemory) =
        accepts (memory.ReadBytes(0L, sizeBytes))

    let trace = events |> List.map (fun event -> RecordedEvent(event, "", 0))

    if events.IsEmpty then
        true
    else
        let report = CrashCheck.runTrace (under model) image trace recovery

        if CrashStates.enumerate model image events |> List.forall accepts then
            report.Verdict = CrashVerdict.Consistent
        else
            let found = report.Counterexample
            let kept = [ for recorded in found.Events -> recorded.Event ]
            let rest = Array.copy image

            for store in found.Durable do
                store.Bytes.Span.CopyTo(rest.AsSpan(int store.Range.Offset))

            not (accepts (found.ToImage()))
            && rest = found.ToImage()
            && List.contains (found.ToImage()) (CrashStates.enumerate model image kept)
            && List.forall (fun event -> List.contains event events) kept

/// A recovery that stores, then reads, and goes on to store where it read 1: the crash after the first store with 0 read is
/// the end of one run and in the middle of another.
let private storesThenReads flag next mustHold (memory: CrashedMemory) =
    if memory.ReadInt64 flag = 1L then
        mustHold memory
    else
        memory.StoreInt64(flag, 1L)

        if memory.ReadInt64 0L = 1L then
            memory.StoreInt64(next, 5L)

        true

let private promisesOne (memory: RecordedMemory) =
    memory.StoreInt64(0L, 1L)
    memory.Acknowledge 1L

let private endOfRecovery =
    testList
        "the end of a recovery that goes on elsewhere is a crash point"
        [
            for model in models do
                for flag, next in [ 64L, 128L; 4096L, 4160L ] do
                    let explore recovery =
                        CrashCheck.run (under model) (Array.zeroCreate 8192) promisesOne recovery

                    testCase $"{model}: what was read as 0 is found, flag at {flag}" (fun () ->
                        let seen = HashSet<int64>()

                        let spy (memory: CrashedMemory) =
                            seen.Add(memory.ReadInt64 0L) |> ignore
                            true

                        let report = explore (storesThenReads flag next spy)
                        Expect.equal report.Verdict CrashVerdict.Consistent (string report)
                        Expect.isTrue (seen.SetEquals [ 0L; 1L ]) "both"

                        let rejecting =
                            explore (storesThenReads flag next (fun memory -> memory.ReadInt64 0L = 1L))

                        Expect.equal rejecting.Verdict CrashVerdict.Inconsistent (string rejecting))
        ]

let private property count name body =
    Harness.propertyOf count name [ typeof<CrashArbitraries> ] body

let tests =
    testList
        "crash exploration"
        [
            endOfRecovery

            for model in models do
                property
                    (Harness.cases 200 2000)
                    $"{model}: recovery sees every state, and no other"
                    (seesEveryState model)

                property
                    (Harness.cases 50 500)
                    $"{model}: recovery sees every state in whatever order it reads"
                    (readsInAnyOrder model)

                property
                    (Harness.cases 50 500)
                    $"{model}: the next recovery sees every state of a crash of recovery"
                    (seesEverySecondState model)

                property
                    (Harness.cases 200 2000)
                    $"{model}: a rejected state is found, and shown with what leads to it"
                    (showsRejectedState model)
        ]
