/// Code that stores through spans, references, pointers and copies is crash-checked as it is; traces of real memory are too.
module Pmem.Tests.RecordingTests

open System
open System.Buffers.Binary
open System.IO
open Expecto
open Pmem
open Pmem.Testing

let private under (model: PersistencyModel) =
    CrashCheckOptions.Default.WithModel model

let private models =
    [
        PersistencyModel.X86
        PersistencyModel.Eadr
        PersistencyModel.PageCache
        PersistencyModel.Relaxed
    ]

/// With caches that survive nothing need be flushed; what was stored between two calls has no known order there either.
let private isHarmless (model: PersistencyModel) mistake =
    model = PersistencyModel.Eadr && mistake = LogMistake.CountNotFlushed

let private mistakes =
    Enum.GetValues<LogMistake>() |> List.ofArray |> List.except [ LogMistake.None ]

let private ofCSharp =
    [
        for model in models do
            testCase $"a log in C# that is right, {model}" (fun () ->
                let report = MappedLogChecks.Check(model, LogMistake.None, 5)
                Expect.equal report.Verdict CrashVerdict.Consistent (string report))

            for mistake in mistakes do
                testCase $"a log in C#, {mistake}, {model}" (fun () ->
                    let report = MappedLogChecks.Check(model, mistake, 5)

                    if isHarmless model mistake then
                        Expect.equal report.Verdict CrashVerdict.Consistent (string report)
                    else
                        Expect.equal report.Verdict CrashVerdict.Inconsistent (string report)
                        Expect.stringContains (string report) "MappedLog.cs:" "the lines of the calls")
    ]

/// A pair of words that are to change together, the commit word first or last.
let private pair commitsFirst (map: PmemMapping) =
    let commit () =
        map.Ref<int64>(0L) <- 1L
        map.Persist(0L, 8L)

    if commitsFirst then
        commit ()

    BinaryPrimitives.WriteInt64LittleEndian(map.GetSpan(64L, 8), 7L)
    map.Persist(64L, 8L)

    if not commitsFirst then
        commit ()

    map.Acknowledge 1L

let private checkPair model commitsFirst =
    MappedCrashCheck.Run(
        under model,
        Array.zeroCreate 128,
        pair commitsFirst,
        fun map promised ->
            let isCommitted = map.Read<int64> 0L = 1L

            (isCommitted || promised.Count = 0)
            && (not isCommitted || map.Read<int64> 64L = 7L)
    )

/// Recovery that mends: a redo word at 64 is copied to 0, and then cleared. The clearing may not be durable first.
let private checkRedo clearsFirst =
    let clear (map: PmemMapping) =
        map.Ref<int64>(64L) <- 0L
        map.Persist(64L, 8L)

    let recover (map: PmemMapping) =
        let redo = map.Read<int64> 64L

        if redo <> 0L then
            if clearsFirst then
                clear map

            map.Ref<int64>(0L) <- redo
            map.Persist(0L, 8L)
            clear map

    MappedCrashCheck.Run(
        under PersistencyModel.X86,
        Array.zeroCreate 128,
        (fun map ->
            map.Ref<int64>(64L) <- 5L
            map.Persist(64L, 8L)
            map.Acknowledge 1L),
        fun map promised ->
            recover map
            promised.Count = 0 || map.Read<int64> 0L = 5L
    )

let private recorded model (act: PmemMapping -> unit) =
    [
        for recorded in MappedCrashCheck.Record(model, Array.zeroCreate 4096, act).Events -> string recorded.Event
    ]

let private ofFSharp =
    [
        for model in models do
            testCase $"a pair in F#, {model}" (fun () ->
                let right, wrong = checkPair model false, checkPair model true
                Expect.equal right.Verdict CrashVerdict.Consistent (string right)
                Expect.equal wrong.Verdict CrashVerdict.Inconsistent (string wrong)
                Expect.stringContains (string wrong) "RecordingTests.fs:" "the lines of the calls")

        testCase "recovery is crashed too"
        <| fun () ->
            let right, wrong = checkRedo false, checkRedo true
            Expect.equal right.Verdict CrashVerdict.Consistent (string right)
            Expect.equal wrong.Verdict CrashVerdict.Inconsistent (string wrong)
            Expect.isGreaterThan wrong.Counterexample.Crashes.Count 1 "a crash of recovery"

        testCase "on several threads each has a mapping of its own"
        <| fun () ->
            let workload (map: PmemMapping) =
                for i in 1L .. 20L do
                    map.Ref<int64>(64L * i) <- i
                    map.Persist(64L * i, 8L)
                    map.Ref<int64>(0L) <- i
                    map.Persist(0L, 8L)
                    map.Acknowledge i

            // Recovery changes what it is given, so that two of them in one mapping would see each other.
            let recovery (map: PmemMapping) (promised: System.Collections.Generic.IReadOnlyList<int64>) =
                let count = map.Read<int64> 0L

                let isRight =
                    Seq.forall (fun i -> map.Read<int64>(64L * i) = i) (seq { 1L .. count })

                map.Span.Fill 255uy
                isRight && int64 promised.Count <= count

            let run threads =
                let options =
                    (under PersistencyModel.X86).WithThreads(threads).WithRecoveryCrashes(0)

                string (MappedCrashCheck.Run(options, Array.zeroCreate 2048, workload, recovery))

            Expect.stringStarts (run 1) "Consistent, exhaustively" "right"
            Expect.equal (run 3) (run 1) "the same"

        testCase "what was stored between two calls has no order: words of a line neither"
        <| fun () ->
            let report =
                MappedCrashCheck.Run(
                    under PersistencyModel.X86,
                    Array.zeroCreate 64,
                    (fun map ->
                        map.Ref<int64>(0L) <- 1L
                        map.Ref<int64>(8L) <- 1L),
                    fun map _ -> map.Read<int64> 8L <= map.Read<int64> 0L
                )

            Expect.equal report.Verdict CrashVerdict.Inconsistent "a superset of what this machine can leave"
    ]

