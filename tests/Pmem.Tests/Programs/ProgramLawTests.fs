/// Persist programs are a monoid, and building one is no more than linear in its writes.
module Pmem.Tests.ProgramLawTests

open Expecto
open Pmem
open Pmem.Tests.CrashGenerators

let private property name body =
    Harness.propertyOf (Harness.cases 300 5000) name [ typeof<CrashArbitraries> ] body

let private start = Array.init sizeBytes (fun i -> byte (i * 7))

/// The end of a program that meets another: whether a barrier closes it.
let private isClosedBefore (program: PersistProgram) =
    PersistProgram.barrier + program = program

let private isClosedAfter (program: PersistProgram) =
    program + PersistProgram.barrier = program

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
            property "composition is associative" (fun (a: ProgramSteps) (b: ProgramSteps) (c: ProgramSteps) ->
                let a, b, c = a.Program, b.Program, c.Program
                (a + b) + c = a + (b + c))

            property "the empty program is its unit" (fun (a: ProgramSteps) ->
                a.Program + PersistProgram.empty = a.Program
                && PersistProgram.empty + a.Program = a.Program)

            property "a barrier beside a barrier says nothing" (fun (a: ProgramSteps) (b: ProgramSteps) ->
                let barrier = PersistProgram.barrier
                a.Program + barrier + barrier + b.Program = a.Program + barrier + b.Program)

            property "a barrier at an end changes no epoch" (fun (a: ProgramSteps) ->
                let closed = PersistProgram.barrier + a.Program + PersistProgram.barrier
                PersistProgram.epochs closed = PersistProgram.epochs a.Program)

            property "epochs join at a seam unless a barrier parts them" (fun (a: ProgramSteps) (b: ProgramSteps) ->
                let a, b = a.Program, b.Program
                let sum = epochCount a + epochCount b

                let isJoined =
                    epochCount a > 0
                    && epochCount b > 0
                    && not (isClosedAfter a)
                    && not (isClosedBefore b)

                epochCount (a + b) = (if isJoined then sum - 1 else sum)
                && epochCount (a + PersistProgram.barrier + b) = sum)

            property "running a composition is running its parts" (fun (a: ProgramSteps) (b: ProgramSteps) ->
                PersistProgram.run start (a.Program + b.Program) = (start |> a.Program.Run |> b.Program.Run))

            property "the writes of a composition are those of its parts" (fun (a: ProgramSteps) (b: ProgramSteps) ->
                let writes program =
                    PersistProgram.epochs program
                    |> List.collect (fun epoch -> List.ofSeq epoch.Writes)

                writes (a.Program + b.Program) = writes a.Program @ writes b.Program)

            property
                "equal programs have equal hashes and say the same"
                (fun (a: ProgramSteps) (b: ProgramSteps) (c: ProgramSteps) ->
                    let left = (a.Program + b.Program) + c.Program

                    let right =
                        persist {
                            yield! a.Program
                            persist { b.Program }
                            c.Program
                        }

                    left = right
                    && PersistProgram.op_Equality (left, right)
                    && hash left = hash right
                    && string left = string right)

            property "programs that say the same are equal" (fun (a: ProgramSteps) (b: ProgramSteps) ->
                (string a.Program = string b.Program) = (a.Program = b.Program))

            for name, build in shapes do
                testCase $"building is linear: {name}" (fun () ->
                    Harness.isLinear 4000 (fun n -> epochCount (build n) |> ignore))
        ]
