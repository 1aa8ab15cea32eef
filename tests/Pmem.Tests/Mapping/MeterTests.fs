/// The meter `Pmem`: what a listener is told, and that nobody pays for one who is not there. The numbers are the process's, so
/// these tests run alone.
module Pmem.Tests.MeterTests

open System
open System.Collections.Generic
open System.Diagnostics.Metrics
open System.IO
open Expecto
open Microsoft.FSharp.NativeInterop
open Pmem
open Pmem.Testing

[<Literal>]
let private Eio = 5

/// What a listener heard: the name of the instrument, the value of its one tag or nothing, and the number.
type private Heard = { Name: string; Tag: string; Value: float }

let private tagOf (tags: ReadOnlySpan<KeyValuePair<string, obj | null>>) =
    if tags.Length = 0 then "" else string tags[0].Value

/// A listener, and what has come to it; to ask it asks the observable instruments too.
let private listening (told: Heard -> unit) (test: (unit -> unit) -> unit) =
    use listener = new MeterListener()

    listener.InstrumentPublished <-
        fun instrument listener ->
            if instrument.Meter.Name = "Pmem" then
                listener.EnableMeasurementEvents instrument

    let tell (instrument: Instrument) tag value =
        told { Name = instrument.Name; Tag = tag; Value = value }

    listener.SetMeasurementEventCallback<int64>(
        MeasurementCallback<int64>(fun instrument value tags _ -> tell instrument (tagOf tags) (float value))
    )

    listener.SetMeasurementEventCallback<float>(
        MeasurementCallback<float>(fun instrument value tags _ -> tell instrument (tagOf tags) value)
    )

    listener.Start()
    test listener.RecordObservableInstruments

/// Runs an action, and gives what each instrument heard more after it than before; of persists, how many.
let private changes (action: unit -> unit) =
    let heard = List<Heard>()
    let mutable changed = Map.empty

    listening heard.Add (fun ask ->
        let observed () =
            heard.Clear()
            ask ()

            Map
                [
                    for one in heard do
                        if one.Name <> "pmem.persist.duration" then
                            (one.Name, one.Tag), one.Value
                ]

        let before = observed ()
        heard.Clear()
        action ()
        let persists = heard.FindAll(fun one -> one.Name = "pmem.persist.duration")
        let after = observed ()

        changed <-
            after
            |> Map.map (fun key value -> value - (Map.tryFind key before |> Option.defaultValue 0.0))
            |> Map.filter (fun _ difference -> difference <> 0.0)
            |> if persists.Count = 0 then
                   id
               else
                   Map.add ("pmem.persist.duration", "") (float persists.Count))

    changed

let private numberOf name tag (changed: Map<string * string, float>) =
    Map.tryFind (name, tag) changed |> Option.defaultValue 0.0

let private onPages sync test =
    use mapped = new SyncedMapping(64L <<< 10, Func<ByteRange, int> sync)
    test mapped.Mapping

let private mappings () =
    Harness.inDirectory (fun directory ->
        let mutable map = null
        let path = Path.Combine(directory, "f")

        let opened = changes (fun () -> map <- PmemMapping.Create(path, 65536L))

        match map with
        | null -> failtest "not mapped"
        | map ->
            let granularity = map.Granularity.ToString()
            Expect.equal (numberOf "pmem.mappings" granularity opened) 1.0 "one more"
            Expect.equal (numberOf "pmem.mapped" granularity opened) 65536.0 "its bytes"
            use _ = PmemMapping.Open path
            let closed = changes map.Dispose
            Expect.equal (numberOf "pmem.mappings" granularity closed) -1.0 "one less"
            Expect.equal (numberOf "pmem.mapped" granularity closed) -65536.0 "its bytes")

let private persists () =
    onPages (fun _ -> 0) (fun map ->
        let changed =
            changes (fun () ->
                map.Flush(0L, 8L)
                map.Drain()
                map.Persist(0L, 8L)
                map.Execute(FlushPlan.Of(ByteRange(0L, 8L)))
                map.Write(4096L, 1L))

        Expect.equal (numberOf "pmem.persist.duration" "" changed) 4.0 "drains and persists; no flush"
        Expect.equal (numberOf "pmem.syncs" "" changed) 4.0 "each its own sync"
        Expect.isGreaterThan (numberOf "pmem.sync.time" "" changed) 0.0 "which takes time"
        let nothing = changes (fun () -> map.Drain())
        Expect.equal (numberOf "pmem.persist.duration" "" nothing) 1.0 "a drain of nothing"
        Expect.equal (numberOf "pmem.syncs" "" nothing) 0.0 "has nothing to sync")

