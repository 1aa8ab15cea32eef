/// The machine code itself: what the JIT compiler makes of the stores and fences, and what the placed stubs are.
module Pmem.Tests.MachineCodeTests

open System
open System.IO
open System.Reflection
open System.Text.RegularExpressions
open Expecto
open Iced.Intel
open Pmem

[<Literal>]
let private Heading = "; Assembly listing for method "

/// What the JIT compiler says of the methods that a child has it compile: name and instructions.
let private listing =
    lazy
        (let path = Path.Combine(Harness.directory, $"pmem-listing-{Guid.NewGuid():N}")

         let names =
             "Fence Store Words StoreWord32 StoreBytes CompareExchange CopyLines FillLines CopyNonTemporal "
             + "CopyNonTemporalEdges CopyNonTemporalBackwards Write Fill Move Persist"

         let outcome =
             Child.run
                 "compile"
                 [ "nothing" ]
                 [
                     "DOTNET_JitDisasm", names
                     "DOTNET_JitStdOutFile", path
                     "DOTNET_TieredCompilation", "0"
                 ]

         Expect.equal outcome.ExitCode 0 outcome.Error
         let text = File.ReadAllText path
         File.Delete path

         [
             for part in text.Split Heading |> Array.skip 1 do
                 let lines = part.Split '\n'
                 let code = lines |> Array.filter (fun line -> not (line.StartsWith ';'))
                 lines[0], String.Join("\n", code)
         ])

let private codeOf (name: string) =
    match listing.Value |> List.filter (fun (heading, _) -> heading.Contains name) with
    | [] -> failtest $"no listing of {name}"
    | found -> found

/// Every listing of this name has the instruction.
let private has name (instruction: string) =
    for heading, code in codeOf name do
        if not (Regex.IsMatch(code, instruction)) then
            failtest $"{heading} has no {instruction}:\n{code}"

let private pastTheCache =
    [
        // What the processor lacks is never used (VectorWidth.Widest), and .NET makes something else of it.
        for bits in [ 128; 256; 512 ] |> List.filter (fun bits -> bits <= VectorWidth.Widest) do
            testCase $"a vector of {bits} bits is stored past the cache" (fun () ->
                has $"Past{bits}:Store" "movntdq"

                for heading, code in codeOf $"Past{bits}:Store" do
                    Expect.isFalse
                        (Regex.IsMatch(code, @"v?mov(dq|up|ap)\w* +[xyz]mmword ptr \[r(?!sp|bp)"))
                        $"{heading}: {code}")

        for name in
            [
                "CopyLines"
                "FillLines"
                "CopyNonTemporal"
                "CopyNonTemporalEdges"
                "CopyNonTemporalBackwards"
            ] do
            testCase $"{name} stores lines past the cache" (fun () ->
                // Inlined, or by a kernel for such lines.
                has $":{name}(" @"movntdq|call .*Past(128|256)")

        testCase "a word of an edge is stored past the cache" (fun () ->
            has ":Words(" "movnti +qword"
            has ":StoreWord32(" "movnti +dword")
    ]

let private words =
    [
        testCase "a word is stored by one instruction" (fun () ->
            for heading, code in codeOf ":StoreBytes(" do
                Expect.isTrue (Regex.IsMatch(code, @"mov +qword ptr \[r[^\]]*\], r")) $"{heading}: {code}"
                Expect.isFalse (Regex.IsMatch(code, @"mov +byte +ptr \[r\w+[^\]]*\], ")) $"{heading}: {code}")
        testCase "a compare-exchange is a locked instruction" (fun () -> has ":CompareExchange(" "cmpxchg")
        testCase "a drain is a fence, of the two kinds" (fun () ->
            has "StubLines:Fence" "sfence"
            has "StubLines:Fence" "mfence")
    ]

