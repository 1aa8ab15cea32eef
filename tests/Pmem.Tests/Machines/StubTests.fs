module Pmem.Tests.StubTests

open System
open System.Collections.Generic
open Expecto
open Iced.Intel
open Pmem
open Pmem.Linux
open Pmem.Testing

let private disassemble (code: byte[]) =
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

let private expected writeBack fence =
    [ $"{writeBack} [rdi]"; "add rdi,40h"; "cmp rdi,rsi"; "jb short 0" ]
    @ fence
    @ [ "ret" ]

let private kinds = [ Clwb, "clwb"; ClflushOpt, "clflushopt"; Clflush, "clflush" ]

let private isThere kind =
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
                    Expect.equal (disassemble (StubCode.X64SystemV(kind, null, 64uy))) (expected mnemonic []) mnemonic)

                for fence, fenceMnemonic in [ Sfence, "sfence"; Mfence, "mfence" ] do
                    testCase $"{mnemonic} with {fenceMnemonic} is exactly these instructions" (fun () ->
                        Expect.equal
                            (disassemble (StubCode.X64SystemV(kind, fence, 64uy)))
                            (expected mnemonic [ fenceMnemonic ])
                            mnemonic)

                Harness.needing mnemonic (fun () -> isThere kind) $"{mnemonic} runs and changes no byte" (fun () ->
                    Harness.inDirectory (fun directory ->
                        let machine =
                            StubMachine.Create(kind, (if kind = Clflush then Mfence else Sfence), 64L)

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

            testCase "arm64 write-backs are refused"
            <| fun () ->
                Expect.throwsT<ArgumentOutOfRangeException>
                    (fun () -> StubCode.X64SystemV(DcCvap, null, 64uy) |> ignore)
                    "DC CVAP"

            testCase "large ranges are walked in chunks, with one fence at the end"
            <| fun () ->
                use recorder = new StubRecorder()
                let chunk = nativeint StubMachine.ChunkBytes
                let start = 1n <<< 30

                for length in [ 64n; chunk - 64n; chunk; chunk + 64n; 10n * chunk; 10n * chunk + 128n ] do
                    recorder.Machine.WriteBackAndFence(start, start + length)

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
                Expect.isLessThanOrEqual (StubMachine.ChunkBytes / 64) 256 "lines that hold a collection off"

            testCase "their page is executable and not writable"
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
