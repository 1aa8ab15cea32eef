/// libpmem's copies and ours do the same to the same bytes.
module Pmem.Tests.CopyOracleTests

open System.Runtime.InteropServices
open Expecto
open FsCheck.FSharp
open Pmem
open Pmem.Testing
open Pmem.Tests.CopyPlanTests

[<Literal>]
let private MemoryBytes = 16384

type LibPmemCall = { Kind: CopyKind; To: int; From: int; Length: int; Flags: PmemCopyOptions }

let private lengthGen =
    Gen.oneof [ Gen.choose (0, 70); Gen.choose (0, 600); Gen.choose (0, 7000) ]

let private callGen =
    gen {
        let! kind = Gen.elements [ CopyKind.Move; CopyKind.Copy; CopyKind.Fill ]
        let! length = lengthGen
        // memcpy must not overlap: its source lies in the other half.
        let! at = Gen.choose (0, MemoryBytes / 2 - length)
        let! anywhere = Gen.choose (0, MemoryBytes - length)
        let! half = Gen.choose (MemoryBytes / 2, MemoryBytes - length)
        let! value = Gen.choose (-1000, 1000)
        let! flags = Gen.elements goodFlags

        return
            {
                Kind = kind
                To = at
                From =
                    (match kind with
                     | CopyKind.Move -> anywhere
                     | CopyKind.Copy -> half
                     | _ -> value)
                Length = length
                Flags = flags
            }
    }

[<Literal>]
let private CallsInSequence = 200

type Arbitraries =
    static member Calls() =
        Arb.fromGen (Gen.listOfLength CallsInSequence callGen)

let private areTheSame (theirs: GuardedMemory) (ours: GuardedMemory) = theirs.HasSameBytes ours

let private isThere () =
    NativeLibrary.TryLoad("libpmem.so.1", ref 0n)

/// Both begin with the same bytes, and are compared after each call.
let private agree (calls: LibPmemCall list) =
    use theirs = new GuardedMemory(MemoryBytes)
    use ours = new GuardedMemory(MemoryBytes)
    System.Random(3).NextBytes theirs.Span
    theirs.Span.CopyTo ours.Span

    calls
    |> List.forall (fun call ->
        NativeLibPmemCopy.Both(theirs, ours, call.Kind, call.To, call.From, call.Length, call.Flags)
        && areTheSame theirs ours)

let private persistAndNoDrain () =
    use memory = new GuardedMemory(4096)
    let address = memory.Address

    let at offset =
        FSharp.NativeInterop.NativePtr.toVoidPtr (
            FSharp.NativeInterop.NativePtr.ofNativeInt<byte>(address + nativeint offset)
        )

    memory.Span.Clear()
    LibPmem.MemSetPersist(at 100, 0x1AB, 50un) |> ignore
    LibPmem.MemSetNoDrain(at 150, 0x0C, 50un) |> ignore
    LibPmem.MemCpyPersist(at 1000, at 100, 100un) |> ignore
    LibPmem.MemCpyNoDrain(at 2000, at 100, 100un) |> ignore
    LibPmem.MemMovePersist(at 1010, at 1000, 100un) |> ignore
    LibPmem.MemMoveNoDrain(at 1990, at 2000, 100un) |> ignore
    LibPmem.Drain()

    let piece start length =
        memory.Span.Slice(start, length).ToArray()

    let written = Array.append (Array.replicate 50 0xABuy) (Array.replicate 50 0x0Cuy)
    Expect.equal (piece 100 100) written "memset"
    Expect.equal (piece 1010 100) written "memmove up"
    Expect.equal (piece 1990 100) written "memmove down"
    Expect.equal (piece 0 100) (Array.zeroCreate 100) "nothing before"

let tests =
    // Alone, because they make many mappings, and other tests count those.
    testSequenced
    <| testList
        "libpmem's copies"
        [
            if isThere () then
                Harness.propertyOf (Harness.cases 20 500) "byte for byte the same" [ typeof<Arbitraries> ] agree
            else
                Harness.needing "libpmem.so.1" isThere "byte for byte the same" ignore
            testCase "the forms with persist and nodrain" persistAndNoDrain
            testCase "of flags that exclude each other, libpmem takes one" (fun () ->
                use memory = new GuardedMemory(4096)
                let address = FSharp.NativeInterop.NativePtr.ofNativeInt<byte> memory.Address
                let at = FSharp.NativeInterop.NativePtr.toVoidPtr address
                let machine = RecordingMachine(PmemPlatform.Current, BaseAddress = memory.Address)
                LibPmem.ExecuteOn machine.ForLibPmem

                try
                    for flags in 0..127 do
                        let has (flag: PmemCopyOptions) = flags &&& int flag <> 0
                        let noFlush = has PmemCopyOptions.NoFlush

                        let pastCache =
                            has PmemCopyOptions.NonTemporal || has PmemCopyOptions.WriteCombining

                        let throughCache = has PmemCopyOptions.Temporal || has PmemCopyOptions.WriteBack

                        LibPmem.MemSet(at, flags, 256un, enum<PmemCopyOptions> flags) |> ignore
                        Expect.allEqual (memory.Span.Slice(0, 256).ToArray()) (byte flags) $"bytes, {flags}"
                        let issued = machine.Take()
                        let isFenced = issued |> Seq.exists _.IsFence
                        let isWrittenBack = issued |> Seq.exists _.IsWriteBack
                        Expect.equal isFenced (not (noFlush || has PmemCopyOptions.NoDrain)) $"fence, {flags}"

                        if noFlush || pastCache then
                            Expect.isFalse isWrittenBack $"nothing to write back, {flags}"
                        elif throughCache then
                            Expect.isTrue isWrittenBack $"written back, {flags}"
                finally
                    LibPmem.ExecuteOn null)
        ]
