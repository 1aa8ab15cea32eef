module Pmem.Tests.PlanTests

open System
open Expecto
open Pmem
open Pmem.Tests.Generators

let private linesOf (ranges: ByteRange list) =
    ranges
    |> Seq.filter (fun range -> not range.IsEmpty)
    |> Seq.collect (fun range -> seq { CacheLine.indexOf range.Offset .. CacheLine.indexOf (range.End - 1L) })
    |> Set.ofSeq

let tests =
    testList
        "flush plan"
        [
            Harness.law "is what its builder was given" (PlanLaws.BuildsPlan(fun ranges -> FlushPlan.Of ranges))
            Harness.law
                "is so from a list, too"
                (PlanLaws.BuildsPlan(fun ranges -> FlushPlan.ofRanges (List.ofArray ranges)))
            Harness.law "union" (PlanLaws.Union(fun a b -> FlushPlan.union a b))
            Harness.law "union, as a method" (PlanLaws.Union(fun a b -> a.Union b))

            property "counts the lines that it flushes" (fun (ranges: ByteRange list) ->
                FlushPlan.lineCount (FlushPlan.ofRanges ranges) = int64 (linesOf ranges).Count)

            property "covers every range that it was built from" (fun (ranges: ByteRange list) ->
                let plan = FlushPlan.ofRanges ranges
                ranges |> List.forall (fun range -> FlushPlan.covers range plan))

            property
                "covers another range exactly if it flushes each of its lines"
                (fun (ranges: ByteRange list) (other: ByteRange) ->
                    FlushPlan.covers other (FlushPlan.ofRanges ranges) =
                        Set.isSubset (linesOf [ other ]) (linesOf ranges))

            property "does not depend on the order, or on how it was built" (fun (ranges: ByteRange list) ->
                let plan = FlushPlan.ofRanges ranges

                let oneByOne =
                    List.fold (fun plan range -> FlushPlan.flush range plan) FlushPlan.empty ranges

                plan = FlushPlan.ofRanges (List.rev ranges)
                && plan = oneByOne
                && plan.GetHashCode() = oneByOne.GetHashCode()
                && plan = FlushPlan.Of(ReadOnlySpan(List.toArray ranges)))

            property "union with what it was built from again is itself" (fun (a: FlushPlan) ->
                FlushPlan.union a (FlushPlan.ofRanges (FlushPlan.ranges a)) = a)

            property "union of many is the union of each with the next" (fun (plans: FlushPlan list) ->
                FlushPlan.unionMany plans = List.fold FlushPlan.union FlushPlan.empty plans)

            for name, offset in [ "ascending", (fun n i -> 128 * i); "descending", (fun n i -> 128 * (n - i)) ] do
                testCase $"union of many is linear: {name}" (fun () ->
                    Harness.isLinear 4000 (fun n ->
                        List.init n (fun i -> FlushPlan.ofRanges [ ByteRange.create (int64 (offset n i)) 8L ])
                        |> FlushPlan.unionMany
                        |> ignore))

            property "is built up to the last offset without overflow" (fun (WideRange range) (small: ByteRange) ->
                let plan = FlushPlan.ofRanges [ range; small ]

                FlushPlan.covers range plan
                && FlushPlan.covers small plan
                && FlushPlan.lineCount plan > 0L = (range.Length + small.Length > 0L)
                && FlushPlan.ranges plan
                   |> List.forall (fun r -> r.Length > 0L && r.End > r.Offset))

            testCase "the empty plan is the drain"
            <| fun () ->
                Expect.equal (FlushPlan.steps FlushPlan.empty) [ Drain ] "steps"
                Expect.equal (FlushPlan.ofRanges []) FlushPlan.empty "of nothing"
                Expect.equal (FlushPlan.ofRanges [ ByteRange.create 70L 0L ]) FlushPlan.empty "of an empty range"
                Expect.equal (string FlushPlan.empty) "drain" "text"

            testCase "plans differ where their lines differ"
            <| fun () ->
                let one = FlushPlan.ofRanges [ ByteRange.create 0L 1L ]
                let two = FlushPlan.ofRanges [ ByteRange.create 64L 1L ]
                Expect.notEqual one two "other lines"
                Expect.equal one (FlushPlan.ofRanges [ ByteRange.create 63L 1L ]) "the same line"
                Expect.isFalse (one.Equals "flush 0+64; drain") "another type"
        ]
