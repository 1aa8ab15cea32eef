namespace Pmem

open System.Collections.Generic

/// What msync of whole pages has still to do, where flushes and drains are told of lines.
[<Sealed>]
type internal PageSync() =
    /// Stored to, at all or past the cache, and not synced since.
    let dirty = HashSet<int64>()

    let undrained = HashSet<int64>()

    /// Stored to, not past the cache, and not flushed since, though their page may have been synced for another line.
    let unflushed = HashSet<int64>()

    let units (unitBytes: int64) (range: ByteRange) =
        if range.IsEmpty then
            Seq.empty
        else
            seq { Bounds.unitOf unitBytes range.Offset .. Bounds.unitOf unitBytes (range.End - 1L) }

    /// Takes the units of a range out of a set, and says whether one was in it. The range may be far longer than the set.
    let remove unitBytes (range: ByteRange) (set: HashSet<int64>) =
        if Bounds.unitOf unitBytes range.Length < int64 set.Count then
            let mutable wasIn = false

            for unit in units unitBytes range do
                if set.Remove unit then
                    wasIn <- true

            wasIn
        else
            set.RemoveWhere(fun unit -> ByteRange(unit * unitBytes, unitBytes).Overlaps(range.AlignOut unitBytes)) > 0

    member _.Store(range: ByteRange, isNonTemporal) =
        for page in units ModelRules.PageBytes range do
            dirty.Add page |> ignore

            if isNonTemporal then
                undrained.Add page |> ignore

        if not isNonTemporal then
            unflushed.UnionWith(units CacheLine.SizeBytes range)

    /// Whether the pages of a range must be synced for it to be flushed. They need not be where all that was stored to its
    /// lines went with another line of their page; where nothing was stored, the flush is executed as it was written.
    member _.Flush(range: ByteRange) =
        let isDirty = remove ModelRules.PageBytes range dirty
        remove ModelRules.PageBytes range undrained |> ignore
        let wasStoredTo = remove CacheLine.SizeBytes range unflushed
        isDirty || not wasStoredTo

    /// The pages that a drain must sync, neighbours merged.
    member _.Drain() =
        let pages = Seq.toArray undrained
        dirty.ExceptWith pages
        undrained.Clear()

        FlushPlan
            .Of(
                pages
                |> Array.map (fun page -> ByteRange(page * ModelRules.PageBytes, ModelRules.PageBytes))
            )
            .Ranges.ToArray()
