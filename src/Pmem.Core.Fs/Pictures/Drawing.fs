namespace Pmem

open System
open System.Collections.Generic

/// Scenes as SVG: time runs down, a column a line or page, source lines at the margin.
module internal Drawing =
    [<Literal>]
    let private RowHeight = 24

    [<Literal>]
    let private ColumnWidth = 136

    [<Literal>]
    let private SourceWidth = 150

    /// Where the columns begin.
    [<Literal>]
    let private Margin = 420

    let private left column = Margin + ColumnWidth * column

    let private drawStored (svg: Svg) x y words (fate: Fate) =
        let width = ColumnWidth - 34
        let words: string = Svg.Cut 12 words

        match fate with
        | Fate.Durable ->
            svg.Box "p-durable" x (y + 2) width (RowHeight - 5)
            svg.Text "p-on" (x + 5) (y + 16) words
        | Fate.Lost ->
            svg.Box "p-lost" x (y + 2) width (RowHeight - 5)
            svg.Text "p-gone" (x + 5) (y + 16) words
        | Fate.Torn ->
            svg.Box "p-lost" x (y + 2) width (RowHeight - 5)
            svg.Box "p-durable" x (y + 2) 14 (RowHeight - 5)
            svg.Text "p-text" (x + 19) (y + 16) (Svg.Cut 10 words)
        | Fate.Open ->
            svg.Box "p-open" x (y + 2) width (RowHeight - 5)
            svg.Text "p-text" (x + 5) (y + 16) words

    let private drawMark (svg: Svg) x y mark =
        match mark with
        | Mark.Stored(words, fate) -> drawStored svg (x + 28) y words fate
        | Mark.WrittenBack ->
            let x = x + 14
            svg.Path "p-mark" [| x - 6; y + 8; x + 6; y + 8; x; y + 17 |]
            svg.Text "p-dim" (x + 14) (y + 16) "written back"
        | Mark.Read words ->
            svg.Path "p-fence" [| x + 34; y + 7; x + 28; y + 12; x + 34; y + 17 |]
            svg.Text "p-text" (x + 40) (y + 16) words

    let private fateWord (row: Row) =
        let has fate =
            row.Marks.Values
            |> Seq.exists (function
                | Mark.Stored(_, found) -> found = fate
                | _ -> false)

        if has Fate.Torn || (has Fate.Lost && has Fate.Durable) then "torn"
        elif has Fate.Lost then "LOST"
        elif has Fate.Durable then "durable"
        else ""

    let private drawRow (svg: Svg) (columns: int64[]) y (row: Row) =
        if row.Source.IsKnown then
            svg.Text "p-dim" 12 (y + 16) (Svg.Cut 22 (row.Source.ToString()))

        svg.Text "p-text" SourceWidth (y + 16) (Svg.Cut 28 row.Words)
        let fate = fateWord row
        svg.Text (if fate = "durable" then "p-dim" else "p-alarm") (Margin - 62) (y + 16) fate

        for i in 0 .. columns.Length - 1 do
            match row.Marks.TryGetValue columns[i] with
            | true, mark -> drawMark svg (left i) y mark
            | _ -> ()

    /// A bar from the stores that an event covers to the event, a dot at each, and the fence through all columns.
    let private drawCovers (svg: Svg) (columns: int64[]) top (scene: Scene) =
        let places = Dictionary<int, int>()

        for i in 0 .. scene.Rows.Length - 1 do
            if scene.Rows[i].Event >= 0 then
                places[scene.Rows[i].Event] <- top + RowHeight * i + RowHeight / 2

        for row in scene.Rows do
            if row.IsFence then
                let covers = scene.Covers |> Array.exists (fun cover -> cover.By = row.Event)
                let y = places[row.Event]

                svg.Path (if covers then "p-fence" else "p-fence p-idle") [| Margin; y; left columns.Length; y |]

        for struct (by, column), covers in scene.Covers |> Array.groupBy (fun cover -> struct (cover.By, cover.Column)) do
            let index = Array.IndexOf(columns, column)

            if index >= 0 && places.ContainsKey by then
                let x = left index + 14
                let stores = covers |> Array.filter (fun cover -> places.ContainsKey cover.Store)

                if stores.Length > 0 then
                    let first = stores |> Array.map (fun cover -> places[cover.Store]) |> Array.min
                    svg.Path "p-cover" [| x; first; x; places[by] |]

                    for cover in stores do
                        svg.Path "p-cover" [| x; places[cover.Store]; x + 13; places[cover.Store] |]

                svg.Dot "p-durable" x places[by]

    let private drawCrash (svg: Svg) right y words =
        let points =
            [| 0 .. (right - 12) / 12 |]
            |> Array.collect (fun i -> [| 12 + 12 * i; (if i % 2 = 0 then y + 9 else y + 15) |])

        svg.Path "p-crash" points
        svg.Text "p-alarm" 12 (y + 34) (String.Concat("✗ ", words))

    let private drawHead (svg: Svg) (unitBytes: int64) (columns: int64[]) top bottom =
        let noun = if unitBytes = CacheLine.SizeBytes then "line " else "page "
        svg.Text "p-dim" 12 (top - 10) "source"
        svg.Text "p-dim" SourceWidth (top - 10) "what happens, time running down"

        for i in 0 .. columns.Length - 1 do
            svg.Box "p-column" (left i + 2) (top - 28) (ColumnWidth - 4) (bottom - top + 32)
            svg.Text "p-name" (left i + 10) (top - 10) (String.Concat(noun, Words.number (columns[i] * unitBytes)))

    let private legend (svg: Svg) y =
        let at index = 12 + 170 * index
        drawStored svg (at 0) y "durable" Fate.Durable
        drawStored svg (at 1) y "lost" Fate.Lost
        drawStored svg (at 2) y "torn" Fate.Torn
        drawStored svg (at 3) y "may be lost" Fate.Open
        svg.Path "p-cover" [| at 4; y + 3; at 4; y + 20 |]
        svg.Dot "p-durable" (at 4) (y + 18)
        svg.Text "p-dim" (at 4 + 10) (y + 16) "covered by"

    let private heightOf (scene: Scene) =
        (if scene.Heading = "" then 0 else RowHeight)
        + RowHeight * scene.Rows.Length
        + (if scene.Crash = "" then 0 else 44)

    let private drawScene svg columns right (y: int) (scene: Scene) =
        let top = if scene.Heading = "" then y else y + RowHeight

        if scene.Heading <> "" then
            (svg: Svg).Text "p-name" 12 (y + 16) scene.Heading

        drawCovers svg columns top scene

        for i in 0 .. scene.Rows.Length - 1 do
            drawRow svg columns (top + RowHeight * i) scene.Rows[i]

        if scene.Crash <> "" then
            drawCrash svg right (top + RowHeight * scene.Rows.Length) scene.Crash

        y + heightOf scene

    /// The scenes below each other, over the same columns, and closing lines of text.
    let ofScenes model title description (closing: string[]) (scenes: Scene[]) =
        let svg = Svg()
        let unitBytes = Scene.columnBytes model
        let all = scenes |> Array.collect _.Rows
        let columns = Scene.columnsOf all
        let used = all |> Seq.collect _.Marks.Keys |> Seq.distinct |> Seq.length
        let right = max (left columns.Length) 860
        let top = 72
        let bottom = top + Array.sumBy heightOf scenes
        svg.Text "p-name" 12 26 (Svg.Cut (right / 8) title)
        drawHead svg unitBytes columns top bottom
        let mutable y = top

        for scene in scenes do
            y <- drawScene svg columns right y scene

        let closing =
            if used > columns.Length then
                Array.append
                    closing
                    [|
                        String.Concat("Not shown: ", Words.count (int64 (used - columns.Length)) "column", ".")
                    |]
            else
                closing

        for words in closing do
            svg.Text "p-text" 12 (y + 24) (Svg.Cut 130 words)
            y <- y + 20

        legend svg (y + 20)
        svg.Document (right + 12) (y + 60) title description
