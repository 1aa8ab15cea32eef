/// What child processes do to be looked at from outside: by the JIT compiler's listing, or by their system calls.
module Pmem.Tests.MachineChildren

open System
open System.IO
open System.Reflection
open System.Runtime.CompilerServices
open System.Runtime.Intrinsics
open Microsoft.FSharp.NativeInterop
open Pmem
open Pmem.Testing

/// Everything that libpmem's functions do to memory, by name.
let private libPmemSteps (at: int -> nativeptr<byte>) =
    let pointer offset = NativePtr.toVoidPtr (at offset)
    let far = pointer 40_000

    [
        "persist", (fun () -> LibPmem.Persist(pointer 100, 100un))
        "flush", (fun () -> LibPmem.Flush(pointer 100, 100un))
        "drain", LibPmem.Drain
        "deep flush", (fun () -> LibPmem.DeepFlush(pointer 100, 100un))
        "deep drain", (fun () -> LibPmem.DeepDrain(pointer 100, 100un) |> ignore)
        "deep persist", (fun () -> LibPmem.DeepPersist(pointer 100, 100un) |> ignore)
        "msync", (fun () -> LibPmem.Msync(pointer 4090, 10un) |> ignore)
        "memmove persist", (fun () -> LibPmem.MemMovePersist(pointer 100, far, 10un) |> ignore)
        "memcpy persist", (fun () -> LibPmem.MemCpyPersist(pointer 100, far, 10un) |> ignore)
        "memset persist", (fun () -> LibPmem.MemSetPersist(pointer 100, 1, 10un) |> ignore)
        "memmove nodrain", (fun () -> LibPmem.MemMoveNoDrain(pointer 100, far, 10un) |> ignore)
        "memcpy nodrain", (fun () -> LibPmem.MemCpyNoDrain(pointer 100, far, 10un) |> ignore)
        "memset nodrain", (fun () -> LibPmem.MemSetNoDrain(pointer 100, 1, 10un) |> ignore)
    ]

/// What each of them has a machine do that only records.
let libPmemRecorded (_: string) =
    use memory = new GuardedMemory(65536)

    let machine = RecordingMachine(PmemPlatform.Current, BaseAddress = memory.Address)

    LibPmem.ExecuteOn machine.ForLibPmem

    for name, action in libPmemSteps (fun offset -> NativePtr.ofNativeInt (memory.Address + nativeint offset)) do
        action ()
        printfn "%s: %s" name (String.Join("; ", machine.Take()))

    LibPmem.ExecuteOn null

/// The same on a file with this process's real machine, between two marks.
let libPmemReal (path: string) =
    use map = PmemMapping.Create(path, 65536L)
    let steps = libPmemSteps (NativePtr.add map.Pointer)

    let all () =
        steps |> List.iter (fun (_, action) -> action ())

    all ()
    Posix.Mark "<begin>"
    all ()
    Posix.Mark "<end>"

/// Persists and syncs the same ranges of two files between two marks, of one by libpmem, then of the other by us; it tells
/// where each is.
let libPmemBoth (path: string) =
    let ranges =
        [
            0, 1
            100, 200
            4090, 10
            8191, 1
            8192, 4096
            4095, 8194
            0, 65536
            65535, 1
        ]

    let mutable mapped, isPmem = 0un, 0

    let theirs =
        NativeLibPmem.MapFile(path + ".theirs", 65536un, 1, 0o600u, &mapped, &isPmem)

    let mutable ourMapped, ourIsPmem = 0un, false

    let ours =
        LibPmem.MapFile(path + ".ours", 65536un, PmemFileModes.Create, 0o600, &ourMapped, &ourIsPmem)

    let all () =
        for offset, length in ranges do
            // Not as a pair: where nothing is inlined, one of pointers is no type.
            let their = NativePtr.add theirs offset
            let our = NativePtr.toVoidPtr (NativePtr.add ours offset)
            NativeLibPmem.Persist(their, unativeint length)
            LibPmem.Persist(our, unativeint length)
            NativeLibPmem.Msync(their, unativeint length) |> ignore
            LibPmem.Msync(our, unativeint length) |> ignore

    all ()
    Posix.Mark "<begin>"
    all ()
    Posix.Mark "<end>"
    printfn "%d %d" (NativePtr.toNativeInt theirs) (NativePtr.toNativeInt ours)

