namespace Pmem

open System
open System.Globalization
open Pmem.FSharp

//  line                        event
//  --------------------------  -------------------------------------------------------------------------------------------
//  pmem-trace 1                the first line: what this is, and the version of the format
//  length BYTES                the second: the length of the memory
//  store OFFSET HEX            stored with ordinary stores: the bytes in the order of memory, two digits each
//  store-past-cache OFFSET HEX stored with non-temporal stores
//  clwb OFFSET LENGTH          lines written back; or clflushopt, clflush, dc-cvap, dc-cvadp
//  fence                       SFENCE, MFENCE, DSB or a locked instruction
//  msync OFFSET LENGTH         pages synchronised by the operating system
//  acknowledge NUMBER          a caller was promised that this operation survives
//  … @ FILE:LINE               after any event: the source line that caused it
//  # …                         a comment; empty lines are skipped too

/// One event in a line of text, and back.
module internal TraceText =
    [<Literal>]
    let Heading = "pmem-trace 1"

    [<Literal>]
    let private SourceMark = " @ "

    let private writeBacks =
        [|
            struct ("clwb", Clwb)
            struct ("clflushopt", ClflushOpt)
            struct ("clflush", Clflush)
            struct ("dc-cvap", DcCvap)
            struct ("dc-cvadp", DcCvadp)
            struct ("no-write-back", NoWriteBack)
        |]

    let private nameOf kind =
        let struct (name, _) =
            writeBacks |> Array.find (fun struct (_, known) -> known = kind)

        name

    let private ofStore (word: string) offset (bytes: byte[]) =
        String.Concat([| word; " "; Words.number offset; " "; Convert.ToHexStringLower bytes |])

    let private ofRange (word: string) (range: ByteRange) =
        String.Concat([| word; " "; Words.number range.Offset; " "; Words.number range.Length |])

    let private ofSource (source: SourceLine) =
        if source.IsKnown then
            let file = source.File.Replace('\n', ' ').Replace('\r', ' ')
            String.Concat(SourceMark, file, ":", Words.number (int64 source.Line))
        else
            ""

    /// The line of an event.
    let ofEvent (recorded: RecordedEvent) =
        let event =
            match recorded.Event with
            | Store(offset, bytes) -> ofStore "store" offset bytes
            | StoreNonTemporal(offset, bytes) -> ofStore "store-past-cache" offset bytes
            | Execute(WriteBack(kind, range)) -> ofRange (nameOf kind) range
            | Execute Fence -> "fence"
            | Execute(SyncPages range) -> ofRange "msync" range
            | Acknowledge operation -> String.Concat("acknowledge ", Words.number operation)

        String.Concat(event, ofSource recorded.Source)

    let private refuse (words: string list) =
        raise (FormatException(String.Concat words))

    let private numberOf (text: string) =
        match Int64.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture) with
        | true, value -> value
        | _ -> refuse [ "\""; text; "\" is no whole number" ]

    let private bytesOf (text: string) =
        if text.Length % 2 <> 0 || not (Seq.forall Char.IsAsciiHexDigit text) then
            refuse [ "\""; text; "\" is no row of bytes, two hexadecimal digits each" ]

        Convert.FromHexString text

    let private within lengthBytes (range: ByteRange voption) =
        match range with
        | ValueSome range when range.IsWithin lengthBytes -> range
        | _ ->
            refuse
                [
                    "it does not lie in the memory, which has "
                    Words.number lengthBytes
                    " bytes"
                ]

    /// Lines and pages are written back whole, and so may end after the memory does.
    let private touching (lengthBytes: int64) (range: ByteRange voption) =
        match range with
        | ValueSome range when range.Offset < lengthBytes -> range
        | _ -> within lengthBytes range

    let private sourceOf (text: string) =
        let colon = text.LastIndexOf ':'

        match Int32.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture) with
        | true, line when colon > 0 -> SourceLine(text.Substring(0, colon), line)
        | _ -> refuse [ "\""; text; "\" is no source line, FILE:LINE" ]

    let private storeOf lengthBytes (offset: string) (hex: string) =
        let bytes = bytesOf hex
        let range = ByteRange.tryCreate (numberOf offset) (int64 bytes.Length)
        (within lengthBytes range).Offset, bytes

    let private parse lengthBytes (line: string) =
        let range (offset: string) (length: string) =
            touching lengthBytes (ByteRange.tryCreate (numberOf offset) (numberOf length))

        match line.Split(' ', StringSplitOptions.RemoveEmptyEntries) with
        | [| "store"; offset; hex |] -> Store(storeOf lengthBytes offset hex)
        | [| "store-past-cache"; offset; hex |] -> StoreNonTemporal(storeOf lengthBytes offset hex)
        | [| "fence" |] -> Execute Fence
        | [| "msync"; offset; length |] -> Execute(SyncPages(range offset length))
        | [| "acknowledge"; operation |] -> Acknowledge(numberOf operation)
        | [| word; offset; length |] ->
            match writeBacks |> Array.tryFind (fun struct (name, _) -> name = word) with
            | Some(struct (_, kind)) -> Execute(WriteBack(kind, range offset length))
            | None -> refuse [ "\""; word; "\" is no event" ]
        | _ -> refuse [ "\""; line; "\" is no event" ]

    /// The event of a line.
    let eventOf lengthBytes (line: string) =
        match line.IndexOf(SourceMark, StringComparison.Ordinal) with
        | -1 -> RecordedEvent(parse lengthBytes line, SourceLine.Unknown)
        | mark ->
            let source = sourceOf (line.Substring(mark + SourceMark.Length).Trim())
            RecordedEvent(parse lengthBytes (line.Substring(0, mark)), source)

    let lengthOf (line: string) =
        match line.Split(' ', StringSplitOptions.RemoveEmptyEntries) with
        | [| "length"; bytes |] when numberOf bytes > 0L -> numberOf bytes
        | _ -> refuse [ "\"length BYTES\" must follow the heading, not \""; line; "\"" ]

    /// What a line is read by, with the number of the line in its error.
    let at (number: int) (read: string -> 'T) (line: string) =
        try
            read line
        with :? FormatException as error ->
            raise (
                FormatException(String.Concat("Line ", Words.number (int64 number), ": ", error.Message, "."), error)
            )