let private ofTraces =
    [
        testCase "what is told: the words that changed, a line at a time, and then the call"
        <| fun () ->
            let events =
                recorded PersistencyModel.X86 (fun map ->
                    map.Span[70] <- 1uy
                    map.Ref<int64>(0L) <- 2L
                    map.Persist(0L, 8L)
                    map.Write(128L, ReadOnlySpan(Array.create 64 3uy), PmemCopyOptions.NonTemporal)
                    map.Acknowledge 9L)

            Expect.sequenceEqual
                (events |> List.map (fun event -> event.Split(" =")[0]))
                [
                    "store 0+8"
                    "store 64+8"
                    "CLWB 0+64"
                    "fence"
                    "non-temporal store 128+64"
                    "fence"
                    "acknowledge 9"
                ]
                "events"

        testCase "a store past the cache needs its drain with eADR too"
        <| fun () ->
            let check options =
                MappedCrashCheck.Run(
                    under PersistencyModel.Eadr,
                    Array.zeroCreate 64,
                    (fun map ->
                        map.Write(0L, ReadOnlySpan(Array.create 64 1uy), options)
                        map.Acknowledge 1L),
                    fun map promised -> promised.Count = 0 || map.Read<byte> 0L = 1uy
                )

            let drained = check PmemCopyOptions.NonTemporal
            Expect.equal drained.Verdict CrashVerdict.Consistent (string drained)
            let pending = check (PmemCopyOptions.NonTemporal ||| PmemCopyOptions.NoDrain)
            Expect.equal pending.Verdict CrashVerdict.Inconsistent (string pending)

        testCase "a trace is saved, linted and drawn"
        <| fun () ->
            let saved =
                MappedCrashCheck.Record(PersistencyModel.X86, Array.zeroCreate 128, pair true)

            let events = saved.Events
            Expect.sequenceEqual (PersistTrace.Parse(saved.ToLines())).Events events "read back"
            Expect.isEmpty (PersistLint.Check(PersistencyModel.X86, events)) "all is flushed"
            Expect.stringContains (PictureExtensions.ToSvg(events, PersistencyModel.X86)) "<svg" "a picture"
    ]

let private refuses<'E when 'E :> exn> (act: unit -> CrashReport) =
    let error = Expect.throwsC (fun () -> act () |> ignore) id
    Expect.isTrue (error :? 'E) (string error)

let private ofErrors =
    [
        testCase "an asynchronous workload is refused"
        <| fun () -> refuses<InvalidOperationException> MappedLogChecks.Asynchronous

        testCase "no image and no workload are refused"
        <| fun () ->
            let run length (act: PmemMapping -> unit) () =
                MappedCrashCheck.Run(under PersistencyModel.X86, Array.zeroCreate length, act, (fun _ _ -> true))

            refuses<ArgumentException>(run 0 ignore)
            refuses<ArgumentException>(run 64 ignore)

        testCase "a range outside of the mapping is refused, and a range inside is not"
        <| fun () ->
            let run offset () =
                MappedCrashCheck.Run(
                    under PersistencyModel.X86,
                    Array.zeroCreate 64,
                    (fun map -> map.Write(offset, 1L)),
                    fun _ _ -> true
                )

            refuses<ArgumentOutOfRangeException>(run 57L)
            Expect.equal (run 56L ()).Verdict CrashVerdict.Consistent "inside"
    ]

let private ofRealMemory =
    [
        testCase "a trace of real memory is checked"
        <| fun () ->
            let path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName())

            try
                use memory = TracedMemory.Create(path, 4096L)
                memory.StoreInt64(0L, 1L)
                memory.Persist(0L, 8L)
                memory.Acknowledge 1L
                use mapping = PmemMapping.Open path

                let model =
                    match mapping.Granularity with
                    | StoreGranularity.Byte -> PersistencyModel.Eadr
                    | StoreGranularity.CacheLine -> PersistencyModel.X86
                    | StoreGranularity.Page -> PersistencyModel.PageCache

                let check (events: RecordedEvent seq) =
                    CrashCheck.RunTrace(
                        under model,
                        Array.zeroCreate 4096,
                        events,
                        fun crashed -> crashed.Acknowledged.Count = 0 || crashed.ReadInt64 0L = 1L
                    )

                Expect.equal (check memory.Trace).Verdict CrashVerdict.Consistent "as it happened"

                let unflushed =
                    memory.Trace |> Seq.filter (fun recorded -> not recorded.Event.IsExecute)

                if model <> PersistencyModel.Eadr then
                    Expect.equal (check unflushed).Verdict CrashVerdict.Inconsistent "without its persist"
            finally
                File.Delete path
    ]

let tests =
    testList
        "recording"
        [
            yield! ofCSharp
            yield! ofFSharp
            yield! ofTraces
            yield! ofErrors
            yield! ofRealMemory
        ]
