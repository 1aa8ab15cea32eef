/// Mistakes that hide among more states than can be tried.
module Pmem.Tests.CrashDepthTests

open System
open System.Collections.Generic
open Expecto
open Pmem
open Pmem.Tests.CrashBugs

/// A log of records: the length and the checksum in two words, then the bytes.
module private Records =
    let roomOf (bytes: int) = int64 (bytes + 16 + 63) / 64L * 64L

    let sum coversLength (bytes: ReadOnlySpan<byte>) =
        let mutable sum = if coversLength then 17UL * uint64 (bytes.Length + 1) else 0UL

        for i in 0..8 .. bytes.Length - 8 do
            // Zeros at the end leave the sum as it is: the length is what it does not cover.
            sum <- sum + BitConverter.ToUInt64(bytes.Slice(i, 8)) * uint64 (2 * i + 1)

        int64 (sum ||| 1UL)

    let write coversLength size count (memory: RecordedMemory) =
        for i in 0L .. int64 count - 1L do
            let at = i * roomOf size

            let bytes =
                Array.init size (fun j -> if j < size - 16 then byte (i + int64 j + 1L) else 0uy)

            memory.Store(at + 16L, ReadOnlySpan bytes)
            memory.StoreInt64(at + 8L, sum coversLength (ReadOnlySpan bytes))
            memory.StoreInt64(at, int64 size)
            memory.Persist(at, roomOf size)
            memory.Acknowledge i

    /// Each record whose sum is right must be whole. The length is read from memory, as it may have been torn.
    let recover coversLength size count (memory: CrashedMemory) =
        let mutable i = 0L
        let mutable isRight = true
        let mutable goesOn = true

        while goesOn && i < int64 count do
            let at = i * roomOf size
            let length = memory.ReadInt64 at
            let stored = memory.ReadInt64(at + 8L)

            if stored = 0L then
                goesOn <- false
            else
                let bytes = memory.ReadBytes(at + 16L, int (min (max length 0L) (int64 size)))

                if sum coversLength (ReadOnlySpan bytes) = stored then
                    isRight <- isRight && length = int64 size
                    i <- i + 1L
                else
                    goesOn <- false

        isRight && Seq.forall (fun promised -> promised < i) memory.Acknowledged

let private records =
    [
        for model in [ PersistencyModel.X86; PersistencyModel.Relaxed ] do
            for size in [ 64; 128; 256; 1024; 4096 ] do
                testCase $"{model}: a checksum of {size} bytes that does not cover the length" (fun () ->
                    let count = 20
                    let image = Array.zeroCreate (count * int (Records.roomOf size))

                    // A length of 16 bytes less leaves zeros out, which the sum does not notice.
                    let torn (memory: RecordedMemory) =
                        for i in 0L .. int64 count - 1L do
                            memory.StoreInt64(i * Records.roomOf size, int64 size - 16L)

                        memory.Persist(0L, int64 image.Length)

                    let report =
                        CrashCheck.run
                            (under model)
                            image
                            (fun memory ->
                                torn memory
                                Records.write false size count memory)
                            (Records.recover false size count)

                    Expect.equal report.Verdict CrashVerdict.Inconsistent (string report)
                    printfn "%O, %d bytes: found by recovery run %d" model size report.RecoveryRuns
                    Expect.isLessThan report.RecoveryRuns 10_000L "a tenth of the budget finds it")
    ]

/// A bitmap of independent lines, of which one combination of two is wrong.
let private bitmap lines (memory: RecordedMemory) =
    for i in 0L .. int64 lines - 1L do
        memory.StoreInt64(64L * i, 1L)

    memory.Persist(0L, 64L * int64 lines)

