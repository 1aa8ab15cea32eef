module Pmem.Tests.JournalTests

open System
open System.IO
open Expecto
open Pmem
open Pmem.Tests.CrashGenerators

let private models =
    [
        PersistencyModel.X86
        PersistencyModel.Eadr
        PersistencyModel.PageCache
        PersistencyModel.Relaxed
    ]

/// The journal lies behind what the generated programs write to.
let private range = ByteRange(5120L, 1024L)

let private sizeBytes = 8192

let private isWithoutJournal offset =
    not (range.Contains(ByteRange(int64 offset, 1L)))

/// What memory holds outside the journal.
let private outside (image: byte[]) =
    image |> Array.indexed |> Array.filter (fst >> isWithoutJournal)

let private formatted =
    let memory = RecordedMemory(Array.zeroCreate sizeBytes, PersistencyModel.X86)
    Journal.Format(memory, range) |> ignore
    memory.ToArray()

let private memoryOf model = RecordedMemory(formatted, model)

let private put (words: (int64 * int64) list) =
    PersistProgram.concat [ for offset, value in words -> PersistProgram.writeValue offset value ]

/// Three updates of words on several lines: each must be there whole or not at all. The second has two epochs.
let private programs =
    [
        put [ 0L, 1L; 64L, 1L ]
        PersistProgram.concat [ put [ 0L, 2L ]; PersistProgram.barrier; put [ 128L, 2L ] ]
        put [ 64L, 3L ]
    ]

let private places = [ 0L; 64L; 128L ]

/// The words after so many commits.
let private after count =
    let image =
        List.fold (fun image (program: PersistProgram) -> program.Run image) formatted (List.truncate count programs)

    [ for place in places -> BitConverter.ToInt64(image, int place) ]

let private commitAll (memory: RecordedMemory) =
    let journal = Journal.Open(memory, range)

    for i, program in List.indexed programs do
        journal.Commit program
        memory.Acknowledge(int64 i + 1L)

/// The words are those after some number of commits, and no promised one is missing.
let private isWhole (memory: CrashedMemory) =
    let words = [ for place in places -> memory.ReadInt64 place ]
    let promised = memory.Acknowledged.Count
    Seq.exists (fun count -> words = after count) (seq { promised .. promised + 1 })

let private checkWith (options: CrashCheckOptions) image workload recovery =
    CrashCheck.run options image workload recovery

let private optionsOf model crashes =
    CrashCheckOptions.Default.WithModel(model).WithBudget(2_000_000L).WithRecoveryCrashes(crashes)

let private expectVerdict verdict (report: CrashReport) =
    Expect.equal report.Verdict verdict (report.ToString())

let private atomicity =
    testList
        "atomicity"
        [
            for model in models do
                testCase $"all or nothing, exhaustively, crashes of recovery too: {model}" (fun () ->
                    checkWith (optionsOf model 1) formatted commitAll (fun memory ->
                        Journal.Open(memory, range) |> ignore
                        isWhole memory)
                    |> expectVerdict CrashVerdict.Consistent)

                testCase $"without recovery it is not: {model}" (fun () ->
                    checkWith (optionsOf model 0) formatted commitAll isWhole
                    |> expectVerdict CrashVerdict.Inconsistent)

                testCase $"what was stored without the journal afterwards is not undone: {model}" (fun () ->
                    let workload (memory: RecordedMemory) =
                        let journal = Journal.Open(memory, range)
                        journal.Commit(put [ 0L, 1L ])
                        memory.StoreInt64(0L, 7L)
                        memory.Persist(0L, 8L)
                        memory.Acknowledge 1L

                    checkWith (optionsOf model 1) formatted workload (fun memory ->
                        Journal.Open(memory, range) |> ignore
                        memory.Acknowledged.Count = 0 || memory.ReadInt64 0L = 7L)
                    |> expectVerdict CrashVerdict.Consistent)

                testCase $"making a journal over an old one never brings its record back: {model}" (fun () ->
                    // A journal with a record that is not retired, as a power failure leaves it.
                    let pending =
                        let image = memoryOf PersistencyModel.X86
                        Journal.Open(image, range).Commit(put [ 0L, 9L ])
                        image.StoreInt64(range.Offset + 8L, 0L)
                        image.StoreInt64(0L, 0L)
                        image.ToArray()

                    Expect.isTrue (Journal.Open(RecordedMemory(pending, model), range)).HasRecovered "it would be done"

                    let workload (memory: RecordedMemory) =
                        let journal = Journal.Format(memory, range)
                        memory.Acknowledge 1L
                        journal.Commit(put [ 64L, 2L ])
                        memory.Acknowledge 2L

                    checkWith (optionsOf model 1) pending workload (fun memory ->
                        let isThere =
                            try
                                Journal.Open(memory, range) |> ignore
                                true
                            with :? InvalidDataException ->
                                false

                        match memory.Acknowledged.Count with
                        | 0 -> true
                        | 1 -> isThere && memory.ReadInt64 0L = 0L
                        | _ -> isThere && memory.ReadInt64 0L = 0L && memory.ReadInt64 64L = 2L)
                    |> expectVerdict CrashVerdict.Consistent)

            Harness.propertyOf
                (Harness.cases 40 400)
                "any program is there whole or not at all"
                [ typeof<CrashArbitraries> ]
                (fun (program: SmallProgram) (model: PersistencyModel) ->
                    let program = program.Program
                    let final = program.Run formatted

                    let ranges =
                        [
                            for epoch in PersistProgram.epochs program do
                                for write in epoch.Writes do
                                    write.Range
                        ]

                    let workload (memory: RecordedMemory) =
                        Journal.Open(memory, range).Commit program
                        memory.Acknowledge 1L

                    let isLike (image: byte[]) (memory: CrashedMemory) =
                        ranges
                        |> List.forall (fun range ->
                            let found = memory.ReadBytes(range.Offset, int range.Length)
                            ReadOnlySpan(found).SequenceEqual(ReadOnlySpan(image, int range.Offset, found.Length)))

                    let report =
                        checkWith
                            (CrashCheckOptions.Default.WithModel(model).WithBudget 300L)
                            formatted
                            workload
                            (fun memory ->
                                Journal.Open(memory, range) |> ignore

                                isLike final memory
                                || (memory.Acknowledged.Count = 0 && isLike formatted memory))

                    Expect.notEqual report.Verdict CrashVerdict.Inconsistent (report.ToString()))
        ]

