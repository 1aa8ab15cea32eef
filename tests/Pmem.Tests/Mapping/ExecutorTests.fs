module Pmem.Tests.ExecutorTests

open System
open System.IO
open Expecto
open Pmem
open Pmem.Testing
open Pmem.Tests.Generators

let private kindFor (platform: Platform) granularity =
    if granularity = StoreGranularity.Page then PageCache else FileDax

/// What the executor issued must be what the lowering says, for the granularity that the mapping was given.
let private issues (platform: Platform) kind fileBytes (run: PmemMapping -> unit) =
    let struct (map, machine) = Doubles.Anonymous(fileBytes, platform, kind)
    use map = map
    run map
    List.ofSeq (machine.Take())

let private granularityOf (platform: Platform) kind =
    let facts =
        {
            Path = ""
            FileRange = ByteRange.create 0L 1L
            Kind = kind
            IsReadOnly = false
            PersistenceDomain = Doubles.DomainOf platform
            Platform = platform
        }

    match MappingInfo.Decide facts with
    | Ok mapping -> mapping.Granularity
    | Error reason -> failwith (string reason)

let private deepDrain kind plan platform =
    // The files of these tests lie in no region: a deep drain of persistent memory ends in msync of the pages.
    if kind = FileDax && not (List.isEmpty (FlushPlan.ranges plan)) then
        Lowering.ofPlan platform StoreGranularity.Page plan
    else
        []

/// What a drain syncs of pages that were flushed: those of the lowering, in as few calls as pay.
let joined (instructions: Instruction list) =
    let ranges =
        [|
            for instruction in instructions do
                match instruction with
                | SyncPages range -> range
                | _ -> failtest "only pages are synced"
        |]

    let ranges = Array.truncate (SyncRanges.coalesce (Span ranges)) ranges

    [
        for range in Array.truncate (SyncRanges.join 1 (Span ranges)) ranges -> SyncPages range
    ]

let private property name test =
    Harness.propertyOf (Harness.cases 150 1500) name arbitraries test

/// A made-up /sys in which this file's device lies in a region.
let private sysfsFor (directory: string) (file: string) (deepFlush: string option) =
    let root = Path.Combine(directory, "sys")
    let region = Path.Combine(root, "devices/ndbus0/region3")
    let device = Path.Combine(region, "namespace3.0/block/pmem3")
    Directory.CreateDirectory device |> ignore
    Directory.CreateDirectory(Path.Combine(root, "dev/block")) |> ignore

    File.CreateSymbolicLink(
        Path.Combine(root, "dev/block", Doubles.DeviceOf file),
        "../../devices/ndbus0/region3/namespace3.0/block/pmem3"
    )
    |> ignore

    deepFlush
    |> Option.iter (fun text -> File.WriteAllText(Path.Combine(region, "deep_flush"), text))

    root, Path.Combine(region, "deep_flush")

let private deepPersist deepFlush check =
    Harness.inDirectory (fun directory ->
        let file = Path.Combine(directory, "f")
        File.WriteAllBytes(file, Array.zeroCreate 4096)
        let root, flushFile = sysfsFor directory file deepFlush
        let platform = Platform.x64 Clwb
        let struct (map, machine) = Doubles.Map(file, 4096L, platform, FileDax, root)
        use map = map
        map.DeepPersist(0L, 8L)
        check (List.ofSeq (machine.Take())) flushFile)

let private written = [ WriteBack(Clwb, ByteRange.create 0L 64L); Fence ]