let private pairs =
    [
        for first, second, wrong in [ 3L, 40L, (1L, 0L); 40L, 3L, (1L, 0L); 3L, 40L, (0L, 0L); 3L, 40L, (1L, 1L) ] do
            testCase $"64 independent lines, one wrong pair: {first}, {second} are {wrong}" (fun () ->
                let recovery (memory: CrashedMemory) =
                    let words = [| for i in 0L .. 63L -> memory.ReadInt64(64L * i) |]
                    // Where both are durable, or neither is, others must differ for it to be no end of the search.
                    let isPlain = Array.forall ((=) words[0]) words
                    isPlain || (words[int first], words[int second]) <> wrong

                let report =
                    CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 4096) (bitmap 64) recovery

                Expect.equal report.Verdict CrashVerdict.Inconsistent (string report)
                Expect.isLessThan report.RecoveryRuns 5000L "soon")

        testCase "two words lost of a hundred" (fun () ->
            let recovery (memory: CrashedMemory) =
                let lost =
                    Seq.filter (fun i -> memory.ReadInt64(64L * i) = 0L) (seq { 0L .. 99L })
                    |> Seq.toList

                lost <> [ 31L; 77L ]

            let report =
                CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 6400) (bitmap 100) recovery

            Expect.equal report.Verdict CrashVerdict.Inconsistent (string report)

            Expect.equal
                [ for store in report.Counterexample.Lost -> store.Range.Offset ]
                [ 31L * 64L; 77L * 64L ]
                "lost")

        testCase "two words durable of a hundred" (fun () ->
            let recovery (memory: CrashedMemory) =
                let durable =
                    Seq.filter (fun i -> memory.ReadInt64(64L * i) = 1L) (seq { 0L .. 99L })
                    |> Seq.toList

                durable <> [ 31L; 77L ]

            let report =
                CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 6400) (bitmap 100) recovery

            Expect.equal report.Verdict CrashVerdict.Inconsistent (string report))

        for isLost in [ true; false ] do
            testCase $"two words of a block that is read at once, lost {isLost}" (fun () ->
                let words = 96

                let recovery (memory: CrashedMemory) =
                    let bytes = memory.ReadBytes(0L, 8 * words)

                    let different =
                        [ 0 .. words - 1 ]
                        |> List.filter (fun i -> (BitConverter.ToInt64(bytes, 8 * i) = 0L) = isLost)

                    different <> [ 31; 77 ]

                let report =
                    CrashCheck.run
                        CrashCheckOptions.Default
                        (Array.zeroCreate (8 * words))
                        (fun memory -> memory.Store(0L, ReadOnlySpan(Array.create (8 * words) 1uy)))
                        recovery

                Expect.equal report.Verdict CrashVerdict.Inconsistent (string report))

        testCase "a store of 4 KiB lost as a whole" (fun () ->
            let workload (memory: RecordedMemory) =
                memory.Store(0L, ReadOnlySpan(Array.create 4096 1uy))
                memory.Store(4096L, ReadOnlySpan(Array.create 4096 2uy))
                memory.Persist(0L, 8192L)

            let recovery (memory: CrashedMemory) =
                let isAll value (bytes: byte[]) = Array.forall ((=) value) bytes
                let first = memory.ReadBytes(0L, 4096)
                let second = memory.ReadBytes(4096L, 4096)
                not (isAll 0uy first && isAll 2uy second)

            let report =
                CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate 8192) workload recovery

            Expect.equal report.Verdict CrashVerdict.Inconsistent (string report))
    ]

/// Blocks of which the last 8 bytes are the sum of the others.
module private Blocks =
    let size = 4096

    let private hash (bytes: ReadOnlySpan<byte>) =
        let mutable hash = 1UL

        for i in 0..8 .. bytes.Length - 8 do
            hash <- (hash ^^^ BitConverter.ToUInt64(bytes.Slice(i, 8))) * 0x9E3779B97F4A7C15UL
            hash <- hash ^^^ (hash >>> 29)

        hash

    let xor (bytes: ReadOnlySpan<byte>) =
        let mutable sum = 5L

        for i in 0..8 .. size - 16 do
            sum <- sum ^^^ BitConverter.ToInt64(bytes.Slice(i, 8))

        sum

    let isValid (bytes: ReadOnlySpan<byte>) =
        BitConverter.ToUInt64(bytes.Slice(size - 8)) = hash (bytes.Slice(0, size - 8))

    let make (i: int64) =
        let bytes = Array.init size (fun j -> byte (i * 7L + int64 j + 1L))
        let sum = hash (ReadOnlySpan(bytes, 0, size - 8))
        BitConverter.TryWriteBytes(Span(bytes, size - 8, 8), sum) |> ignore
        bytes

    let write count (memory: RecordedMemory) =
        for i in 0L .. int64 count - 1L do
            memory.Store(i * int64 size, ReadOnlySpan(make i))
            memory.Persist(i * int64 size, int64 size)
            memory.Acknowledge i

    let recover count (memory: CrashedMemory) =
        let bytes: byte[] = Array.zeroCreate size
        let mutable i = 0L

        while i < int64 count
              && memory.ReadValidated(i * int64 size, Span bytes, BlockValidator(fun bytes -> isValid bytes)) do
            i <- i + 1L

        Seq.forall (fun promised -> promised < i) memory.Acknowledged