/// Memory that fails when it has been drained so often.
type private Failing(memory: IPersistentMemory, drains: int) =
    let mutable left = drains

    let drain () =
        left <- left - 1

        if left = 0 then
            raise (IOException "a drain failed")

    interface IPersistentMemory with
        member _.Length = memory.Length

        member _.Read(offset, destination, source) =
            memory.Read(offset, destination, source)

        member _.Store(offset, bytes, source) = memory.Store(offset, bytes, source)

        member _.StoreNonTemporal(offset, bytes, source) =
            memory.StoreNonTemporal(offset, bytes, source)

        member _.CompareExchange(offset, value, comparand, source) =
            memory.CompareExchange(offset, value, comparand, source)

        member _.Flush(offset, length, source) = memory.Flush(offset, length, source)

        member _.Drain source =
            drain ()
            memory.Drain source

        member _.Persist(offset, length, source) =
            drain ()
            memory.Persist(offset, length, source)

        member _.Acknowledge(operation, source) = memory.Acknowledge(operation, source)

let private refuses<'E when 'E :> exn> (words: string) (memory: RecordedMemory) action =
    let before = memory.Trace.Count

    let error =
        try
            action ()
            None
        with error ->
            Some error

    match error with
    | Some(:? 'E as error) -> Expect.stringContains error.Message words "why"
    | Some error -> failtestf "%O" error
    | None -> failtest "not refused"

    Expect.equal memory.Trace.Count before "nothing was written"

let private refusals =
    testList
        "refusals"
        [
            testCase "a program that the journal has no place for, before anything is written" (fun () ->
                let memory = RecordedMemory(Array.zeroCreate sizeBytes, PersistencyModel.X86)
                let small = ByteRange(5120L, 128L)
                let journal = Journal.Format(memory, small)
                let fits = put [ 0L, 1L ]
                Expect.equal (Journal.RequiredBytes fits) 128L "one word"
                journal.Commit fits
                let large = PersistProgram.write 0L (Array.create 48 1uy)
                Expect.equal (Journal.RequiredBytes large) 192L "48 bytes"

                refuses<ArgumentException> "needs a journal of 192 bytes, and this one has 128" memory (fun () ->
                    journal.Commit large)

                refuses<ArgumentException> "lies in the journal itself" memory (fun () ->
                    journal.Commit(put [ 5184L, 1L ]))

                refuses<ArgumentOutOfRangeException> "8185+8" memory (fun () -> journal.Commit(put [ 8185L, 1L ]))
                journal.Commit fits)

            testCase "places where there is no journal" (fun () ->
                let empty = RecordedMemory(Array.zeroCreate sizeBytes, PersistencyModel.X86)
                let opened (range: ByteRange) memory () = Journal.Open(memory, range) |> ignore
                refuses<InvalidDataException> "Format makes one" empty (opened range empty)
                let memory = memoryOf PersistencyModel.X86

                refuses<InvalidDataException>
                    "was made with 1024 bytes"
                    memory
                    (opened (ByteRange(5120L, 512L)) memory)

                refuses<ArgumentException> "whole cache lines" memory (opened (ByteRange(5121L, 512L)) memory)
                refuses<ArgumentException> "two or more" memory (opened (ByteRange(5120L, 64L)) memory)

                refuses<ArgumentOutOfRangeException>
                    "does not lie in the memory"
                    memory
                    (opened (ByteRange(8192L, 128L)) memory))

            testCase "a record for a larger memory, before anything is stored" (fun () ->
                let memory = memoryOf PersistencyModel.X86
                Journal.Open(memory, range).Commit(put [ 0L, 1L; 8000L, 1L ])
                memory.StoreInt64(range.Offset + 8L, 0L)
                memory.StoreInt64(0L, 0L)

                let shorter =
                    RecordedMemory(Array.truncate 7000 (memory.ToArray()), PersistencyModel.X86)

                refuses<InvalidDataException> "Is the file shorter" shorter (fun () ->
                    Journal.Open(shorter, range) |> ignore))

            testCase "a commit after one that failed, until it is opened again" (fun () ->
                for drains, isThere in [ 1, true; 2, true; 3, true ] do
                    let memory = memoryOf PersistencyModel.X86
                    let journal = Journal.Open(Failing(memory, drains), range)
                    Expect.throwsT<IOException> (fun () -> journal.Commit programs.Head) "fails"

                    refuses<InvalidOperationException> "Open the journal again" memory (fun () ->
                        journal.Commit programs.Head)

                    let again = Journal.Open(memory, range)

                    Expect.equal
                        [ for place in places -> memory.ReadInt64 place ]
                        (after (if isThere then 1 else 0))
                        "whole"

                    again.Commit programs[1]
                    Expect.equal [ for place in places -> memory.ReadInt64 place ] (after 2) "and goes on")
        ]

let private costs =
    testList
        "what it does"
        [
            testCase "three drains, whatever the program" (fun () ->
                for program in programs @ [ put [ for i in 0L .. 19L -> 64L * i, i ] ] do
                    let memory = memoryOf PersistencyModel.X86
                    let journal = Journal.Open(memory, range)
                    journal.Commit program

                    let fences =
                        memory.Trace |> Seq.filter (fun recorded -> recorded.Event = Execute Fence)

                    Expect.equal (Seq.length fences) 3 (program.ToString())
                    let trace = memory.Trace.Count
                    journal.Commit PersistProgram.empty
                    Expect.equal memory.Trace.Count trace "nothing is nothing")

            testCase "a report names the lines of the program and of the commit" (fun () ->
                let memory = memoryOf PersistencyModel.X86
                let program = persist { writeInt64 0L 1L }
                Journal.Open(memory, range).Commit program

                let files =
                    set [ for recorded in memory.Trace -> IO.Path.GetFileName recorded.Source.File ]

                Expect.equal files (set [ "JournalTests.fs" ]) "files"

                Expect.equal
                    (Seq.length (Seq.distinct [ for recorded in memory.Trace -> recorded.Source.Line ]))
                    2
                    "lines")

            Harness.propertyOf
                (Harness.cases 200 2000)
                "a commit does what the program does"
                [ typeof<CrashArbitraries> ]
                (fun (programs: PersistProgram list) ->
                    let memory = RecordedMemory(formatted, PersistencyModel.X86)
                    let journal = Journal.Open(memory, range)

                    let expected =
                        programs
                        |> List.fold
                            (fun image program ->
                                if Journal.RequiredBytes program <= range.Length then
                                    journal.Commit program
                                    program.Run image
                                else
                                    image)
                            formatted

                    Expect.equal (outside (memory.ToArray())) (outside expected) "outside the journal"
                    Expect.isFalse (Journal.Open(memory, range)).HasRecovered "all is retired")

            testCase "on a mapping, and after it was closed" (fun () ->
                Harness.inDirectory (fun directory ->
                    let path = Path.Combine(directory, "f")

                    (use map = PmemMapping.Create(path, int64 sizeBytes)
                     let journal = Journal.Format(map, range)

                     for program in programs do
                         journal.Commit program)

                    use map = PmemMapping.Open path
                    Expect.isFalse (Journal.Open(map, range)).HasRecovered "all is retired"
                    Expect.equal [ for place in places -> map.ReadInt64 place ] (after 3) "words"))
        ]

let tests = testList "journal" [ atomicity; refusals; costs ]
