namespace Pmem

open System
open System.Text

/// SVG as text. Everything that is drawn is styled by a class, so that one style sheet serves light, dark and print.
[<Sealed>]
type internal Svg() =
    let text = StringBuilder()

    /// The fates differ in fill, border and lettering as well as in colour: they are told apart in black and white.
    static member Style =
        String.Join(
            "\n",
            [|
                ".p-back { fill: #ffffff } .p-name { fill: #14181f; font-weight: 600 } .p-text { fill: #14181f } .p-dim { fill: #5b6573 }"
                ".p-column { fill: #f4f6f9 } .p-rule { stroke: #c3cad4; stroke-width: 1; fill: none }"
                ".p-durable { fill: #14507a; stroke: #14507a } .p-on { fill: #ffffff }"
                ".p-lost { fill: none; stroke: #b3261e; stroke-width: 1.6; stroke-dasharray: 5 3 } .p-gone { fill: #b3261e; text-decoration: line-through }"
                ".p-open { fill: none; stroke: #5b6573; stroke-width: 1.4 }"
                ".p-mark { fill: #14181f; stroke: none } .p-cover { stroke: #14507a; stroke-width: 3; fill: none } .p-fence { stroke: #14507a; stroke-width: 1.6; fill: none }"
                ".p-idle { stroke-dasharray: 2 4 } .p-crash { stroke: #b3261e; stroke-width: 2.4; fill: none } .p-alarm { fill: #b3261e; font-weight: 700 }"
                "@media (prefers-color-scheme: dark) {"
                ".p-back { fill: #10141a } .p-name, .p-text { fill: #eef1f5 } .p-dim { fill: #9aa5b3 } .p-column { fill: #1a2029 } .p-rule { stroke: #3a4452 }"
                ".p-durable { fill: #8cc8f2; stroke: #8cc8f2 } .p-on { fill: #0c1218 } .p-lost { stroke: #ff8a80 } .p-gone { fill: #ff8a80 }"
                ".p-open { stroke: #9aa5b3 } .p-mark { fill: #eef1f5 } .p-cover, .p-fence { stroke: #8cc8f2 } .p-crash { stroke: #ff8a80 } .p-alarm { fill: #ff8a80 }"
                "}"
            |]
        )

    /// A text as XML holds it: what XML has no place for becomes a question mark.
    static member Escape(words: string) =
        let escaped = StringBuilder()

        for letter in words do
            match letter with
            | '&' -> escaped.Append "&amp;"
            | '<' -> escaped.Append "&lt;"
            | '>' -> escaped.Append "&gt;"
            | '"' -> escaped.Append "&quot;"
            | letter when Char.IsControl letter || Char.IsSurrogate letter -> escaped.Append '?'
            | letter -> escaped.Append letter
            |> ignore

        escaped.ToString()

    /// The text, cut to so many letters.
    static member Cut (letters: int) (words: string) =
        if words.Length <= letters then
            words
        else
            String.Concat(words.Substring(0, letters - 1), "…")

    member _.Raw(words: string) =
        text.Append(words).Append('\n') |> ignore

    /// An element without contents: its name, its class, and its attributes, as in "x", 4.
    member private svg.Shape (name: string) (style: string) (attributes: struct (string * string)[]) =
        text.Append('<').Append(name).Append(" class=\"").Append(style).Append('"')
        |> ignore

        for struct (key, value) in attributes do
            text.Append(' ').Append(key).Append("=\"").Append(value).Append('"') |> ignore

        svg.Raw "/>"

    member svg.Box style (x: int) (y: int) (width: int) (height: int) =
        svg.Shape
            "rect"
            style
            [|
                struct ("x", Words.number (int64 x))
                struct ("y", Words.number (int64 y))
                struct ("width", Words.number (int64 width))
                struct ("height", Words.number (int64 height))
                struct ("rx", "3")
            |]

    member svg.Dot style (x: int) (y: int) =
        svg.Shape
            "circle"
            style
            [|
                struct ("cx", Words.number (int64 x))
                struct ("cy", Words.number (int64 y))
                struct ("r", "4.5")
            |]

    /// A path through points that are given in turn, as in 0, 0, 10, 0.
    member svg.Path style (points: int[]) =
        let at index = Words.number (int64 points[index])

        let steps =
            [|
                for i in 0..2 .. points.Length - 2 -> String.Concat((if i = 0 then "M" else "L"), at i, " ", at (i + 1))
            |]

        svg.Shape "path" style [| struct ("d", String.Join(" ", steps)) |]

    member _.Text (style: string) (x: int) (y: int) (words: string) =
        text
            .Append("<text class=\"")
            .Append(style)
            .Append("\" x=\"")
            .Append(Words.number (int64 x))
            .Append("\" y=\"")
            .Append(Words.number (int64 y))
            .Append("\">")
            .Append(Svg.Escape words)
            .Append("</text>\n")
        |> ignore

    /// The whole picture, with its size, its name and what it says in words.
    member _.Document (width: int) (height: int) (title: string) (description: string) =
        let size =
            String.Concat(Words.number (int64 width), "\" height=\"", Words.number (int64 height))

        String.Concat(
            [|
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\""
                size
                "\" viewBox=\"0 0 "
                Words.number (int64 width)
                " "
                Words.number (int64 height)
                "\" role=\"graphics-document document\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<title>"
                Svg.Escape title
                "</title>\n<desc>"
                Svg.Escape description
                "</desc>\n<style>\n"
                Svg.Style
                "\n</style>\n<rect class=\"p-back\" width=\"100%\" height=\"100%\"/>\n"
                text.ToString()
                "</svg>\n"
            |]
        )
