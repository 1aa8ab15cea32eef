/// Devices that this machine lacks: their regions, and what is refused on them.
module Pmem.Tests.MadeUpDeviceTests

open System.IO
open Expecto
open Pmem
open Pmem.FSharp
open Pmem.Testing

let private strikes directory =
    let path = Path.Combine(directory, "f")
    let log = Path.Combine(directory, "log")
    let outcome = Strace.strace "deep-persist" log [] path
    Expect.stringContains outcome.Output "done" outcome.Error

    let writing = Strace.window log |> List.find (fun call -> call.Name = "pwrite64")

    Directory.Delete(path + ".sys", true)

    let outcome =
        Strace.strace "deep-persist" log (Strace.injection writing "error=EIO") path

    Expect.stringContains outcome.Output "EIO" "what deep_flush said"
    Expect.stringContains outcome.Output "bytes 0 to 8" "and of which bytes"

let private noMsync () =
    let struct (map, machine) = Doubles.Anonymous(8192L, Platform.x64 Clwb, DeviceDax)

    use map = map

    let said = Expect.throwsC (fun () -> map.Msync(0L, 8L)) (fun error -> error.Message)

    Expect.stringContains said "does nothing" "it says why"
    Expect.isEmpty (machine.Take()) "and calls nothing"

let private pmem path start length =
    let facts =
        {
            Path = path
            FileRange = ByteRange.create 0L (int64 length)
            Kind = FileDax
            IsReadOnly = false
            PersistenceDomain = ""
            Platform = Platform.x64 Clwb
        }

    match MappingInfo.Decide facts with
    | Ok info -> MappedFile(start, info, DeviceNumber())
    | Error reason -> failwith (string reason)

// Far from anything mapped, and from what other tests track.
let private origin = 3n <<< 59

let private tracked () =
    let file = pmem "first" origin 10_000
    let other = pmem "other" (origin + 20480n) 4096
    RangeTracker.Add file
    RangeTracker.Add other

    try
        Expect.isFalse (RangeTracker.Covers(origin, 0n)) "no byte is in no memory"
        Expect.isTrue (RangeTracker.Covers(origin, 10_000n)) "all bytes are"
        let mutable next = 0n

        let at start finish =
            RangeTracker.PieceAt(origin + start, origin + finish, &next)

        let name (found: MappedFile | null) =
            match found with
            | null -> "none"
            | file -> file.Info.Path

        Expect.equal (name (RangeTracker.FileOf(origin, 10_000n))) "first" "of all its bytes"
        Expect.equal (name (RangeTracker.FileOf(origin, 10_001n))) "none" "of one more"
        Expect.equal (name (at 0n 40_960n), next - origin) ("first", 10_000n) "the first piece"
        Expect.equal (name (at 8192n 10_000n), next - origin) ("first", 10_000n) "its last page"
        Expect.equal (name (at 12_288n 40_960n), next - origin) ("none", 20_480n) "the hole ends where the next begins"
        Expect.equal (name (at 20_480n 40_960n), next - origin) ("other", 24_576n) "the second"
    finally
        RangeTracker.Remove(origin, 40_960n) |> ignore

let tests =
    testList
        "made-up devices"
        [
            Harness.needing "strace" Strace.isThere "a deep_flush that cannot be written is told" (fun () ->
                Harness.inDirectory strikes)
            testCase "msync of a DAX device is refused" noMsync
            testCase "ranges are tracked to their last byte" tracked
        ]
