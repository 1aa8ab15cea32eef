/// Parts of a machine that tests of files need: file systems of several kinds, huge pages, strace. What is mounted is
/// unmounted whatever becomes of the test.
module Pmem.Tests.Parts

open System
open System.IO
open Expecto

let private run name arguments =
    let outcome = Child.command name arguments
    Expect.equal outcome.ExitCode 0 $"""{name} {String.concat " " arguments}: {outcome.Error}"""
    outcome.Output.Trim()

/// Mounts on a directory of its own for the length of the test.
let private mounted (mount: string -> unit) test =
    Harness.inDirectory (fun directory ->
        let place = Path.Combine(directory, "mnt")
        Directory.CreateDirectory place |> ignore
        mount place

        try
            test place
        finally
            if (Child.command "umount" [ place ]).ExitCode <> 0 then
                run "umount" [ "-l"; place ] |> ignore)

/// A FUSE file system, without O_TMPFILE and fallocate.
let onFuse test =
    mounted
        (fun place ->
            let source = Path.Combine(nonNull (Path.GetDirectoryName place), "source")
            Directory.CreateDirectory source |> ignore
            run "bindfs" [ source; place ] |> ignore)
        test

let onTmpfs (size: string) test =
    mounted (fun place -> run "mount" [ "-t"; "tmpfs"; "-o"; $"size={size}"; "tmpfs"; place ] |> ignore) test

/// A file system of this kind in a file, by a loop device.
let onLoop kind test =
    mounted
        (fun place ->
            let image = Path.Combine(nonNull (Path.GetDirectoryName place), "image")
            using (File.Create image) (fun file -> file.SetLength(400L <<< 20))
            run $"mkfs.{kind}" [ "-q"; image ] |> ignore
            run "mount" [ "-o"; "loop"; image; place ] |> ignore)
        test

let private hugePages = "/proc/sys/vm/nr_hugepages"

/// hugetlbfs, with this many huge pages.
let onHugePages (count: int) test =
    let before = File.ReadAllText hugePages

    try
        File.WriteAllText(hugePages, string (int before + count))
        mounted (fun place -> run "mount" [ "-t"; "hugetlbfs"; "none"; place ] |> ignore) test
    finally
        File.WriteAllText(hugePages, before)

let private isThere (commands: string list) (paths: string list) () =
    Child.isRoot ()
    && List.forall Child.hasCommand commands
    && List.forall Path.Exists paths

/// File systems of every kind that is told apart, with what each needs.
let places: (string * (unit -> bool) * ((string -> unit) -> unit)) list =
    [
        "the tests' directory", (fun () -> true), Harness.inDirectory
        "bindfs", isThere [ "bindfs"; "umount" ] [ "/dev/fuse" ], onFuse
        "tmpfs", isThere [ "mount" ] [], onTmpfs "64m"
        "ext4", isThere [ "mkfs.ext4" ] [ "/dev/loop-control" ], onLoop "ext4"
        "xfs", isThere [ "mkfs.xfs" ] [ "/dev/loop-control" ], onLoop "xfs"
        "btrfs", isThere [ "mkfs.btrfs" ] [ "/dev/loop-control" ], onLoop "btrfs"
    ]

/// A test in every place; one that a machine lacks is skipped with a line, or fails in CI.
let everywhere name (test: string -> unit) =
    testList
        name
        [
            for place, isThere, inPlace in places do
                Harness.needing place isThere $"on {place}" (fun () -> inPlace test)
        ]

let needingHugePages name test =
    Harness.needing "hugetlbfs and root" (isThere [ "mount" ] [ hugePages ]) name (fun () -> onHugePages 8 test)
