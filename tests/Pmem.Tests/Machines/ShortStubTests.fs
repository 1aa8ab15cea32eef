/// A short durable copy as one function of machine code: its instructions, and that each way through it copies what it must.
module Pmem.Tests.ShortStubTests

open System
open System.Text.RegularExpressions
open Expecto
open FSharp.NativeInterop
open Pmem
open Pmem.Testing
open Pmem.Tests.StubTests

#nowarn "9"

/// Where a jump leads is seen by running it; here it is only a jump.
let private listing code =
    disassemble code
    |> List.map (fun line -> Regex.Replace(line, "^(j[a-z]+) .*$", "$1"))

let private ending writeBack fence =
    [
        "lea rsi,[rdi+rdx-1]"
        "and rdi,0FFFFFFFFFFFFFFC0h"
        $"{writeBack} [rdi]"
        "add rdi,40h"
        "cmp rdi,rsi"
        "jbe"
        fence
        "ret"
    ]

/// A register as so many bytes.
let private ofBytes bytes (names: string list) =
    match bytes with
    | 8 -> names[0]
    | 4 -> names[1]
    | 2 -> names[2]
    | _ -> names[3]

let private rax bytes =
    ofBytes bytes [ "rax"; "eax"; "ax"; "al" ]

let private rcx bytes =
    ofBytes bytes [ "rcx"; "ecx"; "cx"; "cl" ]

let private rsi bytes =
    ofBytes bytes [ "rsi"; "esi"; "si"; "sil" ]

let private load bytes (register: int -> string) place =
    match bytes with
    | 8
    | 4 -> $"mov {register bytes},{place}"
    | 2 -> $"movzx {register 4},word {place}"
    | _ -> $"movzx {register 4},byte {place}"

let private copyWord bytes =
    [ load bytes rax "[rsi]"; $"mov [rdi],{rax bytes}" ]

let private copyWords bytes =
    [
        load bytes rax "[rsi]"
        load bytes rcx $"[rsi+rdx-{bytes}]"
        $"mov [rdi],{rax bytes}"
        $"mov [rdi+rdx-{bytes}],{rcx bytes}"
    ]

/// By one store: the second of two would undo what another thread made of the first.
let private fillWord bytes = [ $"mov [rdi],{rsi bytes}" ]

let private fillWords bytes =
    fillWord bytes @ [ $"mov [rdi+rdx-{bytes}],{rsi bytes}" ]

/// Half from the start on, half up to the end.
let private places address count =
    [
        for vector in 0 .. count - 1 do
            if vector = 0 then $"[{address}]"
            elif vector < count / 2 then $"[{address}+{vector}0h]"
            else $"[{address}+rdx-{count - vector:X}0h]"
    ]

let private stores mnemonic register count =
    places "rdi" count
    |> List.mapi (fun vector place -> $"{mnemonic} {place},xmm{register vector}")

let private copyVectors mnemonic count =
    (places "rsi" count
     |> List.mapi (fun vector place -> $"movups xmm{vector},{place}"))
    @ stores mnemonic id count

let private fillVectors mnemonic count = stores mnemonic (fun _ -> 0) count

let private pattern = [ "movq xmm0,rsi"; "punpcklqdq xmm0,xmm0" ]

/// Before anything is touched.
let private unlessClosed =
    [ "endbr64"; "cmp byte [rcx],0"; "je"; "mov rdi,r8"; "jmp" ]

let private exactly word ending bytes =
    [ $"cmp rdx,{bytes}"; "jne" ] @ word bytes @ ending

let private shorter word words ending =
    List.concat
        [
            for bytes in [ 8; 4; 2 ] -> exactly word ending bytes @ [ $"cmp rdx,{bytes}"; "jb" ] @ words bytes @ ending
        ]
    @ word 1
    @ ending

/// One to four whole lines past the cache.
let private lines start vectors fence =
    [ "mov eax,edi"; "or eax,edx"; "test al,3Fh"; "jne" ]
    @ start
    @ List.concat
        [
            for bytes, count in [ "40h", 4; "80h", 8; "0C0h", 12 ] ->
                [ $"cmp rdx,{bytes}"; "ja" ] @ vectors count @ [ fence; "ret" ]
        ]
    @ vectors 16
    @ [ fence; "ret" ]

let private expected start word words vectors ending =
    start
    @ [ "cmp rdx,10h"; "jae" ]
    @ shorter word words ending
    @ List.concat
        [
            for count in [ 2; 4; 8 ] -> [ $"cmp rdx,{count}0h"; "ja" ] @ vectors count @ ending
        ]
    @ vectors 16
    @ ending

