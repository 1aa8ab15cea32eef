namespace Pmem.FSharp

open System.Collections.Generic
open Pmem

//  granularity  flush of a range           drain                 source
//  -----------  -------------------------  --------------------  ------------------------------------------------
//  byte         nothing                    the platform's fence  pmem_has_auto_flush(3), Intel SDM vol. 1, 10.4.6.2
//  cache line   one write-back a line      the platform's fence  Intel SDM vol. 2, CLWB; Arm ARM DDI 0487, DC CVAP
//  page         msync(MS_SYNC) of the      nothing: msync has    msync(2)
//               whole pages                waited already

/// From what to make durable to the instructions that do it.
module Lowering =
    let private units (plan: FlushPlan) unitBytes instruction =
        let mutable walk = UnitRanges(plan, unitBytes)
        let instructions = List<Instruction>()

        while walk.MoveNext() do
            instructions.Add(instruction walk.Current)

        List.ofSeq instructions

    let private writeBacks (platform: Platform) kind plan =
        units plan platform.LineSizeBytes (fun range -> WriteBack(kind, range))

    /// The instructions of the flushes of a plan, without its drain.
    let ofFlushes (platform: Platform) (granularity: StoreGranularity) (plan: FlushPlan) =
        if platform.SyncsPages granularity then
            units plan platform.PageSizeBytes SyncPages
        elif granularity = StoreGranularity.Byte then
            []
        else
            writeBacks platform platform.WriteBack plan

    /// The instructions of a drain.
    let ofDrain (platform: Platform) (granularity: StoreGranularity) =
        if platform.SyncsPages granularity then [] else [ Fence ]

    /// The instructions of a whole plan.
    let ofPlan (platform: Platform) (granularity: StoreGranularity) (plan: FlushPlan) =
        ofFlushes platform granularity plan @ ofDrain platform granularity

    /// <summary>The instructions of a plan that must reach the most reliable domain: write-back is never left out.</summary>
    /// <remarks>What the device itself must be told afterwards is its own: <c>DeepFlush</c>.</remarks>
    let ofDeepPlan (platform: Platform) (granularity: StoreGranularity) (plan: FlushPlan) =
        if granularity = StoreGranularity.Page || platform.DeepWriteBack = NoWriteBack then
            units plan platform.PageSizeBytes SyncPages
        else
            writeBacks platform platform.DeepWriteBack plan @ [ Fence ]
