/// The source tree above the tests. A machine that only runs them may lack it.
module Pmem.Tests.Sources

open System
open System.IO

let root =
    let rec find (directory: DirectoryInfo | null) =
        match directory with
        | null -> ""
        | directory when File.Exists(Path.Combine(directory.FullName, "Pmem.sln")) -> directory.FullName
        | directory -> find directory.Parent

    find (DirectoryInfo AppContext.BaseDirectory)

/// A test that reads the tree.
let needing name test =
    Harness.needing "the source tree" (fun () -> root <> "") name test

let linesOf path =
    File.ReadAllLines(Path.Combine(root, path))