let private pinned (kind, writeBack) (fence, fenceMnemonic) () =
    let ending = ending writeBack fenceMnemonic

    let copy = expected [] copyWord copyWords (copyVectors "movups") ending
    let fill = expected pattern fillWord fillWords (fillVectors "movups") ending
    Expect.equal (listing (X64ShortStubs.Copy(kind, fence, 64))) (unlessClosed @ copy) "copy"
    Expect.equal (listing (X64ShortStubs.Fill(kind, fence, 64))) (unlessClosed @ fill) "fill"

    Expect.equal
        (listing (X64ShortStubs.CopyPast(kind, fence, 64)))
        (unlessClosed @ lines [] (copyVectors "movntps") fenceMnemonic @ copy)
        "a copy, whole lines past the cache"

    Expect.equal
        (listing (X64ShortStubs.FillPast(kind, fence, 64)))
        (unlessClosed @ lines pattern (fillVectors "movntps") fenceMnemonic @ fill)
        "a fill, whole lines past the cache"

    Expect.equal (listing (X64ShortStubs.Persist(kind, fence, 64))) (unlessClosed @ ending) "persist"

let private storePinned () =
    let ways = [ 8; 4; 2 ] |> List.collect (exactly fillWord [ "ret" ])
    Expect.equal (listing (X64ShortStubs.Store())) (unlessClosed @ ways @ fillWord 1 @ [ "ret" ]) "store"

let private machine kind =
    match PlacedStubs.TryPlace(Runtime.InteropServices.Architecture.X64, 64) with
    | null -> failtest "no executable memory"
    | placed -> placed.Lines(kind, kind, (if kind = Clflush then Mfence else Sfence)).Short

let private plan flags =
    match CopyPlan.decide (CopyPlanTests.platformWith 256 []) StoreGranularity.CacheLine flags with
    | Ok plan -> plan
    | Error reason -> failwith (string reason)

/// At every length and alignment, beside other bytes and over the source itself, in both directions.
let private copies kind flags () =
    let short = ShortCallTesting.For(machine kind, plan flags)
    use memory = new GuardedMemory(4096)

    let pointer at =
        NativePtr.ofNativeInt<byte>(memory.Address + nativeint at)

    Random(3).NextBytes memory.Span
    let expected = memory.Span.ToArray()

    for length in 1 .. ShortCalls.LongestBytes do
        for alignment in 0..7..63 do
            for distance in [ -300; -length; -9; 0; 9; length ] do
                // The last bytes of the memory, too: the next ones may not be touched.
                let into = memory.Length - length - alignment - max 0 distance
                ShortCallTesting.Copy(short, pointer into, pointer (into + distance), length)
                expected.AsSpan(into + distance, length).CopyTo(expected.AsSpan into)

            let into = memory.Length - length - alignment
            ShortCallTesting.Fill(short, pointer into, byte (length + alignment), length)
            expected.AsSpan(into, length).Fill(byte (length + alignment))
            ShortCallTesting.Persist(short, pointer into, length)

            if List.contains length [ 1; 2; 4; 8 ] then
                for isDurable in [ true; false ] do
                    let word = uint64 (Random(length + alignment).NextInt64())
                    ShortCallTesting.Word(short, pointer into, word, length, isDurable)
                    BitConverter.GetBytes(word).AsSpan(0, length).CopyTo(expected.AsSpan into)
                    Expect.isTrue (memory.Span.SequenceEqual expected) $"a word of {length} bytes, durable: {isDurable}"

        Expect.isTrue (memory.Span.SequenceEqual expected) $"{length} bytes"

/// A whole persist at every length, some of them longer than any copy: no byte changes, and none beside it is touched.
let private persists kind () =
    let short = machine kind
    use memory = new GuardedMemory(ShortCalls.LongestPersistBytes)
    memory.Span.Fill 7uy

    for length in [ 1; 63; 64; 65; 257; 4096; memory.Length - 1; memory.Length ] do
        ShortCallTesting.Persist(short, NativePtr.ofNativeInt<byte> memory.Address, length)

        ShortCallTesting.Persist(
            short,
            NativePtr.ofNativeInt<byte>(memory.Address + nativeint (memory.Length - length)),
            length
        )

    Expect.isFalse (memory.Span.ContainsAnyExcept 7uy) "bytes"

/// Where the owner is closed, what was given is called with the owner, by the same caller, and nothing is touched.
let private closed kind () =
    use memory = new GuardedMemory(4096)
    memory.Span.Fill 7uy

    for flags in [ PmemCopyOptions.None; PmemCopyOptions.Temporal ] do
        for name, told in ShortCallTesting.CallClosed(machine kind, plan flags, memory.Address) do
            Expect.equal told "the owner" $"{name}, {flags}"

    Expect.isFalse (memory.Span.ContainsAnyExcept 7uy) "bytes"

