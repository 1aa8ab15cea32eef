/// Copies a whole file to a new file, block by block, and waits for durability once, at the end.
///
///     dotnet run --project samples/FullCopy -- SOURCE TARGET
module FullCopy

open System
open System.IO
open Pmem

let private blockBytes = 4096

/// Copies the blocks and waits for none: NoDrain starts making each durable. The one wait is the drain at the end, on
/// any memory: a fence on persistent memory, the sync of all pages on any other file.
let private copyBlocks (source: FileStream) (target: PmemMapping) =
    let block = Array.zeroCreate<byte> blockBytes
    let mutable offset = 0L

    while offset < target.Length do
        let length = int (min (int64 blockBytes) (target.Length - offset))
        source.ReadExactly(block, 0, length)
        target.Write(offset, ReadOnlySpan(block, 0, length), PmemCopyOptions.NoDrain)
        offset <- offset + int64 length

    target.Drain()

let private copy (sourcePath: string) (targetPath: string) =
    use source = File.OpenRead sourcePath

    // Exclusive: a file that is there is never overwritten, so what a failure leaves behind is ours to remove.
    use target =
        PmemMapping.Create(targetPath, source.Length, PmemCreateOptions(Exclusive = true))

    try
        copyBlocks source target
    with _ ->
        File.Delete targetPath
        reraise ()

    Console.WriteLine target

[<EntryPoint>]
let main arguments =
    match arguments with
    | [| source; target |] ->
        try
            copy source target
            0
        with
        | :? IOException
        | :? UnauthorizedAccessException
        | :? ArgumentException
        | :? NotSupportedException as e ->
            Console.Error.WriteLine e.Message
            1
    | _ ->
        Console.Error.WriteLine "usage: FullCopy SOURCE TARGET"
        1