let private blocks =
    [
        testCase "blocks with checksums are tried to the end, and the verdict says what it rests on" (fun () ->
            let report =
                CrashCheck.run
                    CrashCheckOptions.Default
                    (Array.zeroCreate (20 * Blocks.size))
                    (Blocks.write 20)
                    (Blocks.recover 20)

            Expect.equal report.Verdict CrashVerdict.Consistent (string report)
            Expect.isNonEmpty report.Assumptions "said"
            Expect.stringContains (string report) "Taken for granted" (string report))

        testCase "a validator that accepts a torn block is found out" (fun () ->
            // Right where the first and the last word are, whatever lies between.
            let isRight =
                BlockValidator(fun bytes -> bytes[0] <> 0uy && bytes[bytes.Length - 1] <> 0uy)

            let recovery (memory: CrashedMemory) =
                let bytes: byte[] = Array.zeroCreate Blocks.size

                not (memory.ReadValidated(0L, Span bytes, isRight))
                || Blocks.isValid (ReadOnlySpan bytes)

            let report =
                CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate Blocks.size) (Blocks.write 1) recovery

            Expect.equal report.Verdict CrashVerdict.Inconsistent (string report))

        for model in [ PersistencyModel.X86; PersistencyModel.Relaxed; PersistencyModel.PageCache ] do
            for kept in [ false; true ] do
                testCase $"{model}: two lines that a sum by xor does not miss, kept {kept}" (fun () ->
                    let before = Blocks.make 2L
                    let block = Array.copy before

                    // Two words of each line change, in each line otherwise, but in two lines alike.
                    for line in 0..63 do
                        let change = uint64 (1 + (if line = 40 then 17 else line)) * 0x9E3779B97F4A7C15UL

                        for word, change in [ 1, change; 2, change >>> 7 ] do
                            let at = 64 * line + 8 * word

                            BitConverter.GetBytes(BitConverter.ToUInt64(before, at) ^^^ change).CopyTo(block, at)

                    for bytes in [ before; block ] do
                        BitConverter.GetBytes(Blocks.xor (ReadOnlySpan bytes)).CopyTo(bytes, Blocks.size - 8)

                    let isValid =
                        BlockValidator(fun bytes ->
                            BitConverter.ToInt64(bytes.Slice(Blocks.size - 8)) = Blocks.xor bytes)

                    let recovery (memory: CrashedMemory) =
                        let bytes: byte[] = Array.zeroCreate Blocks.size

                        not (memory.ReadValidated(0L, Span bytes, isValid))
                        || bytes = before
                        || bytes = block
                        || (bytes[8] = before[8]) <> kept

                    let report =
                        CrashCheck.run
                            (under model)
                            before
                            (fun memory -> memory.Store(0L, ReadOnlySpan block))
                            recovery

                    Expect.equal report.Verdict CrashVerdict.Inconsistent (string report))

        for model in [ PersistencyModel.X86; PersistencyModel.Relaxed; PersistencyModel.Eadr ] do
            testCase $"{model}: a validator sees each word and each line alone" (fun () ->
                let seen = HashSet<struct (bool * int * int)>()

                let add isDurable (words: int[]) =
                    match words with
                    | [| word |] -> seen.Add(struct (isDurable, 1, word)) |> ignore
                    | [||] -> ()
                    | _ ->
                        let line = words[0] / 8

                        if words = [| 8 * line .. 8 * line + 7 |] then
                            seen.Add(struct (isDurable, 8, line)) |> ignore

                let isValid =
                    BlockValidator(fun bytes ->
                        let durable: int[] = Array.zeroCreate (Blocks.size / 8)

                        for i in 0 .. durable.Length - 1 do
                            durable[i] <- int bytes[8 * i]

                        let wordsWhere isDurable =
                            [| 0 .. durable.Length - 1 |]
                            |> Array.filter (fun i -> (durable[i] = 1) = isDurable)

                        add true (wordsWhere true)
                        add false (wordsWhere false)
                        Array.forall ((=) 1) durable)

                let workload (memory: RecordedMemory) =
                    memory.Store(0L, ReadOnlySpan(Array.create Blocks.size 1uy))
                    memory.Persist(0L, int64 Blocks.size)

                let recovery (memory: CrashedMemory) =
                    memory.ReadValidated(0L, Span(Array.zeroCreate Blocks.size), isValid) |> ignore
                    true

                let report =
                    CrashCheck.run (under model) (Array.zeroCreate Blocks.size) workload recovery

                Expect.equal report.Verdict CrashVerdict.Consistent (string report)

                for isDurable in [ true; false ] do
                    let count size =
                        seen
                        |> Seq.filter (fun struct (is, words, _) -> is = isDurable && words = size)
                        |> Seq.length

                    Expect.equal (count 1) (Blocks.size / 8) $"words, durable {isDurable}"
                    Expect.equal (count 8) (Blocks.size / 64) $"lines, durable {isDurable}")

        testCase "a promise before the block is durable is found" (fun () ->
            let workload (memory: RecordedMemory) =
                memory.Store(0L, ReadOnlySpan(Blocks.make 0L))
                memory.Acknowledge 0L

            let report =
                CrashCheck.run CrashCheckOptions.Default (Array.zeroCreate Blocks.size) workload (Blocks.recover 1)

            Expect.equal report.Verdict CrashVerdict.Inconsistent (string report))

        testCase "on other memory the block is read and validated" (fun () ->
            let memory = RecordedMemory(Blocks.make 3L, PersistencyModel.X86)
            let bytes: byte[] = Array.zeroCreate Blocks.size

            Expect.isTrue
                (memory.ReadValidated(0L, Span bytes, BlockValidator(fun bytes -> Blocks.isValid bytes)))
                "valid"

            Expect.equal bytes (Blocks.make 3L) "read"
            memory.StoreByte(100L, 0uy)

            Expect.isFalse
                (memory.ReadValidated(0L, Span bytes, BlockValidator(fun bytes -> Blocks.isValid bytes)))
                "not valid")
    ]

let tests =
    testList "crash depth" [ testList "records" records; testList "pairs" pairs; testList "blocks" blocks ]
