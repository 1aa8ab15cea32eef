/// Persist programs are a monoid by the laws of the package; a barrier says no more than it must; building one is no more than linear in its writes.
module Pmem.Tests.ProgramLawTests

open Expecto
open Pmem

let private property name body =
    Harness.propertyOf (Harness.cases 300 5000) name [ typeof<PmemArbitraries> ] body

let private epochCount program =
    List.length (PersistProgram.epochs program)

/// The ways to put n writes together: leaning to either side, and in halves.
let private shapes =
    let write i =
        PersistProgram.write (64L * int64 i) [| 1uy |]

    let rec halves first last =
        if last - first = 1 then
            write first
        else
            let middle = (first + last) / 2
            halves first middle + halves middle last

    let parted i = write i + PersistProgram.barrier

    [
        "write after write", (fun n -> List.fold (fun all i -> all + write i) PersistProgram.empty [ 1..n ])
        "descending", (fun n -> List.fold (fun all i -> all + write (n - i)) PersistProgram.empty [ 1..n ])
        "from the end", (fun n -> List.foldBack (fun i all -> write i + all) [ 1..n ] PersistProgram.empty)
        "halves", (fun n -> halves 0 n)
        "write, barrier", (fun n -> PersistProgram.concat (List.map parted [ 1..n ]))
        "the fluent form",
        (fun n -> List.fold (fun (all: PersistProgram) i -> all.Write(int64 i, 1L)) PersistProgram.Empty [ 1..n ])
    ]

let tests =
    testList
        "persist program laws"
        [
            Harness.law "composition" (ProgramLaws.Composes(fun a b -> a + b))

            Harness.law
                "composition, as the builder does it"
                (ProgramLaws.Composes(fun a b ->
                    persist {
                        a
                        yield! b
                    }))

            property "a barrier beside a barrier says nothing" (fun (a: PersistProgram) (b: PersistProgram) ->
                let barrier = PersistProgram.barrier
                a + barrier + barrier + b = a + barrier + b)

            property "a barrier at an end changes no epoch" (fun (a: PersistProgram) ->
                let closed = PersistProgram.barrier + a + PersistProgram.barrier
                PersistProgram.epochs closed = PersistProgram.epochs a)

            property
                "equal programs have equal hashes and say the same"
                (fun (a: PersistProgram) (b: PersistProgram) (c: PersistProgram) ->
                    let left = (a + b) + c

                    let right =
                        persist {
                            yield! a
                            persist { b }
                            c
                        }

                    left = right
                    && PersistProgram.op_Equality (left, right)
                    && hash left = hash right
                    && string left = string right)

            property "programs that say the same are equal" (fun (a: PersistProgram) (b: PersistProgram) ->
                (string a = string b) = (a = b))

            for name, build in shapes do
                testCase $"building is linear: {name}" (fun () ->
                    Harness.isLinear 4000 (fun n -> epochCount (build n) |> ignore))
        ]
