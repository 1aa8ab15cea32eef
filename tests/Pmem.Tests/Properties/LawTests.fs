/// The laws that users put on their own plans, programs, executors and memories: they hold of ours, and fail of what is wrong.
module Pmem.Tests.LawTests

open System
open System.IO
open Expecto
open FsCheck
open FsCheck.FSharp
open Pmem

let private config =
    Config.QuickThrowOnFailure.WithMaxTest(Harness.cases 100 1000).WithReplay(Some(Harness.replayOf Harness.fixedSeed))

let private holds name (law: Property) = Harness.holds config name law

let private fails name (law: Property) (words: string) =
    testCase name (fun () ->
        let failure =
            Expect.throwsC (fun () -> Check.One(config, law)) (fun error -> error.ToString())

        Expect.stringContains failure words "the law by its name")

let private recorded (image: byte[]) =
    RecordedMemory(image, PersistencyModel.X86) :> IPersistentMemory

/// A memory that does all as the recorded one does, but for one thing.
type private Wrong(inner: IPersistentMemory, forgetsEnd, acceptsAll) =
    interface IPersistentMemory with
        member _.Length = inner.Length
        member _.Read(offset, destination, source) = inner.Read(offset, destination, source)

        member _.Store(offset, bytes, source) =
            if acceptsAll && offset + int64 bytes.Length > inner.Length then
                ()
            elif forgetsEnd && bytes.Length > 64 then
                inner.Store(offset, bytes.Slice(0, 64), source)
            else
                inner.Store(offset, bytes, source)

        member _.StoreNonTemporal(offset, bytes, source) =
            inner.StoreNonTemporal(offset, bytes, source)

        member _.CompareExchange(offset, value, comparand, source) =
            inner.CompareExchange(offset, value, comparand, source)

        member _.Flush(offset, length, source) = inner.Flush(offset, length, source)
        member _.Drain source = inner.Drain source
        member _.Persist(offset, length, source) = inner.Persist(offset, length, source)
        member _.Acknowledge(operation, source) = inner.Acknowledge(operation, source)

let private registered name test =
    Harness.propertyOf (Harness.cases 100 1000) name [ typeof<PmemArbitraries> ] test

let private terminates name (arbitrary: Arbitrary<'T>) =
    testCase $"every generated value of {name} shrinks to an end" (fun () ->
        for value in Gen.sample 30 arbitrary.Generator do
            let mutable steps = 0
            let mutable next = Seq.tryHead (arbitrary.Shrinker value)

            while next.IsSome do
                steps <- steps + 1
                Expect.isLessThan steps 100_000 "steps"
                next <- Seq.tryHead (arbitrary.Shrinker next.Value)

            let last = Seq.tryLast (arbitrary.Shrinker value)
            last |> Option.iter (fun last -> Seq.length (arbitrary.Shrinker last) |> ignore))

let private ours =
    testList
        "of ours"
        [
            holds "recorded memory" (MemoryLaws.Remembers(fun image -> recorded image))
            holds "programs on recorded memory" (MemoryLaws.RunsPrograms(fun image -> recorded image))

            testCase "a mapping of a file" (fun () ->
                Harness.inDirectory (fun directory ->
                    let create (image: byte[]) =
                        let path = Path.Combine(directory, Guid.NewGuid().ToString "N")
                        let map = PmemMapping.Create(path, image.LongLength)
                        map.Write(0L, ReadOnlySpan image)
                        map :> IPersistentMemory

                    let config = config.WithMaxTest 30
                    Check.One(config, MemoryLaws.Remembers(fun image -> create image))
                    Check.One(config, MemoryLaws.RunsPrograms(fun image -> create image))))
        ]

let private others =
    testList
        "of what is wrong"
        [
            fails
                "a builder that forgets the last line"
                (PlanLaws.Builds(fun ranges ->
                    [|
                        for range in ranges do
                            if range.Length > 64L then
                                Flush(CacheLine.cover range)

                        Drain
                    |]))
                "every line that was given is flushed"

            fails
                "a builder that flushes a line too many"
                (PlanLaws.Builds(fun ranges ->
                    let last = ranges |> Seq.fold (fun last range -> max last range.End) 0L
                    (FlushPlan.ofRanges (ByteRange.create last 65L :: List.ofArray ranges)).Steps))
                "every line that was given is flushed, and no other"

            fails "a builder without a drain" (PlanLaws.Builds(fun _ -> [||])) "the steps end in their only drain"
            fails "a union of one side" (PlanLaws.Union(fun a _ -> a)) "union is commutative"

            fails
                "a composition that parts its parts"
                (ProgramLaws.Composes(fun a b -> a + PersistProgram.barrier + b))
                "the empty program is its unit"

            fails
                "an executor that saves the fence"
                (LoweringLaws.Executes(fun platform granularity plan -> Lowering.ofFlushes platform granularity plan))
                "expected"

            fails
                "a lowering that fences first"
                (LoweringLaws.Covers(fun platform granularity plan ->
                    Fence :: List.filter ((<>) Fence) (Lowering.ofPlan platform granularity plan)))
                "the fence comes last"

            fails "a lowering that saves the fence" (LoweringLaws.Covers(fun _ _ _ -> [])) "the fence comes last"

            fails
                "a memory that forgets the end of a store"
                (MemoryLaws.Remembers(fun image -> Wrong(recorded image, true, false)))
                "memory then holds what was stored"

            fails
                "a memory that accepts what lies outside"
                (MemoryLaws.Remembers(fun image -> Wrong(recorded image, false, true)))
                "a store over the end is refused"
        ]

let private arbitraries =
    testList
        "arbitraries"
        [
            registered
                "one line registers them all"
                (fun (plan: FlushPlan) (program: PersistProgram) (platform: Platform) ->
                    FlushPlan.union plan plan = plan
                    && program + PersistProgram.empty = program
                    && platform.LineSizeBytes >= 64L)

            registered "traces have crash states and lint" (fun (events: PersistEvent list) (model: PersistencyModel) ->
                let recorded = [ for event in events -> RecordedEvent(event, SourceLine.Unknown) ]
                PersistLint.check model recorded |> ignore
                true)

            registered "options of copies are never refused" (fun (options: PmemCopyOptions) ->
                CopyPlan.decide (Platform.x64 Clwb) StoreGranularity.CacheLine options
                |> Result.isOk)

            registered "options of crash checks are small" (fun (options: CrashCheckOptions) -> options.Budget <= 2000L)
            terminates "ranges" (PmemArbitraries.ByteRange())
            terminates "plans" (PmemArbitraries.FlushPlan())
            terminates "facts" (PmemArbitraries.PlatformFacts())
            terminates "platforms" (PmemArbitraries.Platform())
            terminates "programs" (PmemArbitraries.PersistProgram())
            terminates "events" (PmemArbitraries.PersistEvent())
            terminates "copy options" (PmemArbitraries.PmemCopyOptions())
            terminates "check options" (PmemArbitraries.CrashCheckOptions())
        ]

let tests = testList "laws" [ ours; others; arbitraries ]
