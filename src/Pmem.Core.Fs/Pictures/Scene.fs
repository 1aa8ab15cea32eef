namespace Pmem

open System
open System.Collections.Generic

/// What became of a store in one column.
[<RequireQualifiedAccess>]
type internal Fate =
    | Durable
    | Lost
    | Torn
    /// Nothing has made it durable, and no crash has decided.
    | Open

/// What stands in a column at an event.
[<RequireQualifiedAccess>]
type internal Mark =
    | Stored of Words: string * Fate: Fate
    | WrittenBack
    | Read of Words: string

/// A line of the picture: an event, or events that were folded.
type internal Row =
    {
        /// The number of the event; -1 where the row is none.
        Event: int
        Source: SourceLine
        Words: string
        /// Waits for write-backs: drawn through all columns.
        IsFence: bool
        /// Must not be folded.
        Matters: bool
        Marks: Dictionary<int64, Mark>
    }

/// A store, and the event that made it durable in a column.
[<Struct>]
type internal Cover = { Store: int; By: int; Column: int64 }

/// Rows of time, drawn over columns of memory: lines or pages, by their number.
type internal Scene =
    {
        Rows: Row[]
        Covers: Cover[]
        /// What happened at the end; "" where no power failed.
        Crash: string
        Heading: string
    }

