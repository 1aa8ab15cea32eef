/// A device that fails: a loop device over a file on a small tmpfs that is then filled. What the kernel tells of it, and to whom.
module Pmem.Tests.FailingDeviceTests

open System
open System.IO
open System.Threading
open Expecto
open Pmem

[<Literal>]
let private FileBytes = 8388608L

let private command name arguments =
    let outcome = Child.command name arguments

    if outcome.ExitCode <> 0 then
        failtestf "%s %s: %s" name (String.concat " " arguments) outcome.Error

    outcome.Output.Trim()

/// Undone in the opposite order, whatever happens, and whatever of it fails.
let private withUndo (test: ((unit -> unit) -> unit) -> unit) =
    let mutable undo = []

    try
        test (fun action -> undo <- action :: undo)
    finally
        for action in undo do
            try
                action ()
            with _ ->
                ()

/// A mapping of a file on the device, with storage reserved, and what makes the device fail from then on.
let private onDevice test =
    Harness.inDirectory (fun directory ->
        withUndo (fun later ->
            let below = Path.Combine(directory, "below")
            let above = Path.Combine(directory, "above")
            Directory.CreateDirectory below |> ignore
            Directory.CreateDirectory above |> ignore
            command "mount" [ "-t"; "tmpfs"; "-o"; "size=8m"; "tmpfs"; below ] |> ignore
            later (fun () -> command "umount" [ "-l"; below ] |> ignore)
            let image = Path.Combine(below, "image")

            do
                use file = File.Create image
                file.SetLength(4L * FileBytes)

            let device = command "losetup" [ "--find"; "--show"; image ]
            later (fun () -> command "losetup" [ "-d"; device ] |> ignore)

            command "mkfs.ext4" [ "-q"; "-O"; "^has_journal"; "-E"; "nodiscard"; device ]
            |> ignore

            command "mount" [ device; above ] |> ignore
            later (fun () -> command "umount" [ "-l"; above ] |> ignore)
            use map = PmemMapping.Create(Path.Combine(above, "file"), FileBytes)
            map.Persist(0L, 1L)

            let fill () =
                use file = File.Create(Path.Combine(below, "filler"))
                let bytes = Array.zeroCreate 65536

                try
                    while true do
                        file.Write(ReadOnlySpan bytes)
                        file.Flush()
                with :? IOException ->
                    ()

            test map fill))

let private fails (map: PmemMapping) offset =
    try
        map.Persist(offset, 8L)
        failtestf "persist at %d returned as if durable" offset
    with :? PmemException as e ->
        Expect.contains [ "EIO"; "ENOSPC" ] e.ErrorName "the error"

let private later = [ 1L <<< 20 .. 4096L .. (4L <<< 20) ]

let private failInBackground (map: PmemMapping) fill =
    map.Persist(0L, 8L)
    fill ()

    for offset in later do
        map.Store(offset, offset)

    Child.command "sync" [ "-f"; map.Path ] |> ignore

/// The write-back of one range fails in the background; the kernel tells it to whoever asks first, whatever its range.
let private oneThread () =
    onDevice (fun map fill ->
        failInBackground map fill
        fails map 0L

        for offset in later do
            fails map offset)

/// Everybody persists pages of their own on a device that is full: nobody may be told that they are durable.
let private eightThreads () =
    onDevice (fun map fill ->
        fill ()
        let mutable durable = 0
        let mutable refused = 0

        let work thread () =
            for i in 0L .. 99L do
                let offset = (1L <<< 20) + (i * 8L + thread) * 4096L
                map.Store(offset, offset)

                try
                    map.Persist(offset, 8L)
                    Interlocked.Increment &durable |> ignore
                with :? PmemException ->
                    Interlocked.Increment &refused |> ignore

        let threads = [ for thread in 0L .. 7L -> Thread(work thread) ]
        threads |> List.iter (fun thread -> thread.Start())
        threads |> List.iter (fun thread -> thread.Join())
        printfn $"a full device: {refused} of 800 persists of 8 threads refused, {durable} returned"
        Expect.equal durable 0 "returned as if durable")

/// libpmem's msync of a mapping's pages hears the error of the background; the mapping must have heard it as well.
let private byAddress () =
    onDevice (fun map fill ->
        failInBackground map fill
        let address = NativeInterop.NativePtr.toVoidPtr map.Pointer
        Expect.equal (LibPmem.Msync(address, 8un)) -1 "libpmem's msync"
        fails map 0L
        fails map (2L <<< 20))

let private isThere () =
    Child.isRoot ()
    && Child.hasCommand "losetup"
    && (File.Exists "/usr/sbin/mkfs.ext4" || Child.hasCommand "mkfs.ext4")
    && File.Exists "/dev/loop-control"

let private needing name test =
    Harness.needing "root, losetup, mkfs.ext4 and a loop device" isThere name test

let tests =
    testSequenced
    <| testList
        "failing device"
        [
            needing "one thread: an error of the background is the last word for every range" oneThread
            needing "libpmem's msync takes no error from the mapping" byAddress
            needing "eight threads: none is told that its page is durable" eightThreads
        ]