/// A longer file is cut between two marks.
let cut (path: string) =
    let cut path =
        File.WriteAllBytes(path, Array.zeroCreate 20_000)
        PmemMapping.Create(path, 8192L, PmemCreateOptions(Truncate = true))

    (cut (path + ".warm")).Dispose()
    File.WriteAllBytes(path, Array.zeroCreate 20_000)
    Posix.Mark "<begin>"
    use map = PmemMapping.Create(path, 8192L, PmemCreateOptions(Truncate = true))
    Posix.Mark "<end>"

/// Disposes between two marks.
let dispose (path: string) =
    for name in [ path + ".warm"; path ] do
        let map = PmemMapping.Create(name, 8192L)
        map.Persist(0L, 1L)
        Posix.Mark(if name = path then "<begin>" else "warm")
        map.Dispose()

    Posix.Mark "<end>"

/// A deep persist on a made-up region whose deep_flush may be written, between two marks; it tells what came of it.
let deepPersist (path: string) =
    let root = path + ".sys"
    let region = Path.Combine(root, "devices/ndbus0/region3")
    Directory.CreateDirectory(Path.Combine(region, "block/pmem3")) |> ignore
    Directory.CreateDirectory(Path.Combine(root, "dev/block")) |> ignore
    File.WriteAllText(Path.Combine(region, "deep_flush"), "1")
    File.WriteAllBytes(path, Array.zeroCreate 4096)

    File.CreateSymbolicLink(
        Path.Combine(root, "dev/block", Doubles.DeviceOf path),
        "../../devices/ndbus0/region3/block/pmem3"
    )
    |> ignore

    let struct (map, _) =
        Doubles.Map(path, 4096L, Pmem.FSharp.Platform.x64 Clwb, FileDax, root)

    use map = map
    map.DeepPersist(0L, 8L)
    Posix.Mark "<begin>"

    let said =
        try
            map.DeepPersist(0L, 8L)
            "done"
        with e ->
            e.Message

    Posix.Mark "<end>"
    printfn "%s" said

let private everything =
    BindingFlags.Public
    ||| BindingFlags.NonPublic
    ||| BindingFlags.Static
    ||| BindingFlags.Instance
    ||| BindingFlags.DeclaredOnly

type private Wide =
    Copier<LineStore<Vector256<byte>, Through<Vector256<byte>>>, LineStore<Vector256<byte>, Past256>, StubLines>

type private Narrow =
    Copier<LineStore<Vector128<byte>, Through<Vector128<byte>>>, LineStore<Vector128<byte>, Past128>, StubLines>

/// What is compiled, and so listed, by types and names of methods.
let private listed: (Type * string list) list =
    let copies =
        [
            "CopyLines"
            "FillLines"
            "CopyNonTemporal"
            "CopyNonTemporalEdges"
            "CopyNonTemporalBackwards"
        ]

    [
        typeof<StubLines>, [ "Fence" ]
        typeof<Past128>, [ "Store" ]
        typeof<Past256>, [ "Store" ]
        typeof<Past512>, [ "Store" ]
        nonNull (typeof<PmemMapping>.Assembly.GetType "Pmem.CopyKernels"), [ "Words"; "StoreWord32" ]
        typeof<Narrow>, copies
        typeof<Wide>, copies
        typeof<PmemMapping>, [ "StoreBytes"; "CompareExchange"; "Write"; "Fill"; "Move"; "Persist"; "Store" ]
    ]

/// Has the methods compiled whose machine code is looked at.
let compile (_: string) =
    for owner, names in listed do
        let arguments: RuntimeTypeHandle[] | null =
            if owner.IsGenericType then
                owner.GetGenericArguments() |> Array.map _.TypeHandle
            else
                null

        for found in owner.GetMethods everything do
            if List.contains found.Name names then
                if found.IsGenericMethodDefinition then
                    RuntimeHelpers.PrepareMethod(found.MethodHandle, [| typeof<int64>.TypeHandle |])
                else
                    RuntimeHelpers.PrepareMethod(found.MethodHandle, arguments)

/// Writes a line back before anything has asked for the platform.
let linesFirst (_: string) =
    use memory = new GuardedMemory(4096)
    PmemPlatform.CurrentLines.WriteBackAndFence(memory.Address, memory.Address + 64n)
    printfn "written back"
