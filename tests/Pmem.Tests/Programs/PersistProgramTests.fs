module Pmem.Tests.PersistProgramTests

open System
open Expecto
open Pmem
open Pmem.Tests.CrashGenerators

let private property name body =
    Harness.propertyOf (Harness.cases 300 5000) name [ typeof<CrashArbitraries> ] body

let private start = Array.init sizeBytes (fun i -> byte (i * 7))

/// A memory that has run a program, and the trace of that.
let private runOn model (program: PersistProgram) =
    let memory = RecordedMemory(start, model)
    PersistProgram.runOn memory program
    memory

let private models =
    [
        PersistencyModel.X86
        PersistencyModel.Eadr
        PersistencyModel.PageCache
        PersistencyModel.Relaxed
    ]

/// What a crash check of a program that has ended sees: memory is read once a promise was given.
let private onlyFinalState model (program: PersistProgram) =
    let final = program.Run start

    let workload (memory: RecordedMemory) =
        PersistProgram.runOn memory program
        memory.Acknowledge 1L

    let recovered (memory: CrashedMemory) =
        memory.Acknowledged.Count = 0
        || ReadOnlySpan(memory.ReadBytes(0L, sizeBytes)).SequenceEqual(ReadOnlySpan final)

    let options = CrashCheckOptions.Default.WithModel(model)

    (CrashCheck.run options start workload recovered).Verdict
    <> CrashVerdict.Inconsistent

/// Whether a state is what some number of whole epochs leaves, but for bytes that the next epoch writes.
let private isBetweenEpochs (program: PersistProgram) (state: byte[]) =
    let epochs = PersistProgram.epochs program

    let after count =
        let image = Array.copy start

        for epoch in List.truncate count epochs do
            for write in epoch.Writes do
                write.Bytes.Span.CopyTo(image.AsSpan(int write.Range.Offset))

        image

    let isWritten count at =
        List.skip count epochs
        |> List.truncate 1
        |> List.exists (fun epoch ->
            epoch.Writes
            |> Seq.exists (fun write -> write.Range.Contains(ByteRange.create (int64 at) 1L)))

    seq { 0 .. epochs.Length }
    |> Seq.exists (fun count ->
        let image = after count

        Seq.forall (fun at -> image[at] = state[at] || isWritten count at) (seq { 0 .. sizeBytes - 1 }))

let private leavesWholeEpochs model (program: PersistProgram) =
    let states = CrashStates.ofProgram model start program

    List.contains start states
    && List.contains (program.Run start) states
    && List.forall (isBetweenEpochs program) states

