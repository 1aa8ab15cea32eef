namespace Pmem

open System.Collections.Generic

//  granularity  flush of a range           drain                 source
//  -----------  -------------------------  --------------------  ------------------------------------------------
//  byte         nothing                    the platform's fence  pmem_has_auto_flush(3), Intel SDM vol. 1, 10.4.6.2
//  cache line   one write-back a line      the platform's fence  Intel SDM vol. 2, CLWB; Arm ARM DDI 0487, DC CVAP
//  page         msync(MS_SYNC) of the      nothing: msync has    msync(2)
//               whole pages                waited already

/// From what to make durable to the instructions that do it.
module Lowering =
    let internal isByPage (platform: Platform) granularity =
        granularity = StoreGranularity.Page
        || (granularity = StoreGranularity.CacheLine && platform.WriteBack = NoWriteBack)

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
        if isByPage platform granularity then
            units plan platform.PageSizeBytes SyncPages
        elif granularity = StoreGranularity.Byte then
            []
        else
            writeBacks platform platform.WriteBack plan

    /// The instructions of a drain.
    let ofDrain (platform: Platform) (granularity: StoreGranularity) =
        if isByPage platform granularity then [] else [ Fence ]

    /// The instructions of a whole plan.
    let ofPlan (platform: Platform) (granularity: StoreGranularity) (plan: FlushPlan) =
        ofFlushes platform granularity plan @ ofDrain platform granularity

    /// <summary>The instructions of a plan that must reach the most reliable domain: write-back is never left out.</summary>
    /// <remarks>What the device itself must be told afterwards is <see cref="T:Pmem.DeepFlush"/>.</remarks>
    let ofDeepPlan (platform: Platform) (granularity: StoreGranularity) (plan: FlushPlan) =
        if granularity = StoreGranularity.Page || platform.DeepWriteBack = NoWriteBack then
            units plan platform.PageSizeBytes SyncPages
        else
            writeBacks platform platform.DeepWriteBack plan @ [ Fence ]

/// What the file of a region that tells the device to flush its buffers was found to be:
/// <c>/sys/bus/nd/devices/regionN/deep_flush</c>.
[<RequireQualifiedAccess>]
type DeepFlushState =
    /// The memory belongs to no region that could be found.
    | NoRegion
    /// The region has no such file (an old kernel).
    | NoFile
    /// 0: the device has no buffers that the power-failure flush does not already reach.
    | NotNeeded
    /// 1, and this process may write it.
    | Writable
    /// 1, and this process may not write it.
    | Forbidden

/// What a deep drain does after the fence.
[<RequireQualifiedAccess>]
type DeepFlush =
    /// Nothing: the fence was enough.
    | Nothing
    /// Write 1 to the region's file.
    | WriteRegion
    /// msync the range: the file system tells the device.
    | SyncPages

/// Deciding how far a deep drain goes.
module DeepFlush =
    /// <summary>
    /// The region's file where it can be written; else msync, by which a DAX file system makes the driver do the same
    /// (Linux, drivers/nvdimm/pmem.c, REQ_PREFLUSH); a device has no file system, so there a forbidden or unknown
    /// file is refused and not passed over, as libpmem does.
    /// </summary>
    let decide (kind: MappingKind) (state: DeepFlushState) =
        match kind, state with
        | PageCache, _ -> Accepted DeepFlush.SyncPages
        | _, DeepFlushState.NotNeeded -> Accepted DeepFlush.Nothing
        | _, DeepFlushState.Writable -> Accepted DeepFlush.WriteRegion
        | FileDax, _ -> Accepted DeepFlush.SyncPages
        | DeviceDax, DeepFlushState.Forbidden ->
            Refused(NoWayToPersist "its region asks for a deep flush, but this process may not write deep_flush")
        | DeviceDax, _ ->
            Refused(NoWayToPersist "its region does not say whether a deep flush is needed (no deep_flush in sysfs)")
