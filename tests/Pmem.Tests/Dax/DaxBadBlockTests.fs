/// Blocks that go bad: the kernel is told of a machine check at their address (mce-inject), as if a processor had met it.
/// They stay bad until the machine is switched off, so nothing else is to use these places afterwards.
module Pmem.Tests.DaxBadBlock

open System
open System.IO
open System.Globalization
open System.Text.Json
open System.Threading
open Expecto
open Pmem
open Pmem.Linux
open Pmem.Tests.DaxPlaces

let private page = int64 Environment.SystemPageSize

let private hex path =
    Int64.Parse(File.ReadAllText(path: string).Trim().AsSpan(2), NumberStyles.AllowHexSpecifier)

/// Tells the kernel of an uncorrected error in memory: Linux, arch/x86/kernel/cpu/mce/inject.c; drivers/acpi/nfit/mce.c, which
/// adds the page to the lists. The status: valid, uncorrected, enabled, with address; bank 4 and the code of a memory error.
let private strike (physical: int64) (list: string) =
    let before = File.ReadAllText list

    for name, value in
        [
            "flags", "sw"
            "addr", $"0x{physical:x}"
            "misc", "0x8c"
            "status", "0xbc000000000800c0"
            "cpu", "0"
            "bank", "4"
        ] do
        File.WriteAllText($"/sys/kernel/debug/mce-inject/{name}", value + "\n")

    Expect.isTrue (SpinWait.SpinUntil((fun () -> File.ReadAllText list <> before), 20_000)) $"{list} says nothing new"

let private tries (map: PmemMapping) (bad: ByteRange) =
    let buffer = Array.zeroCreate<byte> 8
    let mutable error: PmemException | null = null

    for offset in [ bad.Offset; bad.Offset - 4L; bad.End - 4L ] do
        Expect.isFalse (map.TryRead(offset, Span buffer, &error)) $"read at {offset}"
        Expect.equal (nonNull error).ErrorName "EIO" (string error)

    Expect.isFalse (map.TryWrite(bad.Offset, ReadOnlySpan buffer, &error)) "write"
    Expect.stringContains (nonNull error).Message "FindBadBlocks" "what to do"

    for offset in [ bad.Offset - 8L; bad.End ] do
        Expect.isTrue (map.TryWrite(offset, ReadOnlySpan buffer, &error)) (string error)
        Expect.isTrue (map.TryRead(offset, Span buffer, &error)) (string error)

/// The bad blocks that ndctl(1) lists of a device, in bytes from its start.
let private listed (device: string) =
    let list = JsonDocument.Parse((Child.command "ndctl" [ "list"; "-M" ]).Output)

    let isIt (space: JsonElement) =
        [ "chardev"; "blockdev" ]
        |> List.exists (fun name ->
            match space.TryGetProperty name with
            | true, value -> value.GetString() = device
            | _ -> false)

    let space = list.RootElement.EnumerateArray() |> Seq.find isIt

    [
        for block in (space.GetProperty "badblocks").EnumerateArray() ->
            ByteRange((block.GetProperty "offset").GetInt64() * 512L, (block.GetProperty "length").GetInt64() * 512L)
    ]

/// The answer of a bus that clears a page: struct nd_cmd_clear_error with a status of 0 and the cleared length.
let private cleared = String.replicate 24 "00" + "0010" + String.replicate 6 "00"

let private onDevice device =
    testCase "a bad block of a device is found, survived and cleared"
    <| fun () ->
        let sysfs, region = DaxSource.sysfsOf device
        use source = PmemSource.Open device
        let bad = ByteRange(source.Length - (1L <<< 20), page)
        let physical = hex $"{sysfs}/resource" + bad.Offset
        strike physical $"{region}/badblocks"
        Expect.equal (List.ofSeq (source.FindBadBlocks())) [ bad ] "found"
        Expect.equal (listed (nonNull (Path.GetFileName device))) [ bad ] "as ndctl finds it"
        use map = PmemMapping.Open device
        tries map bad

        Expect.throwsT<ArgumentOutOfRangeException>
            (fun () -> source.ClearBadBlocks(ByteRange(bad.Offset, 2L * page)))
            "what is healthy is not cleared"
        // QEMU's bus has no command for it (hw/acpi/nvdimm.c).
        let error = Expect.throwsC (fun () -> source.ClearBadBlocks bad) id
        Expect.stringContains error.Message "ENOTTY" (string error)

        Harness.inDirectory (fun directory ->
            let log = Path.Combine(directory, "log")

            let answered (answer: string) =
                let how = $"inject=ioctl:retval=0:poke_exit=@arg3={answer}"
                let only = [ "-P"; "/dev/ndctl0"; "-e"; how ]
                let outcome = Strace.straceOf "ioctl" "clear-bad-blocks" log only device
                Expect.stringContains (File.ReadAllText log) "INJECTED" outcome.Error
                outcome.Output.Trim()

            Expect.equal (answered cleared) "cleared" "a bus that clears all"
            Expect.stringContains (answered (String.replicate 32 "00")) "ENXIO" "a bus that clears less")