/// What is placed is what is pinned, for each call.
let private isPlaced (kind, fence) () =
    let code =
        [
            X64ShortStubs.Copy(kind, fence, 64)
            X64ShortStubs.CopyPast(kind, fence, 64)
            X64ShortStubs.Fill(kind, fence, 64)
            X64ShortStubs.FillPast(kind, fence, 64)
            X64ShortStubs.Persist(kind, fence, 64)
            X64ShortStubs.Store()
        ]

    match PlacedStubs.TryPlace(Runtime.InteropServices.Architecture.X64, 64) with
    | null -> failtest "no executable memory"
    | placed ->
        let short = placed.Lines(kind, kind, fence).Short

        for call, expected in List.indexed code do
            Expect.equal (ShortCallTesting.CodeOf(short, call, expected.Length)) expected $"call {call}"

let internal isSystemV () =
    Runtime.InteropServices.RuntimeInformation.ProcessArchitecture = Runtime.InteropServices.Architecture.X64
    && not (OperatingSystem.IsWindows())

let private taken () =
    let callsOf environment flags =
        match CopyPlan.decide (CopyPlanTests.platformWith 256 environment) StoreGranularity.CacheLine flags with
        | Ok plan -> ShortCallTesting.For(ShortCallTesting.Nowhere(), plan)
        | Error reason -> failwith (string reason)

    let longest environment =
        let short = callsOf environment PmemCopyOptions.None

        for length in [ 0L; -1L; Int64.MinValue; Int64.MaxValue; 257L ] do
            Expect.isFalse (short.Takes length) $"{length}, {environment}"

        [ 1L .. 256L ] |> List.filter short.Takes |> List.length

    Expect.equal (longest []) 256 "as the library chooses"
    Expect.equal (longest [ "PMEM_NO_MOVNT", "1" ]) 256 "nothing goes past the cache"
    // What is as long as the threshold goes past the cache, and no code here has other than whole lines do that.
    Expect.equal (longest [ "PMEM_MOVNT_THRESHOLD", "100" ]) 99 "a threshold within"
    Expect.equal (longest [ "PMEM_MOVNT_THRESHOLD", "64" ]) 63 "a threshold of a line"
    Expect.equal (longest [ "PMEM_MOVNT_THRESHOLD", "0" ]) 0 "everything goes past the cache"
    Expect.equal (longest [ "PMEM_MOVNT_THRESHOLD", "1000" ]) 256 "a threshold beyond"

    for environment in [ []; [ "PMEM_MOVNT_THRESHOLD", "0" ] ] do
        let short = callsOf environment PmemCopyOptions.None

        for length in [ 1L; 64L; 16384L ] do
            Expect.isTrue (short.TakesPersist length) $"a persist of {length}"

        for length in [ 0L; 16385L; -1L; Int64.MinValue; Int64.MaxValue ] do
            Expect.isFalse (short.TakesPersist length) $"a persist of {length}"

        for length in -1 .. 17 do
            Expect.equal (short.TakesStore length) (List.contains length [ 1; 2; 4; 8 ]) $"a store of {length}"

    for none in
        [
            ShortCallTesting.For(ShortCalls(), plan PmemCopyOptions.None)
            callsOf [] PmemCopyOptions.NoDrain
            callsOf [] PmemCopyOptions.NoFlush
        ] do
        Expect.isFalse (none.Takes 8L || none.TakesPersist 8L || none.TakesStore 8) "none"

let tests =
    testList
        "short copies in machine code"
        [
            for kind, writeBack in kinds do
                for fence, mnemonic in [ Sfence, "sfence"; Mfence, "mfence" ] do
                    testCase
                        $"{writeBack} and {mnemonic}: exactly these instructions"
                        (pinned (kind, writeBack) (fence, mnemonic))

                Harness.needing
                    writeBack
                    (fun () -> isThere kind)
                    $"{writeBack}: every length, alignment and overlap"
                    (copies kind PmemCopyOptions.Temporal)

                Harness.needing
                    writeBack
                    (fun () -> isThere kind)
                    $"{writeBack}: the same where whole lines go past the cache"
                    (copies kind PmemCopyOptions.None)

                Harness.needing
                    writeBack
                    (fun () -> isThere kind)
                    $"{writeBack}: a persist of every length"
                    (persists kind)

                Harness.needing writeBack (fun () -> isThere kind) $"{writeBack}: an owner that is closed" (closed kind)

            testCase "a store: exactly these instructions" storePinned

            for kind, _ in kinds do
                for fence in [ Sfence; Mfence ] do
                    Harness.needing
                        "x86-64 with System V"
                        isSystemV
                        $"{kind} and {fence}: what is placed"
                        (isPlaced (kind, fence))

            testCase "which lengths they take is the plan's word" taken
        ]