let tests =
    testList
        "persist programs"
        [
            property "append is associative" (fun (a: ProgramSteps) (b: ProgramSteps) (c: ProgramSteps) ->
                let a, b, c = a.Program, b.Program, c.Program

                PersistProgram.append (PersistProgram.append a b) c =
                    PersistProgram.append a (PersistProgram.append b c))

            property "the empty program is the unit of append" (fun (a: ProgramSteps) ->
                PersistProgram.append a.Program PersistProgram.empty = a.Program
                && PersistProgram.append PersistProgram.empty a.Program = a.Program)

            property "running an appended program is running both" (fun (a: ProgramSteps) (b: ProgramSteps) ->
                PersistProgram.run start (PersistProgram.append a.Program b.Program) =
                    (start |> a.Program.Run |> b.Program.Run))

            property "the plan of an epoch flushes the lines of its writes, all and no other" (fun (a: ProgramSteps) ->
                PersistProgram.epochs a.Program
                |> List.forall (fun epoch ->
                    let lines =
                        epoch.Writes
                        |> Seq.filter (fun write -> not write.Range.IsEmpty)
                        |> Seq.collect (fun write -> [ write.Range.Offset / 64L .. (write.Range.End - 1L) / 64L ])
                        |> set

                    epoch.Writes
                    |> Seq.forall (fun write -> FlushPlan.covers write.Range epoch.Plan)
                    && FlushPlan.lineCount epoch.Plan = int64 lines.Count))

            property "equal steps make equal programs with equal hashes" (fun (a: ProgramSteps) ->
                a.Program = a.Program && hash a.Program = hash a.Program)

            property "a simulated memory holds what the pure interpreter says" (fun (a: ProgramSteps) ->
                models
                |> List.forall (fun model -> (runOn model a.Program).ToArray() = PersistProgram.run start a.Program))

            Harness.propertyOf
                (Harness.cases 50 500)
                "after it, the result of the pure interpreter is the only state a crash leaves"
                [ typeof<CrashArbitraries> ]
                (fun (a: ProgramSteps) -> models |> List.forall (fun model -> onlyFinalState model a.Program))

            Harness.propertyOf
                (Harness.cases 100 1000)
                "a crash leaves whole epochs, and of one more any part"
                [ typeof<CrashArbitraries> ]
                (fun (a: SmallProgram) -> models |> List.forall (fun model -> leavesWholeEpochs model a.Program))

            property "a program that is run has no lint but overwriting" (fun (a: ProgramSteps) ->
                let isOverwriting diagnostic =
                    match diagnostic with
                    | OverwrittenBeforeDurable _ -> true
                    | _ -> false

                PersistLint.check PersistencyModel.X86 (runOn PersistencyModel.X86 a.Program).Trace
                |> List.forall isOverwriting)

            testCase "a barrier separates, and two are one" (fun () ->
                let one =
                    persist {
                        writeInt64 0L 1L
                        barrier
                        barrier
                        writeInt64 0L 2L
                    }

                Expect.equal (List.length (PersistProgram.epochs one)) 2 "epochs")

            testCase "an empty program has no epoch, and a barrier adds none" (fun () ->
                Expect.isEmpty (PersistProgram.epochs (PersistProgram.barrier PersistProgram.empty)) "epochs"
                Expect.equal (string PersistProgram.empty) "nothing" "printed")

            testCase "the expression and the fluent form build the same" (fun () ->
                let expression =
                    persist {
                        write 64L "a record"B
                        barrier
                        writeInt64 0L 72L
                        writeInt32 8L 5
                        writeByte 12L 6uy
                        append (persist { writeByte 13L 7uy })
                    }

                let fluent =
                    PersistProgram.Empty
                        .Write(64L, ReadOnlySpan "a record"B)
                        .Barrier()
                        .Write(0L, 72L)
                        .Write(8L, 5)
                        .Write(12L, 6uy)
                        .Append(PersistProgram.Empty.Write(13L, 7uy))

                Expect.equal expression fluent "equal"

                Expect.equal
                    (string expression)
                    (String.concat
                        "\n"
                        [
                            "1: write 64+8 = \"a record\"; flush 64+64; drain"
                            "2: write 0+8 = 72; write 8+4 = 5; write 12+1 = 6; flush 0+64; drain"
                            "3: write 13+1 = 7; flush 0+64; drain"
                        ])
                    "printed")

            testCase "the bytes given can be changed afterwards" (fun () ->
                let bytes = [| 1uy |]
                let program = PersistProgram.write 0L bytes PersistProgram.empty
                bytes[0] <- 2uy
                Expect.equal (program.Run [| 0uy |]) [| 1uy |] "the old bytes")

            testCase "its events carry the line that ran it" (fun () ->
                let memory = RecordedMemory(Array.zeroCreate 8, PersistencyModel.X86)
                let program = persist { writeByte 0L 1uy }
                let line = int __LINE__
                program.RunOn memory

                for recorded in memory.Trace do
                    Expect.equal recorded.Source.Line (line + 1) "line"
                    Expect.stringEnds recorded.Source.File "PersistProgramTests.fs" "file"

                let unknown = RecordedMemory(Array.zeroCreate 8, PersistencyModel.X86)
                PersistProgram.runOn unknown program

                for recorded in unknown.Trace do
                    Expect.equal recorded.Source SourceLine.Unknown "a pipeline has no line")

            testCase "a write outside the memory is refused, and nothing is written" (fun () ->
                let program =
                    persist {
                        writeByte 0L 1uy
                        writeInt64 4L 1L
                    }

                let memory = RecordedMemory(Array.zeroCreate 8, PersistencyModel.X86)

                let refused =
                    Expect.throwsC (fun () -> program.Run(Array.zeroCreate 8) |> ignore) (fun error -> error.Message)

                Expect.stringContains refused "4+8" "the range"
                Expect.stringContains refused "8 bytes" "the memory"
                Expect.throwsT<ArgumentOutOfRangeException> (fun () -> program.RunOn memory) "on a memory"
                Expect.isEmpty memory.Trace "no event"

                Expect.throwsT<ArgumentOutOfRangeException>
                    (fun () -> PersistProgram.write -1L [| 1uy |] PersistProgram.empty |> ignore)
                    "a negative offset")
        ]
