namespace Pmem

open System
open System.Collections.Generic
open System.Runtime.InteropServices
open FsCheck
open FsCheck.FSharp

/// Generators and shrinkers of the core's values: small ones first, and never one that its constructor refuses.
module internal Generators =
    /// The bytes that ranges lie in: a few pages, so that lines and pages are shared, crossed and missed.
    [<Literal>]
    let SpaceBytes = 20_000L

    /// The memory that programs and traces are for: two pages and a little, no whole number of lines.
    [<Literal>]
    let MemoryBytes = 4196

    /// Few places, so that stores meet: words of two lines, at the end of a line, in another page, at the end of memory.
    let private places = [ 0L; 4L; 8L; 16L; 56L; 64L; 72L; 4096L; 4104L; 4184L ]

    /// Every element left out, halves first, then every element made simpler. It ends: each candidate is smaller.
    let shrinkList (simpler: 'T -> 'T seq) (items: 'T list) =
        seq {
            let count = List.length items

            if count > 3 then
                List.truncate (count / 2) items
                List.skip (count / 2) items

            for i in 0 .. count - 1 do
                List.removeAt i items

            for i in 0 .. count - 1 do
                for item in simpler (List.item i items) do
                    List.updateAt i item items
        }

    /// Values of which each shrinks to those before it.
    let simplestFirst (values: 'T list) : Arbitrary<'T> =
        Arb.fromGenShrink (
            Gen.elements values,
            fun value -> values |> Seq.takeWhile (fun simpler -> not (Object.Equals(simpler, value)))
        )

    let shrinkRange (range: ByteRange) =
        seq {
            for length in [ 0L; 1L; range.Length / 2L; range.Length - 1L ] do
                if 0L <= length && length < range.Length then
                    ByteRange(range.Offset, length)

            for offset in [ 0L; range.Offset / 2L; range.Offset - range.Offset % 64L; range.Offset - 1L ] do
                if 0L <= offset && offset < range.Offset then
                    ByteRange(offset, range.Length)
        }

    /// It grows from 0 to 100 in the course of a run.
    let size = Gen.sized Gen.constant

    /// What a size allows of something.
    let private upTo (most: int64) size =
        max 1L (min most (most * int64 (max 0 size) / 50L))

    let rangeWithin bytes =
        gen {
            let! size = size

            let! length =
                Gen.frequency
                    [
                        1, Gen.constant 0L
                        6, Gen.choose64 (1L, upTo 200L size)
                        2, Gen.choose64 (1L, upTo 9000L size)
                    ]

            let length = min length bytes
            let! offset = Gen.choose64 (0L, min (bytes - length) (upTo bytes size))
            return ByteRange(offset, length)
        }

    let range = rangeWithin SpaceBytes

    let plan = Gen.map FlushPlan.ofRanges (Gen.listOf range)

    let shrinkPlan plan =
        FlushPlan.ranges plan |> shrinkList shrinkRange |> Seq.map FlushPlan.ofRanges

    let private flag = Gen.elements [ false; true ]

    let private setting = Gen.elements [ None; None; Some "0"; Some "1" ]

    let private environment =
        gen {
            let! values = Gen.listOfLength PmemEnvironment.Variables.Count setting

            let isSwitch name =
                name <> "PMEM_MMAP_HINT"
                && name <> "PMEM_MOVNT_THRESHOLD"
                && name <> "PMEM_VECTOR_BITS"

            let set = Dictionary<string, string>()

            for name, value in Seq.zip PmemEnvironment.Variables values do
                if isSwitch name then
                    value |> Option.iter (fun value -> set[name] <- value)

            return set
        }

    let facts =
        gen {
            let! architecture =
                Gen.frequency
                    [
                        9, Gen.elements [ Architecture.X64; Architecture.Arm64 ]
                        1, Gen.constant Architecture.S390x
                    ]

            let! flags = Gen.listOfLength 6 flag
            let! lineSizeBytes = Gen.elements [ 64L; 64L; 32L; 128L; 256L ]
            let! pageSizeBytes = Gen.elements [ 4096L; 4096L; 16384L; 65536L ]
            let! vectorBits = Gen.elements [ 0; 128; 256; 512 ]

            let! domains =
                Gen.listOf (Gen.elements [ "cpu_cache"; "cpu_cache"; "memory_controller"; "unknown" ])

            let! environment = environment

            return
                {
                    Architecture = architecture
                    HasClflush = flags[0]
                    HasClflushOpt = flags[1]
                    HasClwb = flags[2]
                    HasDcCvap = flags[3]
                    HasDcCvadp = flags[4]
                    CanRunMachineCode = flags[5]
                    LineSizeBytes = lineSizeBytes
                    PageSizeBytes = pageSizeBytes
                    VectorBits = vectorBits
                    PersistenceDomains = List.toArray domains
                    Environment = environment
                }
        }

    let private environmentOf (pairs: KeyValuePair<string, string> seq) =
        let values = Dictionary<string, string>()

        for pair in pairs do
            values[pair.Key] <- pair.Value

        values

    /// Towards an ordinary machine: 64-byte lines, 4096-byte pages, no environment, no region.
    let shrinkFacts (facts: PlatformFacts) =
        seq {
            for pair in facts.Environment do
                { facts with
                    Environment = environmentOf (Seq.filter ((<>) pair) facts.Environment)
                }

            if facts.PersistenceDomains.Count > 0 then
                { facts with
                    PersistenceDomains = Seq.toArray (Seq.tail facts.PersistenceDomains)
                }

            if facts.LineSizeBytes <> 64L then
                { facts with LineSizeBytes = 64L }

            if facts.PageSizeBytes <> 4096L then
                { facts with PageSizeBytes = 4096L }

            if facts.VectorBits <> 0 then
                { facts with VectorBits = 0 }
        }

    /// Of machines that this library knows, most of which can write lines back.
    let ordinaryFacts =
        gen {
            let! facts = facts
            let! canRun = Gen.frequency [ 5, Gen.constant true; 1, Gen.constant false ]

            let architecture =
                if facts.Architecture = Architecture.S390x then
                    Architecture.X64
                else
                    facts.Architecture

            return
                { facts with
                    Architecture = architecture
                    CanRunMachineCode = canRun
                    Environment = Dictionary()
                }
        }

    /// Facts that the generator makes are never refused.
    let platformOf facts =
        match Platform.Decide facts with
        | Ok platform -> platform
        | Error refusal -> invalidOp (refusal.ToString())

    let private bytesOf length =
        Gen.choose (1, 255) |> Gen.map byte |> Gen.arrayOfLength length

    let private store =
        gen {
            let! offset = Gen.elements places

            let! length =
                Gen.frequency [ 6, Gen.constant 8; 2, Gen.elements [ 1; 4 ]; 1, Gen.constant 12 ]

            let! bytes = bytesOf length
            return offset, bytes
        }

    let private lines =
        gen {
            let! line = Gen.elements [ 0L; 64L; 4096L; 4160L ]
            let! length = Gen.frequency [ 4, Gen.constant 64L; 1, Gen.constant 128L ]
            return ByteRange(line, length)
        }

    let private writeBack =
        Gen.map2
            (fun kind range -> Execute(WriteBack(kind, range)))
            (Gen.frequency
                [
                    4, Gen.constant Clwb
                    1, Gen.constant ClflushOpt
                    2, Gen.constant Clflush
                    1, Gen.constant DcCvap
                    1, Gen.constant NoWriteBack
                ])
            lines

    let event =
        Gen.frequency
            [
                8, Gen.map Store store
                3, Gen.map StoreNonTemporal store
                4, writeBack
                3, Gen.constant (Execute Fence)
                1, Gen.map (fun range -> Execute(SyncPages(ByteRange.alignOut 4096L range))) lines
                1, Gen.map Acknowledge (Gen.choose64 (0L, 9L))
            ]

    let private simplerStore (make: int64 * byte[] -> PersistEvent) (offset: int64, bytes: byte[]) =
        seq {
            if bytes.Length > 8 then
                make (offset, Array.truncate 8 bytes)

            if offset > 0L then
                make (0L, bytes)

            if Array.exists ((<>) 1uy) bytes then
                make (offset, Array.create bytes.Length 1uy)
        }

    let shrinkEvent event =
        match event with
        | Store(offset, bytes) -> simplerStore Store (offset, bytes)
        | StoreNonTemporal(offset, bytes) ->
            Seq.append [ Store(offset, bytes) ] (simplerStore StoreNonTemporal (offset, bytes))
        | Execute(WriteBack(kind, range)) when kind <> Clwb -> Seq.singleton (Execute(WriteBack(Clwb, range)))
        | _ -> Seq.empty

    /// A write, or nothing for a barrier.
    let private step =
        gen {
            let! size = size
            let! anywhere = Gen.choose64 (0L, upTo (int64 MemoryBytes - 100L) size)
            let! offset = Gen.elements (anywhere :: places)
            let! length = Gen.elements [ 0; 1; 8; 8; 16; 50; 100 ]
            let! bytes = bytesOf (min length (MemoryBytes - int offset))
            return! Gen.frequency [ 3, Gen.constant (Some(offset, bytes)); 1, Gen.constant None ]
        }

    let private programOf steps =
        steps
        |> List.map (function
            | Some(offset, bytes) -> PersistProgram.write offset bytes
            | None -> PersistProgram.barrier)
        |> PersistProgram.concat

    let program =
        Gen.listOf step |> Gen.scaleSize (fun size -> size / 4) |> Gen.map programOf

    let private simplerStep step =
        match step with
        | None -> Seq.empty
        | Some(offset, bytes: byte[]) ->
            seq {
                if bytes.Length > 0 then
                    Some(offset, Array.truncate (bytes.Length / 2) bytes)

                if offset > 0L then
                    Some(0L, bytes)
            }

    let shrinkProgram (program: PersistProgram) =
        [
            for i, epoch in List.indexed (PersistProgram.epochs program) do
                if i > 0 then
                    None

                for write in epoch.Writes do
                    Some(write.Range.Offset, write.Bytes.ToArray())
        ]
        |> shrinkList simplerStep
        |> Seq.map programOf

    /// The sets of flags that a copy may be given.
    let copyOptions =
        [ 0..63 ]
        |> List.map enum<PmemCopyOptions>
        |> List.filter (fun flags -> CopyPlan.check (Platform.X64 Clwb) flags = Ok())

    let models =
        [
            PersistencyModel.X86
            PersistencyModel.Eadr
            PersistencyModel.PageCache
            PersistencyModel.Relaxed
        ]

    /// Small budgets: a property tries many.
    let crashOptions =
        gen {
            let! model = Gen.elements models
            let! budget = Gen.choose64 (100L, 2000L)
            let! recoveryCrashes = Gen.elements [ 0; 1 ]
            let! seed = Gen.choose64 (0L, 1000L)
            let! strategy = Gen.elements [ CrashStrategy.Exhaustive; CrashStrategy.Sampled seed ]

            return
                CrashCheckOptions.Default
                    .WithModel(model)
                    .WithBudget(budget)
                    .WithRecoveryCrashes(recoveryCrashes)
                    .WithStrategy(strategy)
        }

    let shrinkCrashOptions (options: CrashCheckOptions) =
        seq {
            if options.Strategy <> CrashStrategy.Exhaustive then
                options.WithStrategy CrashStrategy.Exhaustive

            if options.RecoveryCrashes > 0 then
                options.WithRecoveryCrashes 0

            if options.Model <> PersistencyModel.X86 then
                options.WithModel PersistencyModel.X86
        }