let tests =
    testList
        "executor"
        [
            property
                "issues for a plan what its lowering says"
                (fun (platform: Platform) granularity (PlanInFile(bytes, plan, _)) ->
                    let kind = kindFor platform granularity

                    let granularity = granularityOf platform kind
                    let lowered = Lowering.ofPlan platform granularity plan

                    issues platform kind bytes (fun map -> map.Execute plan) =
                        (if granularity = StoreGranularity.Page then joined lowered else lowered))

            property
                "issues for a persist, a flush and a drain what their lowering says"
                (fun (platform: Platform) granularity (PlanInFile(bytes, _, ranges)) ->
                    let kind = kindFor platform granularity
                    let granularity = granularityOf platform kind

                    let expected =
                        ranges
                        |> List.collect (fun range ->
                            let plan = FlushPlan.ofRanges [ range ]

                            // Of pages a flush is only noted, and the drain syncs it.
                            Lowering.ofPlan platform granularity plan
                            @ Lowering.ofFlushes platform granularity plan
                            @ Lowering.ofDrain platform granularity)

                    issues platform kind bytes (fun map ->
                        for range in ranges do
                            map.Persist(range.Offset, range.Length)
                            map.Flush(range.Offset, range.Length)
                            map.Drain())
                        =
                        expected)

            property
                "issues for a deep persist what its lowering says, then what the device needs"
                (fun (platform: Platform) granularity (PlanInFile(bytes, _, ranges)) ->
                    let kind = kindFor platform granularity
                    let granularity = granularityOf platform kind

                    ranges
                    |> List.filter (fun range -> not range.IsEmpty)
                    |> List.truncate 1
                    |> List.forall (fun range ->
                        let plan = FlushPlan.ofRanges [ range ]

                        let issued =
                            issues platform kind bytes (fun map -> map.DeepPersist(range.Offset, range.Length))

                        let lowered = Lowering.ofDeepPlan platform granularity plan

                        if granularity = StoreGranularity.Page then
                            issued = lowered
                        elif platform.DeepWriteBack = NoWriteBack then
                            // eADR without write-back: msync, the fence, and what the device needs.
                            issued = lowered @ [ Fence ] @ deepDrain kind plan platform
                        else
                            issued = lowered @ deepDrain kind plan platform))

            testCase "refuses a plan beyond the mapping, and accepts one up to its last line"
            <| fun () ->
                let platform = Platform.x64 Clwb

                issues platform FileDax 100L (fun map ->
                    map.Execute(FlushPlan.Of(ByteRange(99L, 1L)))

                    Expect.throwsT<ArgumentOutOfRangeException>
                        (fun () -> map.Execute(FlushPlan.Of(ByteRange(128L, 1L))))
                        "beyond")
                |> fun issued ->
                    Expect.equal issued [ WriteBack(Clwb, ByteRange.create 64L 64L); Fence ] "the last line"

            Harness.onLinux "tells the region to flush where deep_flush is 1"
            <| fun () ->
                // Anything but 0 asks for it; a 2 shows whether the 1 is written.
                deepPersist (Some "2\n") (fun issued file ->
                    Expect.equal issued written "no msync"
                    Expect.equal (File.ReadAllText(file).Trim()) "1" "written")

            Harness.onLinux "tells the region nothing where deep_flush is 0"
            <| fun () ->
                deepPersist (Some "0\n") (fun issued file ->
                    Expect.equal issued written "no msync"
                    Expect.equal (File.ReadAllText file) "0\n" "not written")

            Harness.onLinux "has the file system flush where there is no deep_flush"
            <| fun () ->
                deepPersist None (fun issued _ ->
                    Expect.equal issued (written @ [ SyncPages(ByteRange.create 0L 4096L) ]) "msync")

            testCase "finds no region where there is none, and every domain where there are some"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    Expect.equal (Doubles.DeepFlushState(directory, 1u, 1u, true)) DeepFlushState.NoRegion "no sysfs"
                    Expect.equal (Doubles.PersistenceDomains directory |> List.ofSeq) [] "no sysfs"

                    for name, domain in [ "region0", Some "cpu_cache\n"; "region1", None; "namespace0.0", Some "x" ] do
                        let path = Path.Combine(directory, "bus/nd/devices", name)
                        Directory.CreateDirectory path |> ignore

                        domain
                        |> Option.iter (fun text -> File.WriteAllText(Path.Combine(path, "persistence_domain"), text))

                    Expect.equal
                        (Doubles.PersistenceDomains directory |> Seq.sort |> List.ofSeq)
                        [ "cpu_cache"; "unknown" ]
                        "an absent file is unknown")

            Harness.needing
                "root"
                Child.isRoot
                "regions that may not be looked at are unknown, and no exception"
                (fun () ->
                    Harness.inDirectory (fun directory ->
                        let devices = Path.Combine(directory, "bus/nd/devices")
                        Directory.CreateDirectory(Path.Combine(devices, "region0")) |> ignore
                        File.SetUnixFileMode(devices, UnixFileMode.None)
                        let outcome = Child.run "domains-as-nobody" [ directory ] []
                        File.SetUnixFileMode(devices, UnixFileMode.UserRead ||| UnixFileMode.UserExecute)
                        Expect.equal (outcome.Output.Trim()) "unknown" outcome.Error))

            testCase "turns a failed msync into an exception that names the error and the bytes"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let path = Path.Combine(directory, "f")
                    let struct (map, machine) = Doubles.Map(path, 8192L, Platform.x64 Clwb, PageCache)
                    use map = map
                    machine.SyncError <- 5

                    let says (action: unit -> unit) =
                        try
                            action ()
                            failtest "nothing was thrown"
                        with :? PmemException as e ->
                            Expect.equal e.ErrorName "EIO" "name"
                            Expect.equal e.Path path "path"
                            Expect.stringContains e.Message "EIO" "message"
                            Expect.stringContains e.Message path "message"

                    says (fun () -> map.Persist(10L, 20L))
                    says (fun () -> map.Flush(10L, 20L))
                    says (fun () -> map.Execute(FlushPlan.Of(ByteRange(10L, 20L))))
                    says (fun () -> map.Msync(10L, 20L))
                    says (fun () -> map.DeepPersist(10L, 20L))
                    says (fun () -> map.DeepFlush(10L, 20L))
                    says (fun () -> map.DeepDrain(10L, 20L)))

            testCase "a failed msync of persistent memory says which pages may be lost"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let path = Path.Combine(directory, "f")
                    // No region has it, or the device would be asked for a deep drain, and no page synced.
                    let struct (map, machine) =
                        Doubles.Map(path, 16384L, Platform.x64 Clwb, FileDax, directory)

                    use map = map
                    machine.SyncError <- 5
                    let page = int64 Environment.SystemPageSize

                    let lost (action: unit -> unit) =
                        try
                            action ()
                            []
                        with :? PmemException as e ->
                            List.ofSeq e.NotDurable

                    let both = [ ByteRange(0L, 2L * page) ]
                    Expect.equal (lost (fun () -> map.Msync(page - 1L, 2L))) both "msync"
                    Expect.equal (lost (fun () -> map.DeepDrain(page - 1L, 2L))) both "deep drain")

            Harness.onLinux "surfaces a real failure of msync"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let outcome = Child.run "persist-over-a-hole" [ Path.Combine(directory, "f") ] []
                    Expect.stringContains outcome.Output "PmemException" outcome.Error
                    Expect.stringContains outcome.Output "ENOMEM" outcome.Error)
        ]
