/// NVDIMMs behind a source: what is known of them and their bad blocks, on a made-up tree of sysfs.
module Pmem.Tests.NvdimmTests

open System
open System.IO
open Expecto
open Pmem
open Pmem.Linux

let refused<'E when 'E :> exn> (words: string list) action =
    let error = Expect.throwsC action id
    Expect.isTrue (error :? 'E) $"{error}"

    for word in words do
        Expect.stringContains error.Message word (string error)

let inFile length (test: string -> unit) =
    Harness.inDirectory (fun directory ->
        let path = Path.Combine(directory, "f")
        File.WriteAllBytes(path, Array.init length byte)
        test path)

let private write path (text: string) =
    Directory.CreateDirectory(nonNull (Path.GetDirectoryName(path: string)))
    |> ignore

    File.WriteAllText(path, text + "\n")

/// A made-up /sys, in which the device of the file lies in a region of two NVDIMMs.
let private onNvdimms path (test: string -> string -> PmemSource -> unit) =
    Harness.inDirectory (fun root ->
        let mutable status = Unchecked.defaultof<SysStat.FileStatus>

        use file =
            File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite)

        Expect.equal (SysStat.Get(file, &status)) 0 "statx"
        let region = Path.Combine(root, "devices/ndbus0/region0")
        let disk = Path.Combine(region, "namespace0.0/block/pmem0")
        write (Path.Combine(region, "mappings")) "2"
        write (Path.Combine(region, "mapping0")) "nmem0,0,268435456,0"
        write (Path.Combine(region, "mapping1")) "nmem1,0,268435456,1"
        write (Path.Combine(region, "numa_node")) "1"
        Directory.CreateDirectory disk |> ignore
        Directory.CreateDirectory(Path.Combine(root, "dev/block")) |> ignore
        let link = Path.Combine(root, "dev/block", status.Holder.ToString())
        Directory.CreateSymbolicLink(link, disk) |> ignore
        use source = PmemSource.Open(path, false, Sysfs root)
        test root disk source)

let private devices =
    Harness.onLinux "NVDIMMs answer on a made-up sysfs tree, and what is not there is refused"
    <| fun () ->
        inFile 5000 (fun path ->
            onNvdimms path (fun root _ source ->
                let nmem (number: int) name text =
                    write (Path.Combine(root, $"bus/nd/devices/nmem{number}/nfit/{name}")) text

                Expect.equal source.NumaNode 1 "node"
                refused<PmemException> [ path; "nfit/id" ] (fun () -> source.DeviceId |> ignore)
                nmem 0 "id" "8680-57-A1"
                nmem 0 "dirty_shutdown" "3"
                refused<PmemException> [ "nfit/id" ] (fun () -> source.DeviceId |> ignore)
                refused<PmemException> [ "dirty_shutdown" ] (fun () -> source.UnsafeShutdownCount |> ignore)
                nmem 1 "id" "8680-57-A2"
                nmem 1 "dirty_shutdown" "4"
                Expect.equal source.DeviceId "8680-57-A18680-57-A2" "identifiers"
                Expect.equal source.UnsafeShutdownCount 7L "unsafe shutdowns"
                nmem 1 "dirty_shutdown" "many"
                refused<PmemException> [ "dirty_shutdown" ] (fun () -> source.UnsafeShutdownCount |> ignore))

            use elsewhere = PmemSource.Open(path, false, Sysfs "/nowhere")
            refused<PmemException> [ "no NVDIMM region" ] (fun () -> elsewhere.NumaNode |> ignore)
            refused<PmemException> [ "no NVDIMM region" ] (fun () -> elsewhere.DeviceId |> ignore)
            Expect.isEmpty (elsewhere.FindBadBlocks()) "no list, no bad blocks")

