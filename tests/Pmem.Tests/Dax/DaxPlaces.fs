/// The places with and without persistent memory that a machine says it has, and what the kernel says of a mapping there.
module Pmem.Tests.DaxPlaces

open System
open System.Globalization
open System.IO
open System.Text.RegularExpressions
open Pmem

/// Where to map, and how fine a store must be there.
type Place =
    {
        Path: string
        Granularity: StoreGranularity
    }

    member place.IsDevice = place.Path.StartsWith("/dev/dax", StringComparison.Ordinal)
    member place.IsPmem = place.Granularity <> StoreGranularity.Page

let private words name =
    match Environment.GetEnvironmentVariable name with
    | null -> [||]
    | value -> value.Split(',', StringSplitOptions.RemoveEmptyEntries)

let private granularityOf word =
    match word with
    | "byte" -> StoreGranularity.Byte
    | "cacheline" -> StoreGranularity.CacheLine
    | "page" -> StoreGranularity.Page
    | _ -> failwith $"PMEM_TESTS_PLACES: '{word}' must be byte, cacheline or page"

let private placeOf (word: string) =
    match word.Split(':', 2) with
    | [| granularity; path |] -> { Path = path; Granularity = granularityOf granularity }
    | _ -> failwith $"PMEM_TESTS_PLACES: '{word}' must be GRANULARITY:PATH"

/// PMEM_TESTS_PLACES, as in "cacheline:/mnt/pmem0,page:/tmp,cacheline:/dev/dax1.0".
let all = words "PMEM_TESTS_PLACES" |> Array.map placeOf |> List.ofArray

/// The directories among them.
let directories = all |> List.filter (fun place -> not place.IsDevice)

/// The device-DAX devices among them.
let devices = all |> List.filter _.IsDevice

/// PMEM_TESTS_READ_ONLY: files on persistent memory that may only be read.
let readOnlyFiles = words "PMEM_TESTS_READ_ONLY" |> List.ofArray

/// PMEM_TESTS_REFUSED: devices on which nothing that the environment allows makes a store durable.
let refusedDevices = words "PMEM_TESTS_REFUSED" |> List.ofArray

/// PMEM_TESTS_BAD_BLOCKS: directories and devices on persistent memory in which blocks may go bad.
let badBlockPlaces = words "PMEM_TESTS_BAD_BLOCKS" |> List.ofArray

/// PMEM_TESTS_WRITE_BACK: the instruction that a flush must use on this machine.
let writeBack = words "PMEM_TESTS_WRITE_BACK" |> Array.tryHead

/// A file in a place, which is removed afterwards.
let inPlace place (test: string -> unit) =
    let path = Path.Combine(place.Path, $"pmem-{Guid.NewGuid():N}")

    try
        test path
    finally
        File.Delete path

/// The lines that /proc/self/smaps has about the mapping at an address.
let private smapsOf (address: nativeint) =
    let start = address.ToString "x"

    File.ReadAllLines "/proc/self/smaps"
    |> Array.skipWhile (fun line -> not (line.StartsWith($"{start}-", StringComparison.Ordinal)))
    |> Array.truncate 40
    |> Array.indexed
    |> Array.takeWhile (fun (i, line) -> i = 0 || not (Char.IsAsciiHexDigitLower line[0]))
    |> Array.map snd

/// The value of a line there.
let private smapsLine (key: string) address =
    smapsOf address
    |> Array.tryFind _.StartsWith(key + ":", StringComparison.Ordinal)
    |> Option.map _.Substring(key.Length + 1).Trim()
    |> Option.defaultWith (fun () -> failwith $"smaps says no {key} of the mapping at {address:x}")

/// Whether the kernel granted MAP_SYNC.
let isSynchronous address =
    (smapsLine "VmFlags" address).Split ' ' |> Array.contains "sf"

let private mappingLine = Regex @"^([0-9a-f]+)-([0-9a-f]+) "

/// How many bytes of a range are in mappings with MAP_SYNC.
let synchronousBytes (start: nativeint) (lengthBytes: int64) =
    let hex (group: Group) =
        Int64.Parse(group.Value, NumberStyles.AllowHexSpecifier)

    let add (range: ByteRange, total) (line: string) =
        match mappingLine.Match line with
        | header when header.Success && header.Groups[1].Value.Length < 16 ->
            let first = hex header.Groups[1]
            ByteRange(first, hex header.Groups[2] - first), total
        | _ when line.StartsWith("VmFlags:", StringComparison.Ordinal) && line.Contains " sf" ->
            range, total + range.Intersect(ByteRange(int64 start, lengthBytes)).Length
        | _ -> range, total

    File.ReadLines "/proc/self/smaps" |> Seq.fold add (ByteRange(0L, 0L), 0L) |> snd

/// How many page faults this thread has had that needed no disk: minflt of proc(5), the eighth word after the name.
let private minorFaults () =
    let stat = File.ReadAllText "/proc/thread-self/stat"
    Int64.Parse(stat.Substring(stat.LastIndexOf ')' + 2).Split(' ')[7])

/// How many faults it takes to store to all of a mapping for the first time. FilePmdMapped in smaps would say the size of
/// the pages more directly, but the kernel leaves DAX out of it (fs/proc/task_mmu.c, smaps_pmd_entry).
let faultsToFill (mapping: PmemMapping) =
    let bytes = mapping.Span
    let before = minorFaults ()
    bytes.Fill 1uy
    minorFaults () - before