/// What is mapped and synced through the functions of libpmem is counted too.
let private libpmem () =
    Harness.inDirectory (fun directory ->
        let path = Path.Combine(directory, "f")

        let changed =
            changes (fun () ->
                let mutable length = 0un
                let mutable isPmem = false

                let address =
                    LibPmem.MapFile(path, 4096un, PmemFileModes.Create, 0o600, &length, &isPmem)
                    |> NativePtr.toVoidPtr

                Expect.equal (LibPmem.Msync(address, 4096un)) 0 "msync"
                Expect.equal (LibPmem.Unmap(NativePtr.ofVoidPtr address, 4096un)) 0 "unmap")

        Expect.equal (numberOf "pmem.syncs" "" changed) 1.0 "one sync"
        Expect.equal (numberOf "pmem.persist.duration" "" changed) 0.0 "no persist"
        Expect.isFalse (Map.containsKey ("pmem.mappings", "page") changed) "mapped and unmapped")

/// Persists of persistent memory are not timed, so that they cost what they cost.
let private lines () =
    let struct (map, _) =
        Doubles.Anonymous(65536L, Platform.X64 WriteBackKind.Clwb, MappingKind.FileDax)

    let changed =
        changes (fun () ->
            map.Persist(0L, 8L)
            map.Drain())

    Expect.isEmpty changed "nothing is told"

let private refused kind (action: unit -> unit) =
    let changed =
        changes (fun () ->
            try
                action ()
                failtest "it was not refused"
            with
            | :? PmemException
            | :? ArgumentException -> ())

    Expect.equal changed (Map [ ("pmem.refusals", kind), 1.0 ]) kind

let private refusals () =
    Harness.inDirectory (fun directory ->
        let path = Path.Combine(directory, "f")
        File.WriteAllBytes(path, [||])
        refused "FileIsEmpty" (fun () -> PmemMapping.Open(path).Dispose())
        refused "NotMappable" (fun () -> PmemMapping.Open(Harness.here "/dev/null" directory).Dispose())
        let both = PmemCreateOptions(Exclusive = true, Truncate = true)
        refused "Contradiction" (fun () -> PmemMapping.Create(path, 1L, both).Dispose())

        onPages (fun _ -> 0) (fun map ->
            refused "Contradiction" (fun () ->
                map.Write(0L, 1L, PmemCopyOptions.Temporal ||| PmemCopyOptions.NonTemporal))))

let private errors () =
    onPages (fun _ -> Eio) (fun map ->
        let fails () =
            Expect.throwsT<PmemException> (fun () -> map.Persist(0L, 8L)) "the storage failed"

        let changed =
            changes (fun () ->
                fails ()
                fails ())

        Expect.equal (numberOf "pmem.storage.errors" "EIO" changed) 1.0 "one error, the mapping's last word"
        Expect.equal (numberOf "pmem.persist.duration" "" changed) 2.0 "both calls ended")

/// A listener's code runs in the thread of the persist: it may do what it likes, and the persist is as durable as without it.
let private strange () =
    let mutable heard = 0

    onPages (fun _ -> 0) (fun map ->
        let told one =
            if one.Name = "pmem.persist.duration" then
                heard <- heard + 1

                if heard < 3 then
                    map.Persist(0L, 8L)

                failwith "a listener's own mistake"

        listening told (fun _ -> map.Persist(0L, 8L))
        Expect.equal heard 3 "two from inside"
        map.Persist(0L, 8L))

let private allocatesNothing () =
    onPages (fun _ -> 0) (fun map ->
        let all () =
            map.Flush(0L, 8L)
            map.Drain()
            map.Persist(4096L, 8L)

        let allocated () =
            for _ in 1..50 do
                all ()

            let before = GC.GetAllocatedBytesForCurrentThread()
            all ()
            GC.GetAllocatedBytesForCurrentThread() - before

        Expect.equal (allocated ()) 0L "nobody listens"
        listening ignore ignore
        Expect.equal (allocated ()) 0L "nobody listens any more")

let tests =
    testSequenced
    <| testList
        "meter"
        [
            testCase "mappings and their bytes" mappings
            testCase "persists and syncs of pages, and their time" persists
            testCase "libpmem's functions" libpmem
            testCase "persists of persistent memory are not timed" lines
            testCase "refusals, by reason" refusals
            testCase "an error of the storage is counted once" errors
            testCase "what a listener does is not the caller's" strange
            testCase "nobody listens: nothing is allocated" allocatesNothing
        ]