/// Where the file lies the file system says; the device's list is made up to hit it.
let private badBlocks =
    Harness.needing
        "root, mkfs.ext4 and a loop device"
        (fun () ->
            Child.isRoot ()
            && Child.hasCommand "mkfs.ext4"
            && File.Exists "/dev/loop-control")
        "bad blocks are found in the file, and cleared"
        (fun () ->
            Parts.onLoop "ext4" (fun directory ->
                let path = Path.Combine(directory, "f")
                File.WriteAllBytes(path, Array.create 40_960 9uy)
                (Child.command "sync" [ "-f"; path ]) |> ignore

                onNvdimms path (fun _ disk source ->
                    let extents = Collections.Generic.List<SysIoctl.Extent>()
                    Expect.equal (SysIoctl.Extents(nonNull source.Handle, extents)) 0 "fiemap"
                    let first = extents[0].OnDevice / 512L
                    let list = Path.Combine(disk, "badblocks")
                    write list $"0 1\n{first + 9L} 2\n{first + 24L} 1"
                    let found = List.ofSeq (source.FindBadBlocks())

                    Expect.equal
                        found
                        [ ByteRange(4096L, 4096L); ByteRange(12288L, 4096L) ]
                        "in whole pages of the file"
                    // The same on a partition, whose disk has the list.
                    write (Path.Combine(disk, "start")) "8"
                    let parent = nonNull (Path.GetDirectoryName disk)
                    write (Path.Combine(parent, "badblocks")) $"0 1\n{first + 8L + 9L} 1"
                    File.Delete list
                    Expect.equal (List.ofSeq (source.FindBadBlocks())) [ ByteRange(4096L, 4096L) ] "on a partition"
                    source.ClearBadBlocks(ByteRange(4096L, 4096L))
                    let bytes = File.ReadAllBytes path
                    Expect.equal bytes.Length 40_960 "length"

                    Expect.equal
                        (Array.findIndex ((=) 0uy) bytes, Array.findIndexBack ((=) 0uy) bytes)
                        (4096, 8191)
                        "healthy, and zero"

                    refused<ArgumentOutOfRangeException> [ "40960" ] (fun () ->
                        source.ClearBadBlocks(ByteRange(40_000L, 4096L))))))

/// Where a device lies in its region, and which of the region's bad blocks it has: from a made-up tree.
let private daxDevices =
    Harness.onLinux "bad blocks of a device are those of its region, from where it begins"
    <| fun () ->
        Harness.inDirectory (fun root ->
            let region = Path.Combine(root, "devices/ndbus3/region1")
            let device = Path.Combine(region, "dax1.0/dax1.0")
            write (Path.Combine(device, "resource")) "0x110200000"
            Directory.CreateDirectory(Path.Combine(root, "dev/char")) |> ignore

            Directory.CreateSymbolicLink(Path.Combine(root, "dev/char/252:1"), device)
            |> ignore

            let sysfs, number = Sysfs root, DeviceNumber(252u, 1u)

            let bad () =
                sysfs.BadRangesOfDaxDevice(number, 1L <<< 20)

            let isNone (ranges: Collections.Generic.IReadOnlyList<ByteRange> | null) =
                Expect.isEmpty (nonNull ranges) "none"

            isNone (bad ())
            write (Path.Combine(region, "badblocks")) ""
            isNone (bad ())
            // One before the device, one across its beginning, one in it, one behind it.
            write (Path.Combine(region, "badblocks")) "0 8\n4090 8\n4112 8\n6144 8"
            Expect.isNull (bad ()) "the kernel does not say where it begins"
            write (Path.Combine(region, "resource")) "0x110000000"

            Expect.equal
                (List.ofSeq (nonNull (bad ())))
                [ ByteRange(0L, 1024L); ByteRange(8192L, 4096L) ]
                "in the device"

            Expect.equal (Sysfs.BusOf region) "3" "bus"
            isNone (sysfs.BadRangesOfDaxDevice(DeviceNumber(252u, 2u), 1L <<< 20)))

let tests = [ devices; badBlocks; daxDevices ]
