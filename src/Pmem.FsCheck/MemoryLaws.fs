namespace Pmem

open System
open FsCheck
open FsCheck.FSharp

/// What is done to a memory under test.
type internal MemoryAction =
    | StoresBytes of offset: int64 * bytes: byte[]
    | StoresPast of offset: int64 * bytes: byte[]
    | Exchanges of offset: int64 * value: int64 * isMatch: bool
    | Flushes of ByteRange
    | Persists of ByteRange
    | Drains
    | Acknowledges of int64

module internal MemoryAction =
    /// Some lines and a little: what lies in it is small, what meets is likely.
    [<Literal>]
    let SizeBytes = 300

    let private range = Generators.rangeWithin (int64 SizeBytes) |> Gen.resize 2

    let private bytes =
        gen {
            let! range = range

            let! bytes =
                Gen.choose (0, 255) |> Gen.map byte |> Gen.arrayOfLength (int range.Length)

            return range.Offset, bytes
        }

    let private exchange =
        gen {
            let! word = Gen.choose64 (0L, int64 (SizeBytes / 8 - 1))
            let! value = Gen.choose64 (1L, 9L)
            let! isMatch = Gen.elements [ true; false ]
            return Exchanges(8L * word, value, isMatch)
        }

    let gen =
        Gen.frequency
            [
                4, Gen.map StoresBytes bytes
                2, Gen.map StoresPast bytes
                2, exchange
                2, Gen.map Flushes range
                2, Gen.map Persists range
                1, Gen.constant Drains
                1, Gen.map Acknowledges (Gen.choose64 (0L, 9L))
            ]

    let private wordAt (image: byte[]) (offset: int64) = BitConverter.ToInt64(image, int offset)

    /// Does it to the memory and to the image that it must be equal to; whether what it returns is right.
    let perform (memory: IPersistentMemory) (image: byte[]) action =
        let write (offset: int64) (bytes: byte[]) = bytes.CopyTo(image, int offset)

        match action with
        | StoresBytes(offset, bytes) ->
            memory.Store(offset, ReadOnlySpan bytes)
            write offset bytes
            true
        | StoresPast(offset, bytes) ->
            memory.StoreNonTemporal(offset, ReadOnlySpan bytes)
            write offset bytes
            true
        | Exchanges(offset, value, isMatch) ->
            let held = wordAt image offset

            let before =
                memory.CompareExchange(offset, value, (if isMatch then held else held + 1L))

            if isMatch then
                write offset (BitConverter.GetBytes value)

            before = held
        | Flushes range ->
            memory.Flush(range.Offset, range.Length)
            true
        | Persists range ->
            memory.Persist(range.Offset, range.Length)
            true
        | Drains ->
            memory.Drain()
            true
        | Acknowledges operation ->
            memory.Acknowledge operation
            true

/// <summary>What holds of every memory, for an own <see cref="T:Pmem.IPersistentMemory"/>.</summary>
/// <remarks>A memory is asked for with the bytes that it is to hold; one that is IDisposable is disposed after each case.</remarks>
[<AbstractClass; Sealed>]
type MemoryLaws =
    static member private With
        (create: Func<byte[], IPersistentMemory>, image: byte[], body: IPersistentMemory -> Property)
        =
        let memory = create.Invoke(Array.copy image)

        try
            body memory
        finally
            match memory with
            | :? IDisposable as resource -> resource.Dispose()
            | _ -> ()

    /// <summary>A memory holds what was stored, whatever was flushed and drained in between, returns what CompareExchange found,
    /// and refuses, changing nothing, a range that does not lie in it.</summary>
    static member Remembers(create: Func<byte[], IPersistentMemory>) : Property =
        let image = Array.init MemoryAction.SizeBytes (fun i -> byte (i * 7))

        let actions =
            Arb.fromGenShrink (Gen.listOf MemoryAction.gen, Generators.shrinkList (fun _ -> Seq.empty))

        Prop.forAll actions (fun actions ->
            MemoryLaws.With(
                create,
                image,
                fun memory ->
                    let expected = Array.copy image

                    let holds () =
                        memory.ReadBytes(0L, expected.Length) = expected

                    let isRefused (action: unit -> unit) =
                        try
                            action ()
                            false
                        with :? ArgumentException ->
                            holds ()

                    let last = memory.Length - 1L

                    Law.all
                        [
                            "it has the length that it was given", (fun () -> memory.Length = int64 expected.Length)
                            "each call returns what it should, and memory then holds what was stored",
                            (fun () ->
                                actions
                                |> List.forall (fun action -> MemoryAction.perform memory expected action && holds ()))
                            "a read over the end is refused",
                            (fun () -> isRefused (fun () -> memory.ReadBytes(last, 2) |> ignore))
                            "a store over the end is refused", (fun () -> isRefused (fun () -> memory.Store(last, 1L)))
                            "a negative offset is refused", (fun () -> isRefused (fun () -> memory.Store(-8L, 1L)))
                            "a word that is not aligned is refused",
                            (fun () -> isRefused (fun () -> memory.CompareExchange(4L, 1L, 0L) |> ignore))
                            "a flush over the end is refused", (fun () -> isRefused (fun () -> memory.Flush(last, 2L)))
                        ]
            ))

    /// <summary>A program that is run on a memory leaves what the pure interpreter says,
    /// <see cref="M:Pmem.PersistProgram.Run(System.Byte[])"/>.</summary>
    static member RunsPrograms(create: Func<byte[], IPersistentMemory>) : Property =
        let image = Array.init Generators.MemoryBytes (fun i -> byte (i * 7))

        Prop.forAll (PmemArbitraries.PersistProgram()) (fun program ->
            MemoryLaws.With(
                create,
                image,
                fun memory ->
                    program.RunOn memory
                    Prop.ofTestable (memory.ReadBytes(0L, image.Length) = program.Run image)
            ))
