/// The expression, its words, and the source lines that they leave in a program.
module Pmem.Tests.ProgramSyntaxTests

open System
open System.IO
open Expecto
open Pmem

let private writesOf (program: PersistProgram) =
    [
        for epoch in PersistProgram.epochs program do
            yield! epoch.Writes
    ]

/// The lines of the writes, counted from a line.
let private linesFrom (first: int) program =
    writesOf program |> List.map (fun write -> write.Source.Line - first)

let private other = persist { writeByte 200L 1uy }

/// Every construct that the expression has.
let private everything (values: int64 list) isLast =
    persist {
        let first = 64L
        write first [| 1uy; 2uy |]
        let mutable at = first + 8L

        for value in values do
            match value with
            | 0L -> barrier
            | value -> writeInt64 at value

            at <- at + 8L

        if isLast then
            barrier

        while at % 32L <> 0L do
            writeByte at 255uy
            at <- at + 1L

        use stream = new MemoryStream([| 7uy |])
        writeByte 5L (byte (stream.ReadByte()))

        try
            writeInt32 12L (Int32.Parse "no number")
        with :? FormatException ->
            writeInt32 12L 3

        yield! other
        if not isLast then barrier else other
        writeValue 16L 1.0
    }

let tests =
    testList
        "persist expression"
        [
            testCase "a barrier separates, and two are one" (fun () ->
                let two =
                    persist {
                        writeInt64 0L 1L
                        barrier
                        barrier
                        writeInt64 0L 2L
                    }

                Expect.equal (List.length (PersistProgram.epochs two)) 2 "epochs")

            testCase "an empty program has no epoch, and a barrier adds none" (fun () ->
                Expect.isEmpty (PersistProgram.epochs (persist { () })) "nothing"
                Expect.isEmpty (PersistProgram.epochs PersistProgram.barrier) "a barrier"
                Expect.notEqual PersistProgram.barrier PersistProgram.empty "but it is another value"
                Expect.equal (string PersistProgram.empty) "nothing" "printed"
                Expect.equal (string PersistProgram.barrier) "barrier" "printed")

            testCase "the expression, the fluent form and the sum build the same" (fun () ->
                let expression =
                    persist {
                        write 64L "a record"B
                        barrier
                        writeInt64 0L 72L
                        writeInt32 8L 5
                        writeByte 12L 6uy
                        persist { writeByte 13L 7uy }
                    }

                let fluent =
                    PersistProgram.Empty
                        .Write(64L, ReadOnlySpan "a record"B)
                        .Barrier()
                        .Write(0L, 72L)
                        .Write(8L, 5)
                        .Write(12L, 6uy)
                        .Append(PersistProgram.Empty.Write(13L, 7uy))

                let sum =
                    PersistProgram.concat
                        [
                            write 64L "a record"B
                            barrier
                            writeInt64 0L 72L + writeInt32 8L 5
                            writeByte 12L 6uy
                            PersistProgram.writeValue 13L 7uy
                        ]

                Expect.equal expression fluent "fluent"
                Expect.equal expression sum "sum"

                Expect.equal
                    (string expression)
                    (String.concat
                        "\n"
                        [
                            "1: write 64+8 = \"a record\"; flush 64+64; drain"
                            "2: write 0+8 = 72; write 8+4 = 5; write 12+1 = 6; write 13+1 = 7; flush 0+64; drain"
                        ])
                    "printed")

            testCase "for, while, if, match, let mutable, use, try and yield! are there" (fun () ->
                let values isLast =
                    everything [ 5L; 0L; 6L ] isLast
                    |> PersistProgram.epochs
                    |> List.map (fun epoch -> [ for write in epoch.Writes -> write.Range.Offset, write.Range.Length ])

                let rest = [ 5L, 1L; 12L, 4L; 200L, 1L ]

                Expect.equal
                    (values true)
                    [ [ 64L, 2L; 72L, 8L ]; [ 88L, 8L ]; rest @ [ 200L, 1L; 16L, 8L ] ]
                    "closed in between"

                Expect.equal
                    (values false)
                    [ [ 64L, 2L; 72L, 8L ]; [ 88L, 8L ] @ rest; [ 16L, 8L ] ]
                    "closed before the last"

                Expect.equal
                    (everything [] true
                     |> PersistProgram.epochs
                     |> List.last
                     |> (fun epoch -> epoch.Writes.Count))
                    (24 + rest.Length + 2)
                    "a loop with a condition")

            testCase "each write knows the line of its statement" (fun () ->
                let first = int __LINE__

                let program =
                    persist {
                        writeByte 0L 1uy

                        for i in 1L .. 2L do
                            writeByte i 1uy

                        other

                        if first > 0 then
                            writeByte 3L 1uy
                    }

                Expect.equal (linesFrom first program |> List.take 3) [ 4; 7; 7 ] "a loop has one line"

                Expect.equal
                    (linesFrom first program |> List.item 3)
                    (linesFrom first other).Head
                    "a program keeps its own lines"

                Expect.equal (linesFrom first program |> List.last) 12 "inside a condition"

                for write in writesOf program do
                    Expect.stringEnds write.Source.File "ProgramSyntaxTests.fs" "file")

            testCase
                "the fluent form knows its lines, and a sum gets those of the statement that takes it in"
                (fun () ->
                    let first = int __LINE__
                    let fluent = PersistProgram.Empty.Write(0L, 1L).Write(8L, ReadOnlySpan [| 1uy |])
                    let sum = write 0L [| 1uy |] + writeByte 1L 1uy
                    Expect.equal (linesFrom first fluent) [ 1; 1 ] "fluent"
                    Expect.all (writesOf sum) (fun write -> not write.Source.IsKnown) "no line outside the braces"
                    let taken = persist { sum }
                    Expect.equal (linesFrom first taken) [ 5; 5 ] "taken in")

            testCase "stores are told with the line of their write, flush and drain with the caller's" (fun () ->
                let memory = RecordedMemory(Array.zeroCreate 64, PersistencyModel.X86)
                let first = int __LINE__
                let program = persist { writeByte 0L 1uy } + write 1L [| 1uy |]
                program.RunOn memory

                Expect.equal
                    [ for recorded in memory.Trace -> recorded.Source.Line - first ]
                    [ 1; 2; 2; 2 ]
                    "write, write without a line, flush, drain")
        ]
