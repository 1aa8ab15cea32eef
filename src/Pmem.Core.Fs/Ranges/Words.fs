namespace Pmem

open System
open System.Buffers.Binary
open System.Globalization
open System.Text

/// Numbers and bytes in the words of a report.
module internal Words =
    let number (value: int64) =
        value.ToString CultureInfo.InvariantCulture

    /// The parts of a sentence, one after the other.
    let say (parts: string list) = String.Concat parts

    /// A sentence with its {0}, {1} … filled in.
    let fill (sentence: string) (values: string list) =
        String.Format(CultureInfo.InvariantCulture, sentence, [| for value in values -> box value |])

    /// A count and its noun; the plural takes an s.
    let count (value: int64) (noun: string) =
        String.Concat(number value, " ", noun, (if value = 1L then "" else "s"))

    let private isPrintable (value: byte) = value >= 32uy && value < 127uy

    let private hex (bytes: ReadOnlySpan<byte>) =
        let text = StringBuilder "0x"

        for value in bytes do
            text.Append(value.ToString("x2", CultureInfo.InvariantCulture)) |> ignore

        text.ToString()

    let private isText (bytes: ReadOnlySpan<byte>) =
        let mutable all = bytes.Length > 2

        for value in bytes do
            all <- all && isPrintable value

        all

    /// The longest run of bytes that a report shows whole.
    [<Literal>]
    let private ShownBytes = 24

    /// A word as a little-endian number, text as text, other bytes in hexadecimal; long ones are cut.
    let bytes (bytes: ReadOnlySpan<byte>) =
        let shown = bytes.Slice(0, min bytes.Length ShownBytes)
        let rest = if shown.Length < bytes.Length then "…" else ""

        if isText shown then
            String.Concat("\"", Encoding.ASCII.GetString shown, rest, "\"")
        else
            match bytes.Length with
            | 1 -> number (int64 bytes[0])
            | 2 -> number (int64 (BinaryPrimitives.ReadInt16LittleEndian bytes))
            | 4 -> number (int64 (BinaryPrimitives.ReadInt32LittleEndian bytes))
            | 8 -> number (BinaryPrimitives.ReadInt64LittleEndian bytes)
            | _ -> String.Concat(hex shown, rest)

    /// The error of an offset and a length that are no range of a memory, or of none.
    let noRange (what: string) (offset: int64) (length: int64) (sizeBytes: int64) =
        if length < 0L then
            ArgumentOutOfRangeException("length", length, String.Concat(what, " has a length of 0 or more bytes."))
        else
            ArgumentOutOfRangeException(
                "offset",
                String.Concat(
                    [|
                        what
                        " of "
                        number offset
                        "+"
                        number length
                        " does not lie in the memory, which has "
                        number sizeBytes
                        " bytes."
                    |]
                )
            )

    /// Refuses an offset at which no word lies.
    let requireWord (offset: int64) =
        if offset % 8L <> 0L then
            raise (
                ArgumentException(
                    String.Concat("A word lies at a multiple of 8 bytes, not at offset ", number offset, "."),
                    "offset"
                )
            )
