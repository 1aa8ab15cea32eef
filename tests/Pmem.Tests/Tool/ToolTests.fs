/// The tool, run in this process: what it answers, what it ends with, and what it leaves behind.
module Pmem.Tests.ToolTests

open System
open System.IO
open System.Text.Json
open Expecto
open Pmem
open Pmem.Tests.ToolRun
open Pmem.Tool

/// Consistent where the count is 0 or the record is there.
let private checker =
    """[ "$(od -An -tu1 -j0 -N1 "$1" | tr -d ' ')" = 0 ] || [ "$(od -An -tu1 -j64 -N1 "$1" | tr -d ' ')" = 42 ]"""

let private checks =
    [
        testCase "check judges the images by a program, and tells what was lost"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let program = scriptIn directory checker
                run [ "check"; traceIn directory true; "--program"; program ] |> ends 0
                let wrong = traceIn directory false
                let answer = run [ "check"; wrong; "--json"; "--program"; program ]
                ends 1 answer
                let answer = json answer
                Expect.equal (answer.GetProperty("verdict").GetString()) "Inconsistent" "verdict"
                Expect.equal (answer.GetProperty("lost").GetArrayLength()) 1 "one store"
                Expect.stringContains (string ((answer.GetProperty "lost").Item 0)) "store 64+8 = 42" "which"
                let picture = Path.Combine(directory, "p.svg")
                run [ "check"; wrong; "--svg"; picture; "--program"; program ] |> ends 1
                isPicture (picture) "a picture")

        testCase "a program that takes too long, or cannot be started"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let trace = traceIn directory true
                let slow = scriptIn directory "sleep 60"
                run [ "check"; trace; "--timeout"; "1"; "--program"; slow ] |> ends 1

                run [ "check"; trace; "--program"; Path.Combine(directory, "none") ]
                |> refuses [ "none"; "cannot be started" ])

        testCase "check counts the states"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let answer = run [ "check"; traceIn directory false; "--states"; "--json" ]
                ends 0 answer
                // Neither, one, the other, both.
                Expect.equal ((json answer).GetProperty("states").GetInt32()) 4 "states"
                let answer = run [ "check"; traceIn directory true; "--model"; "Eadr" ]
                Expect.stringStarts answer.Output "3 distinct states" "words")

        testCase "an image that does not fit is refused"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let image = Path.Combine(directory, "image")
                File.WriteAllBytes(image, [| 1uy |])

                run [ "check"; traceIn directory true; "--image"; image ]
                |> refuses [ image; "1 bytes"; "4096" ])
    ]

let private traces =
    [
        testCase "lint ends with 1 where there is a mistake"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                run [ "lint"; traceIn directory true ] |> ends 0
                let path = Path.Combine(directory, "bad.trace")
                File.WriteAllText(path, "pmem-trace 1\nlength 64\nstore 0 01 @ /src/Log.cs:9\n")
                let answer = run [ "lint"; path ]
                ends 1 answer
                Expect.stringContains answer.Output "Log.cs:9" "where"

                Expect.equal
                    ((json (run [ "lint"; path; "--json" ])).GetProperty("diagnostics").GetArrayLength())
                    1
                    "one")

        testCase "draw makes a picture beside the trace, or a page, or writes it out"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let trace = traceIn directory true
                run [ "draw"; trace ] |> ends 0
                isPicture (trace + ".svg") "SVG"
                let page = Path.Combine(directory, "p.html")
                run [ "draw"; trace; "-o"; page ] |> ends 0
                Expect.stringStarts (File.ReadAllText page) "<!DOCTYPE html>" "HTML"
                Expect.stringContains (run [ "draw"; trace; "-o"; "-" ]).Output "</svg>" "written out"

                run [ "draw"; trace; "-o"; Path.Combine(directory, "no", "p.svg") ]
                |> refuses [ "p" ]

                Expect.equal (Directory.GetFiles directory).Length 3 "no half-written file")

        testCase "pmemcheck's log is read as a trace"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let path = Path.Combine(directory, "store.log")

                File.WriteAllText(
                    path,
                    "START|REGISTER_FILE;/mnt/p;0x10000;0x1000;0x0|STORE;0x10040;0x2a;0x8|FLUSH;0x10040;0x40|FENCE|STOP\n"
                )

                let answer = run [ "check"; path; "--json" ]
                Expect.equal ((json answer).GetProperty("states").GetInt32()) 2 "states"
                run [ "check"; path; "--file"; "q" ] |> refuses [ path; "\"q\"" ])

        testCase "a trace that is none is named, with its line"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let path = Path.Combine(directory, "bad.trace")
                File.WriteAllText(path, "pmem-trace 1\nlength 64\nstor 0 01\n")
                run [ "draw"; path ] |> refuses [ path; "Line 3"; "stor" ]
                run [ "lint"; Path.Combine(directory, "none") ] |> refuses [ "none" ]
                let answer = run [ "lint"; path; "--json" ]
                ends 2 answer
                Expect.stringContains (textOf "error" (json answer)) "Line 3" "JSON too")
    ]

