module Pmem.Tests.SampleTests

open System.IO
open System.Text
open Expecto

let private source (directory: string) length =
    let path = Path.Combine(directory, "source")
    File.WriteAllBytes(path, Array.init length (fun i -> byte (i * 31 / 7)))
    path

/// One line on the error output, exit code 1, and no target.
let private failsWith name arguments (words: string list) =
    let outcome = Child.assembly name arguments []
    Expect.equal outcome.ExitCode 1 $"{name}: {outcome.Output}"
    Expect.equal (outcome.Error.Trim().Split('\n').Length) 1 outcome.Error

    for word in words do
        Expect.stringContains outcome.Error word name

let private both = [ "SimpleCopy"; "FullCopy" ]

let tests =
    testList
        "samples"
        [
            testCase "ManPage stores its string in a file, on any memory"
            <| fun () ->
                for environment in [ []; [ "PMEM_IS_PMEM_FORCE", "1" ] ] do
                    Harness.inDirectory (fun directory ->
                        let path = Path.Combine(directory, "f")
                        let outcome = Child.assembly "ManPage" [ path ] environment
                        Expect.equal outcome.ExitCode 0 outcome.Error
                        let bytes = File.ReadAllBytes path
                        Expect.equal bytes.Length 4096 "length"
                        Expect.equal (Encoding.UTF8.GetString(bytes, 0, 25)) "hello, persistent memory\000" "text")

            testCase "SimpleCopy copies 4 KiB, or less where there is less"
            <| fun () ->
                for length in [ 1; 4096; 300_000 ] do
                    Harness.inDirectory (fun directory ->
                        let source, target = source directory length, Path.Combine(directory, "target")
                        let outcome = Child.assembly "SimpleCopy" [ source; target ] []
                        Expect.equal outcome.ExitCode 0 outcome.Error

                        Expect.equal
                            (File.ReadAllBytes target)
                            (Array.truncate 4096 (File.ReadAllBytes source))
                            $"{length}")

            testCase "FullCopy copies everything, on any memory"
            <| fun () ->
                for environment in [ []; [ "PMEM_IS_PMEM_FORCE", "1" ] ] do
                    for length in [ 1; 4096; 300_000 ] do
                        Harness.inDirectory (fun directory ->
                            let source, target = source directory length, Path.Combine(directory, "target")
                            let outcome = Child.assembly "FullCopy" [ source; target ] environment
                            Expect.equal outcome.ExitCode 0 outcome.Error
                            Expect.equal (File.ReadAllBytes target) (File.ReadAllBytes source) $"{length}")

            testCase "a bad source leaves no target behind"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let target = Path.Combine(directory, "target")
                    let empty = Path.Combine(directory, "empty")
                    File.WriteAllBytes(empty, [||])

                    for sample in both do
                        failsWith sample [ Path.Combine(directory, "none"); target ] [ "none" ]
                        failsWith sample [ directory; target ] [ directory ]
                        failsWith sample [ empty; target ] [ "at least 1" ]
                        failsWith sample [ "/dev/null"; target ] [ "at least 1" ]
                        Expect.isFalse (File.Exists target) sample)

            testCase "a bad target is named, and what was there stays"
            <| fun () ->
                Harness.inDirectory (fun directory ->
                    let source = source directory 5000
                    let taken = Path.Combine(directory, "taken")
                    File.WriteAllBytes(taken, [| 1uy |])

                    for sample in both do
                        failsWith sample [ source; directory ] [ "directory"; directory ]
                        failsWith sample [ source; Path.Combine(directory, "no", "target") ] [ "target" ]
                        failsWith sample [ source; taken ] [ taken; "EEXIST" ]
                        failsWith sample [ source ] [ "usage" ]

                    failsWith "ManPage" [ directory ] [ "directory" ]
                    failsWith "ManPage" [] [ "usage" ]
                    Expect.equal (File.ReadAllBytes taken) [| 1uy |] "untouched")

            Harness.needing "the right to mount (root)" Child.isRoot "no space leaves no target behind" (fun () ->
                Harness.inDirectory (fun directory ->
                    let small = Path.Combine(directory, "small")
                    Directory.CreateDirectory small |> ignore
                    let source = source directory 300_000

                    let mounted =
                        Child.command "mount" [ "-t"; "tmpfs"; "-o"; "size=64k"; "tmpfs"; small ]

                    Expect.equal mounted.ExitCode 0 mounted.Error

                    try
                        failsWith "FullCopy" [ source; Path.Combine(small, "target") ] [ "ENOSPC" ]
                        Expect.isEmpty (Directory.EnumerateFileSystemEntries small) "nothing"
                    finally
                        Child.command "umount" [ small ] |> ignore))
        ]
