/// Traces from everything that records go through the tool, and so does a log of pmemcheck's.
module Pmem.Tests.ToolTraceTests

open System
open System.IO
open Expecto
open Pmem
open Pmem.Tests.ToolRun

/// The record at 64, then the count at 0; the mistake is that the record is not durable first.
let private update isRight (memory: IPersistentMemory) =
    memory.StoreInt64(64L, 42L)

    if isRight then
        memory.Persist(64L, 8L)

    memory.StoreInt64(0L, 1L)
    memory.Persist(0L, (if isRight then 8L else 128L))

/// The same through spans, on the mapping that compares.
let private updateSpans isRight (map: PmemMapping) =
    map.GetSpan(64L, 8)[0] <- 42uy

    if isRight then
        map.Persist(64L, 8L)

    map.GetSpan(0L, 8)[0] <- 1uy
    map.Persist(0L, (if isRight then 8L else 128L))

/// Traced memory is this machine's: where it has no persistent memory, what it records is msync.
let private traced isRight directory =
    use memory =
        TracedMemory.Create(Path.Combine(directory, $"memory-{Guid.NewGuid():N}"), 4096L)

    update isRight memory
    PersistTrace(memory.Length, memory.Trace)

let private recorders: (string * (unit -> string) * (bool -> string -> PersistTrace)) list =
    [
        "RecordedMemory",
        (fun () -> "X86"),
        fun isRight _ ->
            let memory = RecordedMemory(Array.zeroCreate 4096, PersistencyModel.X86)
            update isRight memory
            PersistTrace.Of memory

        for model in [ PersistencyModel.X86; PersistencyModel.PageCache ] do
            $"a recording mapping, {model}",
            (fun () -> model.ToString()),
            fun isRight _ -> MappedCrashCheck.Record(model, Array.zeroCreate 4096, updateSpans isRight)

        // Asked when the test runs: with a malformed environment, which children of other tests have, there is no platform.
        "TracedMemory", (fun () -> if PmemPlatform.Current.WriteBack.IsNoWriteBack then "X86" else "PageCache"), traced
    ]

let private throughTheTool (name, model: unit -> string, record) =
    testCase $"the trace of {name} is checked, linted and drawn" (fun () ->
        Harness.inDirectory (fun directory ->
            let program =
                scriptIn
                    directory
                    """[ "$(od -An -tu1 -j0 -N1 "$1" | tr -d ' ')" = 0 ] || [ "$(od -An -tu1 -j64 -N1 "$1" | tr -d ' ')" = 42 ]"""

            for isRight in [ true; false ] do
                let path = Path.Combine(directory, "update.trace")
                let trace: PersistTrace = record isRight directory
                File.WriteAllLines(path, trace.ToLines())

                let ask command more =
                    run ([ command; path; "--model"; model () ] @ more)

                ask "check" [ "--program"; program ] |> ends (if isRight then 0 else 1)
                ask "check" [ "--states" ] |> ends 0
                ask "lint" [] |> ends 0
                ask "draw" [] |> ends 0
                isPicture (path + ".svg") "a picture"))

/// Not pmemcheck's output but written by its grammar (pmreorder(1), PMEMCHECK STORE LOG; pmc_main.c): what valgrind says of its
/// own, markers and engines, several files, stores with their stack, and one outside of any file. The program is pmreorder's own
/// example, a list whose node is linked in before its value is durable.
let private storeLog isRight =
    let value =
        [
            "STORE;0x7f0000001048;0x37;0x4;list_insert (list.c:21);main (list.c:40)"
            "FLUSH;0x7f0000001040;0x40"
            "FENCE"
        ]

    let link =
        [
            "STORE;0x7f0000001040;0x0;0x8;list_insert (list.c:19);main (list.c:40)"
            "FLUSH;0x7f0000001040;0x40"
            "FENCE"
            "STORE;0x7f0000001000;0x1;0x8;list_insert (list.c:20);main (list.c:40)"
            "FLUSH;0x7f0000001000;0x40"
            "FENCE"
        ]

    let elements =
        [
            "START"
            "REGISTER_FILE;/mnt/pmem/list;0x7f0000001000;0x1000;0x0"
            "REGISTER_FILE;/mnt/pmem/other;0x7f0000010000;0x1000;0x0"
            "list_insert.BEGIN"
            yield! if isRight then value @ link else link @ value
            "STORE;0x7f0000010000;0xff;0x1"
            "STORE;0x1000;0xff;0x1"
            "list_insert.END"
            "FREORDER"
            "STOP"
        ]

    [
        "==4711== pmemcheck-1.0, a simple persistent store checker"
        "==4711== Command: ./list /mnt/pmem/list"
        "==4711== "
        String.Join('|', elements)
        "==4711== "
        "==4711== Number of stores not made persistent: 0"
        "==4711== ERROR SUMMARY: 0 errors"
    ]

/// A node that is linked to (the head at 0 is not 0) has a value (at 72).
let private listChecker =
    """[ "$(od -An -tu8 -j0 -N8 "$1" | tr -d ' ')" = 0 ] || [ "$(od -An -tu4 -j72 -N4 "$1" | tr -d ' ')" != 0 ]"""

let private pmemcheckLog () =
    Harness.inDirectory (fun directory ->
        let program = scriptIn directory listChecker
        let path = Path.Combine(directory, "store.log")
        File.WriteAllLines(path, storeLog false)
        run [ "lint"; path ] |> refuses [ "/mnt/pmem/list"; "/mnt/pmem/other" ]
        let answer = run [ "check"; path; "--file"; "list"; "--json"; "--program"; program ]
        ends 1 answer
        let durable = string ((json answer).GetProperty "durable")
        Expect.stringContains durable "list.c:20" "the link is durable, the value is not there"
        run [ "draw"; path; "--file"; "list" ] |> ends 0
        let picture = File.ReadAllText(path + ".svg")
        Expect.stringContains picture "list.c:21" "the lines of the C source"
        run [ "lint"; path; "--file"; "list" ] |> ends 0
        File.WriteAllLines(path, storeLog true)
        run [ "check"; path; "--file"; "list"; "--program"; program ] |> ends 0)

let tests =
    testList
        "tool traces"
        [
            yield! List.map throughTheTool recorders
            testCase "a log by pmemcheck's grammar is checked, linted and drawn" pmemcheckLog
        ]
