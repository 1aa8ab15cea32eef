module Pmem.Tests.StubTests

open System
open System.Collections.Generic
open Expecto
open Iced.Intel
open Pmem
open Pmem.Linux
open Pmem.Testing

let internal disassemble (code: byte[]) =
    let decoder = Decoder.Create(64, ByteArrayCodeReader code)
    decoder.IP <- 0UL
    let formatter = NasmFormatter()
    let output = StringOutput()

    [
        while decoder.IP < uint64 code.Length do
            let mutable instruction = Unchecked.defaultof<Iced.Intel.Instruction>
            decoder.Decode &instruction
            formatter.Format(&instruction, output)
            output.ToStringAndReset()
    ]

let private expected writeBack (start, finish) fence =
    [
        "endbr64"
        $"{writeBack} [{start}]"
        $"add {start},40h"
        $"cmp {start},{finish}"
        "jb short 4"
    ]
    @ fence
    @ [ "ret" ]

/// System V has the first arguments in rdi and rsi, Windows in rcx and rdx.
let private isExactly kind mnemonic (fence: FenceKind | null) fenceMnemonics =
    Expect.equal
        (disassemble (X64Stubs.WriteBack(kind, fence, 64)))
        (expected mnemonic ("rdi", "rsi") fenceMnemonics)
        mnemonic

    Expect.equal
        (disassemble (X64WindowsStubs.WriteBack(kind, fence, 64)))
        (expected mnemonic ("rcx", "rdx") fenceMnemonics)
        $"{mnemonic} on Windows"

let internal kinds = [ Clwb, "clwb"; ClflushOpt, "clflushopt"; Clflush, "clflush" ]

let internal isThere kind =
    let facts = PmemPlatform.Current.Facts

    match kind with
    | Clwb -> facts.HasClwb
    | ClflushOpt -> facts.HasClflushOpt
    | Clflush -> facts.HasClflush
    | _ -> false

let private page = 4096