/// A machine as sysfs and mountinfo show it.
let private machineIn directory (mounts: string) =
    let write (path: string) (text: string) =
        let path = Path.Combine(directory, "sys", path)

        match Path.GetDirectoryName path with
        | null -> ()
        | parent -> Directory.CreateDirectory parent |> ignore

        File.WriteAllText(path, text + "\n")

    write "bus/nd/devices/region0/persistence_domain" "memory_controller"
    write "bus/nd/devices/region0/size" "268435456"
    write "bus/nd/devices/namespace0.0/mode" "raw"
    write "bus/nd/devices/namespace0.0/size" "268435456"
    write "bus/dax/devices/dax1.0/size" "2097152"
    write "bus/dax/devices/dax1.0/align" "2097152"
    let mountInfo = Path.Combine(directory, "mountinfo")
    File.WriteAllText(mountInfo, mounts)
    Machine(Path.Combine(directory, "sys"), mountInfo)

let private infoOf machine path =
    use output = new StringWriter()
    use error = new StringWriter()
    let exitCode = InfoCommand.OfPath(Screen(output, error, true), path, machine)
    Expect.equal exitCode 0 "exit code"
    JsonDocument.Parse(output.ToString()).RootElement

let private adviceOf (answer: JsonElement) =
    String.Join(
        '\n',
        [
            for line in answer.GetProperty("advice").EnumerateArray() -> line.GetString()
        ]
    )

let private infos =
    [
        testCase "info tells what a persist does here"
        <| fun () ->
            Expect.stringContains (run [ "info" ]).Output (PmemPlatform.Describe()) "in words"
            let answer = json (run [ "info"; "--json" ])
            Expect.equal (answer.GetProperty("fence").GetString()) (string PmemPlatform.Current.Fence) "fence"

        testCase "info of a path agrees with a mapping of it, and changes nothing"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let file = Path.Combine(directory, "f")
                let granularity = (use map = PmemMapping.Create(file, 4096L) in map.Granularity)

                for path in [ file; directory ] do
                    let answer = json (run [ "info"; path; "--json" ])
                    Expect.equal (answer.GetProperty("granularity").GetString()) (string granularity) path

                Expect.equal (Directory.GetFiles directory) [| file |] "nothing new"
                run [ "info"; Path.Combine(directory, "none") ] |> refuses [ "ENOENT" ])

        testCase "info reads regions, namespaces, DAX devices and mounts"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let machine =
                    machineIn
                        directory
                        ("22 1 259:0 / /mnt/my\\040pmem rw,relatime shared:1 - ext4 /dev/pmem0 rw,dax=always\n"
                         + "23 1 8:1 / / rw - ext4 /dev/sda1 rw\n")

                Expect.equal (Seq.head (machine.Regions())).PersistenceDomain "memory_controller" "domain"
                Expect.equal (Seq.head (machine.Regions())).DeepFlush "unknown" "what is not there"
                Expect.equal (Seq.head (machine.Namespaces())).Mode "raw" "mode"
                Expect.equal (Seq.head (machine.DaxDevices())).Path "/dev/dax1.0" "device"
                let mount = Seq.exactlyOne (machine.PmemMounts())
                Expect.equal mount.Point "/mnt/my pmem" "the point"
                Expect.isTrue mount.IsDax "DAX"

                match machine.MountOf "/mnt/my pmem/a" with
                | null -> failtest "no mount"
                | found -> Expect.equal found.FileSystem "ext4" "the mount of a file")

        testCase "info says what would make it finer, in the words of mount and ndctl"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let onPmem options =
                    machineIn directory $"22 1 259:0 / {directory} rw - ext4 /dev/pmem0 rw{options}\n"

                let advice = adviceOf (infoOf (onPmem "") directory)
                Expect.stringContains advice $"mount -o dax /dev/pmem0 {directory}" "not mounted with DAX"
                Expect.stringContains advice "ndctl create-namespace -f -e namespace0.0 --mode=fsdax" "a raw namespace"
                let elsewhere = machineIn directory "22 1 259:0 / / rw - ext4 /dev/sda1 rw\n"
                Expect.stringContains (adviceOf (infoOf elsewhere directory)) "/dev/dax1.0" "a device")
    ]

let private others =
    [
        testCase "bench times every subject, draws, and leaves nothing behind"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let picture = Path.Combine(directory, "bench.svg")
                let answer = run [ "bench"; directory; "--rounds"; "1"; "--json"; "--svg"; picture ]
                ends 0 answer
                let timings = (json answer).GetProperty "timings"
                Expect.equal (timings.GetArrayLength()) 10 "subjects"

                for timing in timings.EnumerateArray() do
                    Expect.isGreaterThan (timing.GetProperty("nanoseconds").GetDouble()) 0.0 (string timing)

                Expect.isGreaterThan ((textOf "caution" (json answer)).Length) 20 "a caution"
                isPicture (picture) "a picture"
                Expect.equal (Directory.GetFiles directory) [| picture |] "nothing left")

        testCase "a command line that is wrong is answered in one sentence"
        <| fun () ->
            run [] |> refuses [ "--help" ]
            run [ "frob" ] |> refuses [ "frob" ]
            run [ "check" ] |> refuses [ "TRACE" ]
            run [ "lint"; "t"; "--model"; "Z80" ] |> refuses [ "Z80" ]
            run [ "bench"; "--rounds"; "0" ] |> refuses [ "--rounds" ]
            run [ "check"; "t"; "--states"; "--program"; "p" ] |> refuses [ "one of them" ]

        testCase "every command has help with examples"
        <| fun () ->
            for command in [ []; [ "info" ]; [ "bench" ]; [ "check" ]; [ "lint" ]; [ "draw" ] ] do
                let answer = run (command @ [ "--help" ])
                ends 0 answer
                Expect.stringContains answer.Output "Examples:\n  pmem " $"{command}"
    ]

let tests = testList "tool" (checks @ traces @ infos @ others)