/// A short call is the last thing its caller does, a jump, and nothing is stored on the stack before it but what the jump takes off again.
let private shortCalls =
    [
        for name in
            [
                "Write(long,System.ReadOnlySpan"
                "Write[long]("
                "Fill(long,long,"
                "Move(long,long,long"
                "Persist(long,long)"
                "Store[long]("
            ] do
            testCase $"{name} ends in a jump to the code, and stores nothing on its way" (fun () ->
                for heading, code in codeOf $"PmemMapping:{name}" do
                    Expect.isTrue (Regex.IsMatch(code, @"tail\.jmp +r")) $"{heading}: {code}"
                    Expect.isLessThanOrEqual (Regex.Matches(code, @"push +").Count) 1 $"{heading}: {code}"
                    Expect.isFalse (Regex.IsMatch(code, @"mov\w* +[^\n]*ptr \[[^\]]*\], ")) $"{heading}: {code}")
    ]

let private field (name: string) (lines: StubLines) =
    typeof<StubLines>.GetField(name, BindingFlags.NonPublic ||| BindingFlags.Instance)
    |> nonNull
    |> _.GetValue(lines)
    |> nonNull

/// The instructions from an address to the first return.
let private codeAt (address: nativeint) =
    let bytes = Array.zeroCreate<byte> 64
    Runtime.InteropServices.Marshal.Copy(address, bytes, 0, 64)
    let decoder = Decoder.Create(64, ByteArrayCodeReader bytes)
    let formatter = NasmFormatter()
    let output = StringOutput()

    let rec decode () =
        let mutable instruction = Unchecked.defaultof<Iced.Intel.Instruction>
        decoder.Decode &instruction
        formatter.Format(&instruction, output)
        let text = output.ToStringAndReset()
        if text = "ret" then [ text ] else text :: decode ()

    decode ()

let private placed () =
    let stubs =
        match PlacedStubs.TryPlace(Runtime.InteropServices.Architecture.X64, 64) with
        | null -> failtest "no executable memory"
        | stubs -> stubs

    let code name lines =
        match field name lines with
        | :? nativeint as address -> codeAt address
        | other -> failtest $"a function pointer is a {other.GetType()}"

    for kind, mnemonic in [ Clwb, "clwb"; ClflushOpt, "clflushopt"; Clflush, "clflush" ] do
        for fence, fenceMnemonic in [ Sfence, "sfence"; Mfence, "mfence" ] do
            let lines = stubs.Lines(kind, Clflush, fence)

            let loop writeBack fences =
                [ "endbr64"; $"{writeBack} [rdi]"; "add rdi,40h"; "cmp rdi,rsi" ] @ fences

            let withoutJump = List.filter (fun (text: string) -> not (text.StartsWith "jb"))
            Expect.equal (code "_writeBack" lines |> withoutJump) (loop mnemonic [ "ret" ]) "a write-back"

            Expect.equal
                (code "_writeBackAndFence" lines |> withoutJump)
                (loop mnemonic [ fenceMnemonic; "ret" ])
                "a persist"

            Expect.equal (code "_deepWriteBack" lines |> withoutJump) (loop "clflush" [ "ret" ]) "a deep write-back"
            Expect.equal (code "_fence" lines) [ "endbr64"; fenceMnemonic; "ret" ] "a fence"
            Expect.equal (field "_isFullFence" lines :?> bool) (fence = Mfence) "which of the two a drain is"

let private featureBits () =
    for register, expected in
        [
            0, struct (false, false)
            1 <<< 23, struct (true, false)
            1 <<< 24, struct (false, true)
            ~~~((1 <<< 23) ||| (1 <<< 24)), struct (false, false)
        ] do
        Expect.equal (PmemPlatform.WriteBacksIn register) expected $"0x%x{register}"

let tests =
    testList
        "machine code"
        [
            yield! pastTheCache
            yield! words
            yield! shortCalls
            testCase "the placed stubs are those that the platform decided for" placed
            testCase "CLFLUSHOPT and CLWB are read from bits 23 and 24" featureBits
        ]