let tests =
    testList
        "write-back stubs"
        [
            for kind, mnemonic in kinds do
                testCase $"{mnemonic} without a fence is exactly these instructions" (fun () ->
                    isExactly kind mnemonic null [])

                for fence, fenceMnemonic in [ Sfence, "sfence"; Mfence, "mfence" ] do
                    testCase $"{mnemonic} with {fenceMnemonic} is exactly these instructions" (fun () ->
                        isExactly kind mnemonic fence [ fenceMnemonic ])

                Harness.needing mnemonic (fun () -> isThere kind) $"{mnemonic} runs and changes no byte" (fun () ->
                    Harness.inDirectory (fun directory ->
                        let machine =
                            match PlacedStubs.TryPlace(Runtime.InteropServices.Architecture.X64, 64) with
                            | null -> failtest "no executable memory"
                            | placed -> placed.Lines(kind, kind, (if kind = Clflush then Mfence else Sfence))

                        use map = PmemMapping.Create(IO.Path.Combine(directory, "f"), int64 (20 * page))
                        Random(1).NextBytes map.Span
                        let before = map.Span.ToArray()
                        let start = NativeInterop.NativePtr.toNativeInt map.Pointer

                        for first, last in [ 0, 1; 0, 64; 64, 64; 128, 3 * page; 0, 20 * page ] do
                            machine.WriteBack(start + nativeint first, start + nativeint (max last (first + 64)))

                            machine.WriteBackAndFence(
                                start + nativeint first,
                                start + nativeint (max last (first + 64))
                            )

                        Expect.equal (map.Span.ToArray()) before "bytes"))

            testCase "the fences alone are exactly these instructions"
            <| fun () ->
                Expect.equal (disassemble (X64Stubs.Fence Sfence)) [ "endbr64"; "sfence"; "ret" ] "sfence"
                Expect.equal (disassemble (X64Stubs.Fence Mfence)) [ "endbr64"; "mfence"; "ret" ] "mfence"
                Expect.equal (X64WindowsStubs.Fence Sfence) (X64Stubs.Fence Sfence) "they have no arguments"

            testCase "Arm64's are exactly these words"
            <| fun () ->
                let words (code: byte[]) =
                    [ for at in 0..4 .. code.Length - 4 -> BitConverter.ToUInt32(code, at) ]

                let loop writeBack =
                    [ 0xd503245fu; writeBack; 0x91010000u; 0xeb01001fu; 0x54ffffa3u ]

                for kind, writeBack in [ DcCvap, 0xd50b7c20u; DcCvadp, 0xd50b7d20u ] do
                    Expect.equal
                        (words (Arm64Stubs.WriteBack(kind, null, 64)))
                        (loop writeBack @ [ 0xd65f03c0u ])
                        "alone"

                    Expect.equal
                        (words (Arm64Stubs.WriteBack(kind, DsbSy, 64)))
                        (loop writeBack @ [ 0xd5033f9fu; 0xd65f03c0u ])
                        "with the fence"

                Expect.equal (words (Arm64Stubs.Fence DsbSy)) [ 0xd503245fu; 0xd5033f9fu; 0xd65f03c0u ] "the fence"
                Expect.equal (words Arm64Stubs.CacheType) [ 0xd503245fu; 0xd53b0020u; 0xd65f03c0u ] "the cache type"

            testCase "Arm64's line is the register's DminLine words"
            <| fun () ->
                // Cortex-A53, A64FX, and all other fields set.
                for cacheType, bytes in [ 0x84448004UL, 64; 0x86668006UL, 256; 0xFFF0FFFFUL, 4; 0x30000UL, 32 ] do
                    Expect.equal (Arm64Stubs.LineSizeBytes cacheType) bytes $"%x{cacheType}"

            testCase "another architecture's instructions are refused"
            <| fun () ->
                for action in
                    [
                        fun () -> X64Stubs.WriteBack(DcCvap, null, 64) |> ignore
                        fun () -> X64Stubs.Fence DsbSy |> ignore
                        fun () -> Arm64Stubs.WriteBack(Clwb, null, 64) |> ignore
                        fun () -> Arm64Stubs.Fence Sfence |> ignore
                    ] do
                    Expect.throwsT<ArgumentOutOfRangeException> action "refused"

            testCase "large ranges are walked in chunks, with one fence at the end"
            <| fun () ->
                use recorder = new StubRecorder()
                let chunk = nativeint StubLines.ChunkBytes
                let start = 1n <<< 30

                for length in [ 64n; chunk - 64n; chunk; chunk + 64n; 10n * chunk; 10n * chunk + 128n ] do
                    recorder.Lines.WriteBackAndFence(start, start + length)

                let calls = recorder.Calls()
                Expect.equal (Seq.sumBy (fun struct (_, _, fenced) -> Convert.ToInt32(fenced: bool)) calls) 6 "fences"

                for struct (first, last, _) in calls do
                    Expect.isTrue (last > first && last - first <= chunk) $"{last - first} bytes in one call"

                let covered =
                    calls |> Seq.sumBy (fun struct (first, last, _) -> int64 (last - first))

                Expect.equal
                    covered
                    (int64 (64n + chunk - 64n + chunk + chunk + 64n + 10n * chunk + 10n * chunk + 128n))
                    "bytes"
                // 256 lines at 40 ns, slower than any of them here, are ten microseconds.
                Expect.isLessThanOrEqual (StubLines.ChunkBytes / 64) 256 "lines that hold a collection off"

            Harness.needing
                "a write-back"
                (fun () -> PmemPlatform.Current.WriteBack <> NoWriteBack)
                "the machine's instructions are there before its platform was asked for"
            <| fun () ->
                let outcome = Child.run "lines-first" [ "" ] []
                Expect.equal (outcome.Output.Trim()) "written back" (string outcome)

            Harness.onLinux "their page is executable and not writable"
            <| fun () ->
                let address =
                    match ExecutablePage.TryPlace [| 0xC3uy |] with
                    | null -> failtest "no executable memory"
                    | addresses -> addresses[0]

                let holds (line: string) =
                    let addresses = line.Substring(0, line.IndexOf ' ')
                    let bounds = addresses.Split '-' |> Array.map (fun hex -> Convert.ToInt64(hex, 16))
                    bounds[0] <= int64 address && int64 address < bounds[1]

                let line = IO.File.ReadLines "/proc/self/maps" |> Seq.find holds
                Expect.stringContains line "r-xp" line
        ]