module internal Scene =
    /// More rows are folded.
    [<Literal>]
    let MostRows = 60

    /// More columns are left out.
    [<Literal>]
    let MostColumns = 8

    let columnBytes model =
        match model with
        | PersistencyModel.PageCache -> ModelRules.PageBytes
        | _ -> CacheLine.SizeBytes

    /// The columns of a range, each with its share.
    let private shares (unitBytes: int64) (range: ByteRange) =
        let first = Bounds.unitOf unitBytes range.Offset

        // No column so far behind the first is shown.
        let last =
            min (first + 255L) (Bounds.unitOf unitBytes (max range.Offset (range.End - 1L)))

        if range.IsEmpty then
            [||]
        else
            [|
                for column in first..last -> struct (column, range.Intersect(ByteRange(column * unitBytes, unitBytes)))
            |]

    let row event (recorded: RecordedEvent) =
        {
            Event = event
            Source = recorded.Source
            Words = recorded.Event.ToString()
            IsFence = recorded.Event = Execute Fence
            Matters = false
            Marks = Dictionary()
        }

    /// What stands in a cell: where in the line, and the bytes.
    let private cell (unitBytes: int64) (range: ByteRange) (bytes: ReadOnlyMemory<byte>) =
        String.Concat("+", Words.number (Bounds.offsetInUnit unitBytes range.Offset), ": ", Words.bytes bytes.Span)

    let private mark (unitBytes: int64) (fateOf: ByteRange -> Fate) (row: Row) (event: PersistEvent) =
        match event with
        | Trace.AnyStore(offset, bytes, _) ->
            for struct (column, share) in shares unitBytes (ByteRange(offset, int64 bytes.Length)) do
                let part = ReadOnlyMemory(bytes, int (share.Offset - offset), int share.Length)
                row.Marks[column] <- Mark.Stored(cell unitBytes share part, fateOf share)
        | Execute(WriteBack(_, range))
        | Execute(SyncPages range) ->
            for struct (column, _) in shares unitBytes range do
                row.Marks[column] <- Mark.WrittenBack
        | _ -> ()

    /// Rows beyond the most, folded: what matters and the last of the rest stay.
    let private folded (rows: Row[]) =
        let matter = rows |> Array.filter _.Matters |> Array.length
        let free = max 12 (MostRows - matter)

        let kept =
            Seq.append
                (rows |> Seq.filter _.Matters |> Seq.rev |> Seq.truncate MostRows)
                (rows |> Seq.filter (fun row -> not row.Matters) |> Seq.rev |> Seq.truncate free)
            |> Seq.map _.Event
            |> HashSet

        let fold (left: Row[]) =
            {
                Event = -1
                Source = SourceLine.Unknown
                Words = String.Concat("… ", Words.count (int64 left.Length) "event", " left out")
                IsFence = false
                Matters = false
                Marks = Dictionary()
            }

        if rows.Length <= MostRows then
            rows
        else
            let result = List<Row>()
            let left = List<Row>()

            for row in rows do
                if kept.Contains row.Event then
                    if left.Count > 0 then
                        result.Add(fold (left.ToArray()))
                        left.Clear()

                    result.Add row
                else
                    left.Add row

            if left.Count > 0 then
                result.Add(fold (left.ToArray()))

            result.ToArray()

    /// The columns that are shown: those of what matters first, then those that are used most, and last.
    let columnsOf (rows: Row[]) =
        let weights = Dictionary<int64, struct (int * int)>()

        for i in 0 .. rows.Length - 1 do
            for column in rows[i].Marks.Keys do
                let struct (weight, _) =
                    match weights.TryGetValue column with
                    | true, before -> before
                    | _ -> struct (0, 0)

                weights[column] <- struct (weight + (if rows[i].Matters then 1000 else 1), i)

        weights
        |> Seq.sortByDescending (fun pair -> struct (pair.Value, pair.Key))
        |> Seq.truncate MostColumns
        |> Seq.map _.Key
        |> Seq.sort
        |> Seq.toArray

    /// What each event makes durable, by column.
    let private coversOf model (unitBytes: int64) (events: RecordedEvent[]) =
        let durability = Durability(ModelRules.of' model, null)
        let covers = HashSet<Cover>()

        for i in 0 .. events.Length - 1 do
            let event = events[i].Event
            durability.Enter(i, event) |> ignore
            let forced = durability.Forces event

            for part in forced do
                let pieces = durability.Pending[part.Unit]

                for k in 0 .. pieces.Count - 1 do
                    if part.IsIn[k] then
                        let column = Bounds.unitOf unitBytes (pieces[k].Atom * Atom.SizeBytes)
                        covers.Add { Store = pieces[k].Event; By = i; Column = column } |> ignore

            durability.Apply(event, forced)

        Seq.toArray covers

    /// A scene of events. A store's fate is asked for by its row's number and its share of a column; the numbers are the
    /// events' own in the trace.
    let ofEvents model heading crash (fateOf: int -> ByteRange -> Cover[] -> Fate) (events: RecordedEvent[]) =
        let unitBytes = columnBytes model
        let covers = coversOf model unitBytes events

        let rows =
            [|
                for i in 0 .. events.Length - 1 do
                    let row = row i events[i]
                    mark unitBytes (fun share -> fateOf i share covers) row events[i].Event

                    let matters =
                        row.Marks.Values
                        |> Seq.exists (function
                            | Mark.Stored(_, (Fate.Lost | Fate.Torn)) -> true
                            | _ -> false)

                    { row with Matters = matters || events[i].Event.IsAcknowledge }
            |]

        let rows = folded rows

        { Rows = rows; Covers = covers; Crash = crash; Heading = heading }

    /// A trace that no failure ended: a store is durable where an event covers it.
    let ofTrace model (events: RecordedEvent[]) =
        let unitBytes = columnBytes model

        let fateOf event (share: ByteRange) covers =
            let isCovered (cover: Cover) =
                cover.Column = Bounds.unitOf unitBytes share.Offset && cover.Store = event

            if Array.exists isCovered covers then Fate.Durable else Fate.Open

        ofEvents model "" "" fateOf events

    /// A crash: what its report says was durable and lost.
    let ofMoment model heading (moment: CrashMoment) (indices: int[]) =
        let partsOf (stores: IReadOnlyList<TracedStore>) event (share: ByteRange) =
            stores
            |> Seq.exists (fun store -> store.EventIndex = indices[event] && store.Range.Overlaps share)

        let fateOf event share _ =
            match partsOf moment.Lost event share, partsOf moment.Durable event share with
            | true, true -> Fate.Torn
            | true, false -> Fate.Lost
            | false, true -> Fate.Durable
            | false, false -> Fate.Open

        ofEvents model heading "power failure" fateOf (Seq.toArray moment.Events)

    /// What recovery did last: its reads and stores, in words and where they lie.
    let ofRecovery model heading (accesses: struct (SourceLine * ByteRange * string)[]) =
        let unitBytes = columnBytes model

        let rows =
            [|
                for i in 0 .. accesses.Length - 1 do
                    let struct (source, range, words) = accesses[i]
                    let marks = Dictionary()

                    for struct (column, _) in shares unitBytes range do
                        marks[column] <-
                            Mark.Read(String.Concat("+", Words.number (Bounds.offsetInUnit unitBytes range.Offset)))

                    {
                        Event = i
                        Source = source
                        Words = words
                        IsFence = false
                        Matters = false
                        Marks = marks
                    }
            |]
            |> folded

        { Rows = rows; Covers = [||]; Crash = ""; Heading = heading }
