namespace Pmem

open System
open System.Collections.Generic
open FsCheck
open FsCheck.FSharp

/// Laws by name; the first that does not hold is told.
module internal Law =
    let all (laws: (string * (unit -> bool)) list) : Property =
        match laws |> List.tryFind (fun (_, holds) -> not (holds ())) with
        | Some(name, _) -> Prop.ofTestable false |> Prop.label name
        | None -> Prop.ofTestable true

    let ranges =
        Arb.fromGenShrink (Gen.listOf Generators.range, Generators.shrinkList Generators.shrinkRange)

    let linesOf (ranges: ByteRange seq) =
        set
            [
                for range in ranges do
                    if not range.IsEmpty then
                        yield! [ CacheLine.indexOf range.Offset .. CacheLine.indexOf (range.End - 1L) ]
            ]

    /// What makes the flushes of a plan one.
    let wellFormed (flushed: ByteRange list) =
        [
            "whole cache lines are flushed",
            (fun () ->
                flushed
                |> List.forall (fun range -> range.Length > 0L && CacheLine.cover range = range))
            "the flushes are sorted, disjoint and coalesced",
            (fun () ->
                flushed
                |> List.pairwise
                |> List.forall (fun (left, right) -> left.End < right.Offset))
        ]

    let flushed (steps: FlushStep seq) =
        [
            for step in steps do
                match step with
                | Flush range -> range
                | Drain -> ()
        ]

/// <summary>What holds of every flush plan, for an own builder of plans. Each is a property for any runner.</summary>
[<AbstractClass; Sealed>]
type PlanLaws =
    /// <summary>The steps that a builder makes of ranges flush every line of them and no other, in whole lines, sorted,
    /// disjoint and coalesced, and end in their only drain.</summary>
    static member Builds(build: Func<ByteRange[], IEnumerable<FlushStep>>) : Property =
        Prop.forAll Law.ranges (fun ranges ->
            let steps = List.ofSeq (build.Invoke(List.toArray ranges))
            let flushed = Law.flushed steps

            Law.all
                [
                    "the steps end in their only drain", (fun () -> steps = List.map Flush flushed @ [ Drain ])
                    yield! Law.wellFormed flushed
                    "every line that was given is flushed, and no other",
                    (fun () -> Law.linesOf flushed = Law.linesOf ranges)
                ])

    /// <summary>As <c>Builds</c>, for a builder of <see cref="T:Pmem.FlushPlan"/>.</summary>
    static member BuildsPlan(build: Func<ByteRange[], FlushPlan>) : Property =
        PlanLaws.Builds(fun ranges -> build.Invoke(ranges).Steps)

    /// A union is associative, commutative and idempotent, has the empty plan for its unit, and flushes what either flushes.
    static member Union(union: Func<FlushPlan, FlushPlan, FlushPlan>) : Property =
        let plan = PmemArbitraries.FlushPlan()
        let (+) a b = union.Invoke(a, b)

        Prop.forAll plan (fun a ->
            Prop.forAll plan (fun b ->
                Prop.forAll plan (fun c ->
                    Law.all
                        [
                            "union is associative", (fun () -> (a + b) + c = a + (b + c))
                            "union is commutative", (fun () -> a + b = b + a)
                            "union is idempotent", (fun () -> a + a = a)
                            "the empty plan is its unit",
                            (fun () -> a + FlushPlan.empty = a && FlushPlan.empty + a = a)
                            "union flushes what either flushes",
                            (fun () ->
                                Law.linesOf (FlushPlan.ranges (a + b)) =
                                    Law.linesOf (FlushPlan.ranges a @ FlushPlan.ranges b))
                            yield! Law.wellFormed (FlushPlan.ranges (a + b))
                        ])))