let private onFile directory =
    testCase "a bad block of a file is found, survived and replaced"
    <| fun () ->
        let path = Path.Combine(directory, "bad")
        use map = PmemMapping.Create(path, 16L * page)
        map.Fill(0L, map.Length, 9uy)
        use source = PmemSource.Open path
        let extents = Collections.Generic.List<SysIoctl.Extent>()
        Expect.equal (SysIoctl.Extents(nonNull source.Handle, extents)) 0 "fiemap"
        let sysfs, _ = DaxSource.sysfsOf path
        let bad = ByteRange(2L * page, page)
        strike (hex $"{sysfs}/device/resource" + extents[0].OnDevice + bad.Offset) $"{sysfs}/badblocks"
        Expect.equal (List.ofSeq (source.FindBadBlocks())) [ bad ] "found"
        let inDevice = ByteRange(extents[0].OnDevice + bad.Offset, page)
        Expect.equal (listed (nonNull (Path.GetFileName sysfs))) [ inDevice ] "as ndctl finds it"
        let buffer = Array.zeroCreate<byte> 8
        let mutable error: PmemException | null = null
        Expect.isFalse (source.TryRead(bad.Offset, Span buffer, &error)) "read of the file"
        Expect.equal (nonNull error).ErrorName "EIO" (string error)
        Expect.isFalse (map.TryRead(bad.Offset, Span buffer, &error)) "read"
        Expect.equal (nonNull error).ErrorName "EIO" (string error)
        Expect.isTrue (map.TryRead(bad.End, Span buffer, &error)) (string error)
        Expect.throwsT<ArgumentOutOfRangeException> (fun () -> source.ClearBadBlocks(ByteRange(0L, page))) "healthy"
        source.ClearBadBlocks bad
        Expect.isEmpty (source.FindBadBlocks()) "replaced"
        Expect.equal source.Length (16L * page) "as long as before"
        Expect.isTrue (source.TryRead(bad.Offset, Span buffer, &error)) (string error)
        Expect.equal buffer (Array.zeroCreate 8) "what is new reads as zero"
        Expect.equal (map.Read<int64> bad.Offset) 0L "through the mapping that was there, too"
        map.Write(bad.Offset, 7L)

        Expect.equal
            (map.Read<byte>(bad.Offset - 1L), map.Read<byte> bad.End)
            (9uy, 9uy)
            "what was healthy is what it was"

/// A page of the page cache that a machine check struck: another process stores to it and tells the kernel that it is poisoned.
let private inPageCache =
    testCase "a poisoned page of the page cache is survived"
    <| fun () ->
        Harness.inDirectory (fun directory ->
            let path = Path.Combine(directory, "f")
            use map = PmemMapping.Create(path, 4L * page)
            let outcome = Child.run "poison" [ path ] []
            let buffer = Array.zeroCreate<byte> 8
            let mutable error: PmemException | null = null
            Expect.isFalse (map.TryRead(page, Span buffer, &error)) outcome.Error
            Expect.equal (nonNull error).ErrorName "EFAULT" (string error)
            Expect.isFalse (map.TryWrite(2L * page - 8L, ReadOnlySpan buffer, &error)) "write"

            for offset in [ 0L; page - 8L; 2L * page ] do
                Expect.isTrue (map.TryRead(offset, Span buffer, &error)) (string error))

/// PMEM_TESTS_BAD_BLOCKS: directories and devices on persistent memory that blocks may go bad in.
let tests =
    testSequenced (
        testList
            "bad blocks"
            [
                for path in badBlockPlaces do
                    testList
                        path
                        [
                            if path.StartsWith("/dev/dax", StringComparison.Ordinal) then
                                onDevice path
                            else
                                onFile path
                        ]

                if not badBlockPlaces.IsEmpty then
                    inPageCache
            ]
    )
