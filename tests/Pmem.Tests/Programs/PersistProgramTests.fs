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
    program.RunOn memory
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
        program.RunOn memory
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
            Harness.law "the plan of an epoch flushes the lines of its writes" (ProgramLaws.EpochsCover id)

            property "a simulated memory holds what the pure interpreter says" (fun (a: PersistProgram) ->
                models
                |> List.forall (fun model -> (runOn model a).ToArray() = PersistProgram.run start a))

            Harness.propertyOf
                (Harness.cases 50 500)
                "after it, the result of the pure interpreter is the only state a crash leaves"
                [ typeof<CrashArbitraries> ]
                (fun (a: PersistProgram) -> models |> List.forall (fun model -> onlyFinalState model a))

            Harness.propertyOf
                (Harness.cases 100 1000)
                "a crash leaves whole epochs, and of one more any part"
                [ typeof<CrashArbitraries> ]
                (fun (a: SmallProgram) -> models |> List.forall (fun model -> leavesWholeEpochs model a.Program))

            property "a program that is run has no lint but overwriting" (fun (a: PersistProgram) ->
                let isOverwriting diagnostic =
                    match diagnostic with
                    | OverwrittenBeforeDurable _ -> true
                    | _ -> false

                PersistLint.check PersistencyModel.X86 (runOn PersistencyModel.X86 a).Trace
                |> List.forall isOverwriting)

            testCase "the bytes given can be changed afterwards" (fun () ->
                let bytes = [| 1uy |]
                let program = PersistProgram.write 0L bytes
                bytes[0] <- 2uy
                Expect.equal (program.Run [| 0uy |]) [| 1uy |] "the old bytes")

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
                    (fun () -> PersistProgram.write -1L [| 1uy |] |> ignore)
                    "a negative offset")
        ]
