/// What C# sees of the core's types: no class of a module, and == that compares values.
module Pmem.Tests.EqualityTests

open System
open System.Reflection
open Expecto
open Pmem

let private publicTypes =
    typeof<FlushPlan>.Assembly.GetExportedTypes()
    |> Array.filter (fun candidate -> not candidate.IsNested && candidate.Namespace = "Pmem")

let private staticFlags =
    BindingFlags.Public ||| BindingFlags.Static ||| BindingFlags.DeclaredOnly

let private isEquatable (candidate: Type) =
    not candidate.IsEnum
    && typedefof<IEquatable<_>>.MakeGenericType(candidate).IsAssignableFrom candidate

let private hasOperators (candidate: Type) =
    [ "op_Equality"; "op_Inequality" ]
    |> List.forall (fun name -> not (isNull (candidate.GetMethod(name, [| candidate; candidate |]))))

/// The cases of a union that has none but such without fields: each is one object, and so == is by value already.
let private soleCases (candidate: Type) =
    candidate.GetProperties staticFlags
    |> Array.filter (fun property -> property.PropertyType = candidate)

let private isByValue (candidate: Type) =
    let cases = soleCases candidate

    let areAll =
        match candidate.GetNestedType "Tags" with
        | null -> false
        | tags -> tags.GetFields().Length = cases.Length

    hasOperators candidate
    || areAll
       && cases
          |> Array.forall (fun case -> obj.ReferenceEquals(case.GetValue null, case.GetValue null))

let tests =
    testList
        "equality"
        [
            testCase "== is by value in C# on every public type with value equality" (fun () ->
                let values = Array.filter isEquatable publicTypes
                Expect.isGreaterThan values.Length 20 "there are such types"

                Expect.isEmpty (values |> Array.filter (isByValue >> not) |> Array.map string) "without")

            testCase "no class of a module stands beside its type" (fun () ->
                Expect.isEmpty
                    (publicTypes
                     |> Array.filter (fun candidate -> candidate.Name.EndsWith("Module", StringComparison.Ordinal)))
                    "modules")

            testCase "the operators take null" (fun () ->
                let none = Unchecked.defaultof<FlushPlan>
                Expect.isFalse (FlushPlan.op_Equality (FlushPlan.Empty, none)) "one"
                Expect.isTrue (FlushPlan.op_Inequality (none, FlushPlan.Empty)) "the other"
                Expect.isTrue (FlushPlan.op_Equality (none, none)) "both"
                Expect.isTrue (FlushStep.op_Equality (Flush(ByteRange(0L, 64L)), Flush(ByteRange(0L, 64L)))) "values")
        ]
