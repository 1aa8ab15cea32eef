namespace Pmem

/// What the file of a region that tells the device to flush its buffers was found to be:
/// <c>/sys/bus/nd/devices/regionN/deep_flush</c>.
[<RequireQualifiedAccess>]
type internal DeepFlushState =
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
type internal DeepFlush =
    /// Nothing: the fence was enough.
    | Nothing
    /// Write 1 to the region's file.
    | WriteRegion
    /// msync the range: the file system tells the device.
    | SyncPages

    /// <summary>
    /// The region's file where it can be written; else msync, by which a DAX file system makes the driver do the same
    /// (Linux, drivers/nvdimm/pmem.c, REQ_PREFLUSH); a device has no file system, so there a forbidden or unknown
    /// file is refused and not passed over, as libpmem does. Of adopted memory that of a device alone has a region here.
    /// </summary>
    static member Decide(kind: MappingKind, state: DeepFlushState) =
        match kind, state with
        | PrivateCopy, _
        | Anonymous, _ -> Ok DeepFlush.Nothing
        | PageCache, _
        | Adopted, DeepFlushState.NoRegion -> Ok DeepFlush.SyncPages
        | _, DeepFlushState.NotNeeded -> Ok DeepFlush.Nothing
        | _, DeepFlushState.Writable -> Ok DeepFlush.WriteRegion
        | FileDax, _ -> Ok DeepFlush.SyncPages
        | _, DeepFlushState.Forbidden ->
            Error(NoWayToPersist "its region asks for a deep flush, but this process may not write deep_flush")
        | _, _ ->
            Error(NoWayToPersist "its region does not say whether a deep flush is needed (no deep_flush in sysfs)")
