namespace Pmem

open System
open System.Globalization
open Pmem.FSharp

//  fact                                                                          source
//  ----------------------------------------------------------------------------  ---------------------------------------
//  elements are parted by '|', between START and STOP; numbers are hexadecimal   pmreorder(1), PMEMCHECK STORE LOG;
//    REGISTER_FILE;NAME;ADDRESS;LENGTH;OFFSET   STORE;ADDRESS;VALUE;SIZE[;TRACE]   pmemcheck, pmc_main.c; pmreorder,
//    FLUSH;ADDRESS;SIZE   FENCE                                                  memoryoperations.py
//  a store's value is a number of SIZE bytes in the machine's order: on x86-64,
//    and on ppc64le, the least significant first                                 the same
//  a trace is FUNCTION (FILE:LINE), innermost first                              valgrind, VG_(describe_IP)
//  other elements are markers (NAME.BEGIN, NAME.END) and pmreorder's engines     pmreorder(1), INSTRUMENTATION
//  lines of valgrind's own begin with ==PID==                                    valgrind manual, 2.3
//  pmemcheck tells no non-temporal store, CLFLUSH or CLWB from another: it logs
//    a store and a flush                                                         pmemcheck manual, 12.1

/// The log of stores that pmemcheck writes, which pmreorder reads too.
module internal PmemcheckLog =
    type private Region = { Name: string; Address: int64; LengthBytes: int64 }

    let private refuse (words: string list) =
        raise (FormatException(String.Concat words))

    let private numberOf (text: string) =
        let digits =
            text.AsSpan(if text.StartsWith("0x", StringComparison.Ordinal) then 2 else 0)

        let isNumber, value =
            UInt64.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)

        if not isNumber then
            refuse [ "\""; text; "\" is no hexadecimal number" ]

        int64 value

    /// The elements between START and STOP, or all where there is neither; without comments and valgrind's own lines.
    let private elements (lines: string seq) =
        let all =
            lines
            |> Seq.map (fun line ->
                let line = line.Split('#').[0]
                if line.StartsWith("==", StringComparison.Ordinal) then "" else line)
            |> Seq.collect (fun line -> line.Split '|')
            |> Seq.map (fun element -> element.Trim())
            |> Seq.filter (fun element -> element.Length > 0)
            |> Seq.toArray

        let start = Array.LastIndexOf(all, "START")
        let stop = Array.LastIndexOf(all, "STOP")
        if stop > start then all[start + 1 .. stop - 1] else all[start + 1 ..]

    let private bytesOf (value: string) (size: int64) =
        if size < 1L || size > 8L then
            refuse [ "a store of "; Words.number size; " bytes; pmemcheck logs stores of 1 to 8" ]

        let number = uint64 (numberOf value)
        Array.init (int size) (fun i -> byte (number >>> (8 * i)))

    /// As in "list_insert (list.c:133)".
    let private sourceOf (trace: string) =
        let first = trace.LastIndexOf '('
        let colon = trace.LastIndexOf ':'

        match
            Int32.TryParse(trace.Substring(colon + 1).TrimEnd ')', NumberStyles.None, CultureInfo.InvariantCulture)
        with
        | true, line when first >= 0 && colon > first -> SourceLine(trace.Substring(first + 1, colon - first - 1), line)
        | _ -> SourceLine.Unknown

    let private isNamed (file: string) (region: Region) =
        file.Length = 0
        || region.Name = file
        || region.Name.EndsWith(String.Concat("/", file), StringComparison.Ordinal)

    /// Where nothing is registered: from the page of the lowest store to the end of the page of the highest.
    let private unregistered (stores: struct (int64 * int64)[]) =
        if stores.Length = 0 then
            refuse [ "it has neither a registered file nor a store" ]

        let first = stores |> Array.map (fun struct (address, _) -> address) |> Array.min

        let last =
            stores |> Array.map (fun struct (address, size) -> address + size) |> Array.max

        let range = ByteRange(first, last - first).AlignOut 4096L
        { Name = ""; Address = range.Offset; LengthBytes = range.Length }

    let private regionOf file (elements: string[][]) =
        let registered =
            elements
            |> Array.choose (fun element ->
                match element with
                | [| "REGISTER_FILE"; name; address; length; _ |] ->
                    Some { Name = name; Address = numberOf address; LengthBytes = numberOf length }
                | _ -> None)
            |> Array.filter (isNamed file)

        match registered with
        | [| one |] when one.LengthBytes < 1L ->
            refuse [ one.Name; " is registered with "; Words.number one.LengthBytes; " bytes" ]
        | [| one |] -> one
        | [||] when file.Length = 0 ->
            elements
            |> Array.choose (fun element ->
                if element[0] = "STORE" && element.Length >= 4 then
                    Some(struct (numberOf element[1], numberOf element[3]))
                else
                    None)
            |> unregistered
        | [||] -> refuse [ "no file is registered as \""; file; "\"" ]
        | many ->
            let names = many |> Array.map (fun region -> region.Name)
            refuse [ "several files are registered; name one of: "; String.Join(", ", names) ]

    let private eventOf (region: Region) (element: string[]) =
        let within (address: string) size =
            match ByteRange.tryCreate (numberOf address - region.Address) size with
            | ValueSome range when range.Offset < region.LengthBytes -> Some range
            | _ -> None

        match element with
        | _ when element[0] = "STORE" && element.Length >= 4 ->
            within element[1] (numberOf element[3])
            |> Option.filter (fun range -> range.IsWithin region.LengthBytes)
            |> Option.map (fun range ->
                let source = if element.Length > 4 then sourceOf element[4] else SourceLine.Unknown
                RecordedEvent(Store(range.Offset, bytesOf element[2] range.Length), source))
        | [| "FLUSH"; address; size |] ->
            within address (numberOf size)
            |> Option.map (fun range -> RecordedEvent(Execute(WriteBack(Clwb, range)), SourceLine.Unknown))
        | [| "FENCE" |] -> Some(RecordedEvent(Execute Fence, SourceLine.Unknown))
        // A marker has no fields, but may be any text that a program emits.
        | [| _ |]
        | [| "REGISTER_FILE"; _; _; _; _ |] -> None
        | _ -> refuse [ "\""; String.Join(";", element); "\" is no element of a store log" ]

    /// The length of the file's mapping, and its events. Stores to other files are left out.
    let parse (lines: string seq) (file: string) =
        try
            let elements = elements lines |> Array.map (fun element -> element.Split ';')
            let region = regionOf file elements
            struct (region.LengthBytes, Array.choose (eventOf region) elements)
        with :? FormatException as error ->
            raise (FormatException(String.Concat("The store log cannot be read: ", error.Message, "."), error))
