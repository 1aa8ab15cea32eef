namespace Pmem

open System.Collections.Generic

/// What msync of whole pages has still to do, where flushes and drains are told of lines.
[<Sealed>]
type internal PageSync() =
    /// Stored to, at all or past the cache, and not synced since.
    let dirty = HashSet<int64>()

    /// Stored to past the cache, and not synced since.
    let undrained = HashSet<int64>()

    /// Flushed, and not drained since: whole pages.
    let noted = List<ByteRange>()

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

    let isIn unitBytes (range: ByteRange) (set: HashSet<int64>) =
        if Bounds.unitOf unitBytes range.Length < int64 set.Count then
            Seq.exists set.Contains (units unitBytes range)
        else
            set
            |> Seq.exists (fun unit -> ByteRange(unit * unitBytes, unitBytes).Overlaps(range.AlignOut unitBytes))

    member _.Store(range: ByteRange, isNonTemporal) =
        for page in units ModelRules.PageBytes range do
            dirty.Add page |> ignore

            if isNonTemporal then
                undrained.Add page |> ignore

        if not isNonTemporal then
            unflushed.UnionWith(units CacheLine.SizeBytes range)

    /// Notes what the next drain must sync for a range to be flushed, as the executor does. Nothing is where all that was
    /// stored to its lines went with another line of their page; where nothing was stored, the flush is kept as it was written.
    member _.Flush(range: ByteRange) =
        let wasStoredTo = remove CacheLine.SizeBytes range unflushed

        if isIn ModelRules.PageBytes range dirty || not wasStoredTo then
            noted.Add(range.AlignOut ModelRules.PageBytes)

    /// The pages that a drain must sync, neighbours merged.
    member _.Drain() =
        for page in undrained do
            noted.Add(ByteRange(page * ModelRules.PageBytes, ModelRules.PageBytes))

        let ranges = FlushPlan.Of(noted.ToArray()).Ranges.ToArray()
        noted.Clear()
        undrained.Clear()

        for range in ranges do
            remove ModelRules.PageBytes range dirty |> ignore

        ranges
