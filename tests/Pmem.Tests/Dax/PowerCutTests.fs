/// The two structures that tests/vm/PowerCut cuts the power of, crashed at every point instead: in memory under each
/// model, and in the trace of what the executor did with them on the memory of this machine.
module Pmem.Tests.PowerCut

open System.IO
open Expecto
open Pmem
open Pmem.PowerCut
open Pmem.Testing
open Pmem.Tests.DaxPlaces

[<Literal>]
let private SizeBytes = 4096

/// What a structure does, and whether recovery finds no less than was promised, undamaged.
type private Subject =
    {
        Name: string
        Work: IPersistentMemory -> unit
        Recovers: CrashedMemory -> bool
    }

let private promised (memory: CrashedMemory) = memory.Acknowledged |> Seq.fold max 0L

let private log =
    {
        Name = "log"
        Work =
            fun memory ->
                let log = AppendLog memory
                log.Format()

                for number in 1L .. 3L do
                    log.Append(number, Workload.payload number)
        Recovers =
            fun memory ->
                let log = AppendLog memory

                if log.IsFormatted then
                    Workload.recoverLog log >= promised memory
                else
                    promised memory = 0L
    }

let private pair =
    {
        Name = "pair"
        Work =
            fun memory ->
                let pair = RedoPair memory

                for number in 1L .. 3L do
                    pair.Update(number, number, Workload.partner number)
        Recovers = fun memory -> Workload.recoverPair (RedoPair memory) >= promised memory
    }

let private isConsistent (report: CrashReport) =
    Expect.equal report.Verdict CrashVerdict.Consistent (string report)

let private models =
    [
        PersistencyModel.X86
        PersistencyModel.Eadr
        PersistencyModel.PageCache
        PersistencyModel.Relaxed
    ]

let private inMemory subject =
    testList
        subject.Name
        [
            for model in models ->
                testCase $"survives every crash under {model}"
                <| fun () ->
                    let options = CrashCheckOptions.Default.WithModel model

                    CrashCheck.run
                        options
                        (Array.zeroCreate SizeBytes)
                        (fun memory -> subject.Work memory)
                        subject.Recovers
                    |> isConsistent
        ]

/// What happened when the subject worked on a mapping here.
let private traceOn (observed: Observed) subject =
    let memory = observed.Traced()
    subject.Work memory
    List.ofSeq memory.Trace

let private modelOf granularity =
    match granularity with
    | StoreGranularity.Byte -> PersistencyModel.Eadr
    | StoreGranularity.CacheLine -> PersistencyModel.X86
    | StoreGranularity.Page -> PersistencyModel.PageCache

let private judged (observed: Observed) subject trace =
    let options =
        CrashCheckOptions.Default.WithModel(modelOf observed.Mapping.Granularity)

    CrashCheck.RunTrace(options, Array.zeroCreate SizeBytes, trace, subject.Recovers)

/// Both structures have what they promise by in their first line: the tail, the first word.
let private isFlushOfFirstLine (recorded: RecordedEvent) =
    match recorded.Event with
    | Execute(WriteBack(_, range))
    | Execute(SyncPages range) -> range.Offset = 0L
    | _ -> false

/// A new mapping in a place, of zeros.
let private withZeros (place: Place) (test: Observed -> unit) =
    if place.IsDevice then
        use observed = Observed.Open place.Path
        observed.Mapping.GetSpan(0L, SizeBytes).Clear()
        test observed
    else
        inPlace place (fun path ->
            use observed = Observed.Create(path, SizeBytes)
            test observed)

let private onPlace subject (place: Place) =
    testList
        $"{subject.Name} on {place.Path}"
        [
            testCase "what was executed survives every crash"
            <| fun () ->
                withZeros place (fun observed -> traceOn observed subject |> judged observed subject |> isConsistent)

            if place.Granularity <> StoreGranularity.Byte then
                testCase "what was executed, less the flushes of the first line, does not"
                <| fun () ->
                    withZeros place (fun observed ->
                        let trace = traceOn observed subject |> List.filter (isFlushOfFirstLine >> not)
                        let report = judged observed subject trace
                        Expect.equal report.Verdict CrashVerdict.Inconsistent (string report))
        ]

let private places =
    match all with
    | [] -> [ { Path = Harness.directory; Granularity = StoreGranularity.Page } ]
    | places -> places

/// Sequenced, because two tests have the same device.
let tests =
    testList
        "power cut"
        [
            testList "in memory" [ inMemory log; inMemory pair ]
            testSequenced (
                testList
                    "executed"
                    [
                        for place in places do
                            onPlace log place
                            onPlace pair place
                    ]
            )
        ]