/// What holds of persist programs, for an own composition of them.
[<AbstractClass; Sealed>]
type ProgramLaws =
    /// A composition is associative, has the empty program for its unit, running it is running its parts, its writes are those
    /// of its parts, and the last epoch of one joins the first of the next unless a barrier parts them.
    static member Composes(compose: Func<PersistProgram, PersistProgram, PersistProgram>) : Property =
        let program = PmemArbitraries.PersistProgram()
        let (+) a b = compose.Invoke(a, b)
        let memory = Array.init Generators.MemoryBytes (fun i -> byte (i * 7))

        let writes program =
            [ for epoch in PersistProgram.epochs program -> List.ofSeq epoch.Writes ]

        let joined a b =
            match List.rev (writes a), writes b with
            | last :: before, first :: after when a + PersistProgram.barrier <> a && PersistProgram.barrier + b <> b ->
                List.rev before @ [ last @ first ] @ after
            | _ -> writes a @ writes b

        Prop.forAll program (fun a ->
            Prop.forAll program (fun b ->
                Prop.forAll program (fun c ->
                    Law.all
                        [
                            "composition is associative", (fun () -> (a + b) + c = a + (b + c))
                            "the empty program is its unit",
                            (fun () -> a + PersistProgram.empty = a && PersistProgram.empty + a = a)
                            "running a composition is running its parts",
                            (fun () -> (a + b).Run memory = b.Run(a.Run memory))
                            "the writes of a composition are those of its parts",
                            (fun () -> List.concat (writes (a + b)) = List.concat (writes a @ writes b))
                            "epochs join at a seam unless a barrier parts them",
                            (fun () -> writes (a + b) = joined a b)
                        ])))

    /// The plan of every epoch flushes the lines of its writes, all and no other, for programs as the generator makes them.
    static member EpochsCover(change: Func<PersistProgram, PersistProgram>) : Property =
        Prop.forAll (PmemArbitraries.PersistProgram()) (fun program ->
            PersistProgram.epochs (change.Invoke program)
            |> List.forall (fun epoch ->
                Law.linesOf [ for write in epoch.Writes -> write.Range ] = Law.linesOf (FlushPlan.ranges epoch.Plan)))

/// What holds of the instructions that make a plan durable, for an own lowering or executor.
[<AbstractClass; Sealed>]
type LoweringLaws =
    static member private On(check: Platform -> StoreGranularity -> FlushPlan -> Property) : Property =
        Prop.forAll (PmemArbitraries.Platform()) (fun platform ->
            Prop.forAll (PmemArbitraries.StoreGranularity()) (fun granularity ->
                Prop.forAll (PmemArbitraries.FlushPlan()) (check platform granularity)))

    /// <summary>The instructions write back, or sync, every line of the plan, and end in the fence where lines or nothing are
    /// written back.</summary>
    static member Covers(lower: Func<Platform, StoreGranularity, FlushPlan, IEnumerable<Instruction>>) : Property =
        LoweringLaws.On(fun platform granularity plan ->
            let instructions = List.ofSeq (lower.Invoke(platform, granularity, plan))
            let isByPage = platform.SyncsPages granularity

            let covered =
                [
                    for instruction in instructions do
                        match instruction with
                        | WriteBack(_, range) when not isByPage -> range
                        | SyncPages range when isByPage -> range
                        | _ -> ()
                ]

            Law.all
                [
                    "every line is written back, or its page synced",
                    (fun () ->
                        granularity = StoreGranularity.Byte
                        || Set.isSubset (Law.linesOf (FlushPlan.ranges plan)) (Law.linesOf covered))
                    "the fence comes last", (fun () -> isByPage || List.tryLast instructions = Some Fence)
                ])

    /// <summary>What an executor executed for a plan is what the core says: <c>Lowering.ofPlan</c>.</summary>
    static member Executes(executed: Func<Platform, StoreGranularity, FlushPlan, IEnumerable<Instruction>>) : Property =
        LoweringLaws.On(fun platform granularity plan ->
            let expected = Lowering.ofPlan platform granularity plan
            let found = List.ofSeq (executed.Invoke(platform, granularity, plan))

            Prop.ofTestable (found = expected)
            |> Prop.label (
                String.Concat("expected ", String.Join("; ", expected), ", executed ", String.Join("; ", found))
            ))
