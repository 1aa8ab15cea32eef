/// docs/libpmem.md, held against the symbols of Debian's libraries, their headers, and the names of this library.
module Pmem.Tests.LibPmemTableTests

open System
open System.IO
open System.Reflection
open System.Runtime.InteropServices
open System.Text.RegularExpressions
open Expecto
open Pmem

let private rows () =
    [
        for line in Sources.linesOf "docs/libpmem.md" do
            let row = Regex.Match(line, @"^\| `(\w+)` \| ([^|]*) \|")

            if row.Success then
                row.Groups[1].Value, row.Groups[2].Value.Trim('`', ' ')
    ]

let private named (pattern: string) =
    rows ()
    |> List.map fst
    |> List.filter (fun name -> Regex.IsMatch(name, pattern))
    |> set

/// The functions that a library exports: what its file names, and the loader finds.
let private exports (library: string) prefix =
    let handle = NativeLibrary.Load library

    let path =
        File.ReadLines "/proc/self/maps"
        |> Seq.map (fun line -> line.Substring(line.LastIndexOf ' ' + 1))
        |> Seq.find _.Contains("/" + library.Replace(".so.1", ".so"))

    let text = Text.Encoding.Latin1.GetString(File.ReadAllBytes path)

    set
        [
            for found in Regex.Matches(text, $"\\0({prefix}_[a-z0-9_]+)(?=\\0)") do
                if fst (NativeLibrary.TryGetExport(handle, found.Groups[1].Value)) then
                    found.Groups[1].Value
        ]

let private libraryTest (library: string) prefix (headerOnly: string list) =
    let isThere () = fst (NativeLibrary.TryLoad library)

    Harness.needing library isThere $"the table has the functions of {library}" (fun () ->
        let theirs = exports library prefix
        Expect.isGreaterThan theirs.Count 20 "exports"
        Expect.equal (named $"^{prefix}_[a-z]" - set headerOnly) theirs "functions")

let private headerTest (header: string) (pattern: string) =
    Harness.needing
        header
        (fun () -> File.Exists header)
        $"the table has the constants of {Path.GetFileName header}"
        (fun () ->
            let text = File.ReadAllText header
            // A parameter list, a guard or a name of Windows is no constant.
            let theirs =
                set
                    [
                        for found in Regex.Matches(text, pattern, RegexOptions.Multiline) -> found.Groups[1].Value
                    ]

            Expect.isGreaterThan theirs.Count 10 "constants"
            Expect.isEmpty (theirs - named "^PMEM") "left out of the table"

            for found in Regex.Matches(text, @"#define (PMEM2_E_\w+)\s+\((-\d+)\)") do
                let field =
                    rows () |> List.find (fun (name, _) -> name = found.Groups[1].Value) |> snd

                let value = typeof<Pmem2Error>.GetField(field.Split('.')[1]) |> nonNull
                Expect.equal (unbox<int>(value.GetRawConstantValue())) (int found.Groups[2].Value) field)

let private methodsOf (owner: Type) =
    owner.GetMethods(BindingFlags.Public ||| BindingFlags.Static ||| BindingFlags.DeclaredOnly)
    |> Array.map (fun one -> $"{owner.Name}.{one.Name}")
    |> set

let tests =
    testList
        "libpmem table"
        [
            libraryTest "libpmem.so.1" "pmem" []
            libraryTest "libpmem2.so.1" "pmem2" [ "pmem2_err_to_errno" ]
            headerTest "/usr/include/libpmem.h" @"^#define (PMEM_\w+)\s"
            headerTest "/usr/include/libpmem2/base.h" @"^(?:#define | +)(PMEM2_\w+)(?:\s|,)"

            Sources.needing "each function of ours is in the table, and each of the table is there" (fun () ->
                let ours = methodsOf typeof<LibPmem> + methodsOf typeof<LibPmem2>

                let said =
                    rows ()
                    |> List.map snd
                    |> List.filter (fun name -> Regex.IsMatch(name, @"^LibPmem2?\.[A-Z]"))
                    |> set

                let constants =
                    set
                        [
                            "LibPmem.ValidCopyFlags"
                            "LibPmem.MinPart"
                            "LibPmem.MajorVersion"
                            "LibPmem.MinorVersion"
                        ]

                Expect.equal (said - constants) ours "names")

            Sources.needing "each variable that is read is in the table" (fun () ->
                let own = set [ "PMEM_VECTOR_BITS"; "PMEM_NO_MACHINE_CODE" ]

                let read =
                    set (PmemEnvironment.ForceVariable :: List.ofSeq PmemEnvironment.Variables)

                Expect.isEmpty (read - own - named "^PMEM") "left out")
        ]
