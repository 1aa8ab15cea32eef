namespace Pmem

open System
open System.Buffers.Binary

/// A set of crash states as a table: a row a state, a column a word in which they differ.
module internal StateTable =
    [<Literal>]
    let private MostStates = 64

    [<Literal>]
    let private MostWords = 8

    [<Literal>]
    let private ColumnWidth = 130

    /// The bytes of a word of an image, fewer where the image ends in it.
    let private word (image: byte[]) (atom: int) =
        let start = atom * int Atom.SizeBytes
        ReadOnlySpan(image, start, min (int Atom.SizeBytes) (image.Length - start)).ToArray()

    let private differing (states: byte[][]) =
        let count = if states.Length = 0 then 0 else (states[0].Length + 7) / 8

        [|
            for atom in 0 .. count - 1 do
                let first = word states[0] atom

                if states |> Array.exists (fun state -> word state atom <> first) then
                    atom
        |]

    let private inWords (bytes: byte[]) =
        if bytes.Length = 8 then
            Words.number (BinaryPrimitives.ReadInt64LittleEndian(ReadOnlySpan bytes))
        else
            Words.bytes (ReadOnlySpan bytes)

    let draw title (states: byte[][]) =
        let svg = Svg()
        let all = differing states
        let atoms = Array.truncate MostWords all
        let shown = Array.truncate MostStates states
        svg.Text "p-name" 12 26 title
        svg.Text "p-dim" 12 56 "state"

        for i in 0 .. atoms.Length - 1 do
            let offset = Words.number (int64 atoms[i] * Atom.SizeBytes)
            svg.Text "p-name" (96 + ColumnWidth * i) 56 (String.Concat("word ", offset))

        for row in 0 .. shown.Length - 1 do
            let y = 66 + 24 * row
            svg.Text "p-dim" 12 (y + 16) (Words.number (int64 row + 1L))

            for i in 0 .. atoms.Length - 1 do
                let x = 90 + ColumnWidth * i
                let bytes = word shown[row] atoms[i]
                let isFirst = bytes = word states[0] atoms[i]
                svg.Box (if isFirst then "p-open" else "p-durable") x (y + 2) (ColumnWidth - 12) 19
                svg.Text (if isFirst then "p-text" else "p-on") (x + 6) (y + 16) (Svg.Cut 14 (inWords bytes))

        let bottom = 66 + 24 * shown.Length

        let left =
            String.Concat(
                [|
                    "Outlined: as in state 1. Filled: not so."
                    (if shown.Length < states.Length then
                         String.Concat(" Left out: ", Words.count (int64 (states.Length - shown.Length)) "state", ".")
                     else
                         "")
                    (if atoms.Length < all.Length then
                         String.Concat(" Left out: ", Words.count (int64 (all.Length - atoms.Length)) "word", ".")
                     else
                         "")
                |]
            )

        svg.Text "p-dim" 12 (bottom + 22) left

        let description =
            String.Concat(Words.count (int64 states.Length) "state", " of memory after a power failure, word by word.")

        svg.Document (max 520 (102 + ColumnWidth * atoms.Length)) (bottom + 40) title description
