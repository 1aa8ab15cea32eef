module Pmem.Tests.LoweringTests

open Expecto
open Pmem
open Pmem.Tests.Generators

let private writtenBack instructions =
    instructions
    |> List.choose (function
        | WriteBack(_, range) -> Some range
        | _ -> None)

let private synced instructions =
    instructions
    |> List.choose (function
        | SyncPages range -> Some range
        | _ -> None)

let private covers (ranges: ByteRange list) (plan: FlushPlan) =
    FlushPlan.ranges plan
    |> List.forall (fun range -> ranges |> List.exists (fun r -> r.Contains range))

let private isWhole unitBytes (ranges: ByteRange list) =
    ranges
    |> List.forall (fun r -> r.Offset % unitBytes = 0L && r.Length % unitBytes = 0L && r.Length > 0L)
    && ranges |> List.pairwise |> List.forall (fun (l, r) -> l.End < r.Offset)

/// What a plan becomes, said a second time and differently: per granularity, all that must hold.
let private isRight (platform: Platform) granularity plan instructions =
    match granularity with
    | StoreGranularity.Byte -> instructions = [ Fence ]
    | StoreGranularity.CacheLine when platform.WriteBack <> NoWriteBack ->
        List.last instructions = Fence
        && List.length (List.filter ((=) Fence) instructions) = 1
        && List.isEmpty (synced instructions)
        && isWhole platform.LineSizeBytes (writtenBack instructions)
        && covers (writtenBack instructions) plan
        && instructions
           |> List.forall (function
               | WriteBack(kind, _) -> kind = platform.WriteBack
               | _ -> true)
    | _ ->
        not (List.contains Fence instructions)
        && List.isEmpty (writtenBack instructions)
        && isWhole platform.PageSizeBytes (synced instructions)
        && covers (synced instructions) plan

let tests =
    testList
        "lowering"
        [
            property
                "is right for every platform and granularity"
                (fun (platform: Platform) granularity (plan: FlushPlan) ->
                    isRight platform granularity plan (Lowering.ofPlan platform granularity plan))

            property "touches no unit that the plan does not" (fun (platform: Platform) granularity (plan: FlushPlan) ->
                let instructions = Lowering.ofPlan platform granularity plan

                List.append (writtenBack instructions) (synced instructions)
                |> List.forall (fun range ->
                    let unitBytes =
                        if List.isEmpty (synced instructions) then
                            platform.LineSizeBytes
                        else
                            platform.PageSizeBytes

                    seq { range.Offset .. unitBytes .. range.End - 1L }
                    |> Seq.forall (fun offset ->
                        FlushPlan.ranges plan
                        |> List.exists (fun r -> r.Overlaps(ByteRange.create offset unitBytes)))))

            Harness.law
                "covers the plan"
                (LoweringLaws.Covers(fun platform granularity plan -> Lowering.ofPlan platform granularity plan))

            Harness.law
                "flushes, then drains"
                (LoweringLaws.Executes(fun platform granularity plan ->
                    Lowering.ofFlushes platform granularity plan
                    @ Lowering.ofDrain platform granularity))

            property
                "never leaves out the write-back of a deep persist"
                (fun (platform: Platform) granularity (plan: FlushPlan) ->
                    let instructions = Lowering.ofDeepPlan platform granularity plan
                    let ranges = writtenBack instructions @ synced instructions

                    covers ranges plan
                    && (granularity = StoreGranularity.Page
                        || platform.DeepWriteBack = NoWriteBack
                        || List.last instructions = Fence))

            testCase "a fence follows CLFLUSH too"
            <| fun () ->
                let plan = FlushPlan.ofRanges [ ByteRange.create 0L 1L ]
                let platform = Platform.x64 Clflush

                Expect.equal
                    (Lowering.ofPlan platform StoreGranularity.CacheLine plan)
                    [ WriteBack(Clflush, ByteRange.create 0L 64L); Fence ]
                    "instructions"

                Expect.equal platform.Fence Mfence "AMD orders CLFLUSH by MFENCE only"
                Expect.equal (Platform.x64 Clwb).Fence Sfence "CLWB"
                Expect.equal (Platform.x64 ClflushOpt).Fence Sfence "CLFLUSHOPT"
                Expect.equal (Platform.arm64 DcCvap).Fence DsbSy "Arm64"

            testCase "lines in one larger line are written back once"
            <| fun () ->
                let platform =
                    match Platform.Decide { (Platform.arm64 DcCvap).Facts with LineSizeBytes = 256L } with
                    | Ok platform -> platform
                    | Error reason -> failtest (string reason)

                let plan =
                    FlushPlan.ofRanges [ ByteRange.create 0L 1L; ByteRange.create 128L 1L; ByteRange.create 1024L 1L ]

                Expect.equal
                    (Lowering.ofPlan platform StoreGranularity.CacheLine plan)
                    [
                        WriteBack(DcCvap, ByteRange.create 0L 256L)
                        WriteBack(DcCvap, ByteRange.create 1024L 256L)
                        Fence
                    ]
                    "instructions"

            testCase "a deep drain does what the region asks for"
            <| fun () ->
                let decided kind state =
                    match DeepFlush.Decide(kind, state) with
                    | Ok action -> Some action
                    | Error _ -> None

                Expect.equal (decided FileDax DeepFlushState.NotNeeded) (Some DeepFlush.Nothing) "0"
                Expect.equal (decided FileDax DeepFlushState.Writable) (Some DeepFlush.WriteRegion) "1"
                Expect.equal (decided FileDax DeepFlushState.Forbidden) (Some DeepFlush.SyncPages) "1, not permitted"
                Expect.equal (decided FileDax DeepFlushState.NoFile) (Some DeepFlush.SyncPages) "no file"
                Expect.equal (decided FileDax DeepFlushState.NoRegion) (Some DeepFlush.SyncPages) "no region"
                Expect.equal (decided DeviceDax DeepFlushState.NotNeeded) (Some DeepFlush.Nothing) "device, 0"
                Expect.equal (decided DeviceDax DeepFlushState.Writable) (Some DeepFlush.WriteRegion) "device, 1"
                Expect.equal (decided DeviceDax DeepFlushState.Forbidden) None "device, not permitted: refused"
                Expect.equal (decided DeviceDax DeepFlushState.NoRegion) None "device, unknown: refused"
                Expect.equal (decided PageCache DeepFlushState.Writable) (Some DeepFlush.SyncPages) "page cache"
                Expect.equal (decided Adopted DeepFlushState.NoRegion) (Some DeepFlush.SyncPages) "adopted, no device"
                Expect.equal (decided Adopted DeepFlushState.NotNeeded) (Some DeepFlush.Nothing) "adopted, a device, 0"

                Expect.equal
                    (decided Adopted DeepFlushState.Writable)
                    (Some DeepFlush.WriteRegion)
                    "adopted, a device, 1"

                Expect.equal (decided Adopted DeepFlushState.Forbidden) None "adopted, a device, not permitted: refused"
        ]
