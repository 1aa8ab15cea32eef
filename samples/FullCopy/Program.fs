/// Copies a whole file to a new file, block by block, and waits for durability once, at the end.
///
///     dotnet run --project samples/FullCopy -- SOURCE TARGET
module FullCopy

open System
open System.IO
open Pmem

let private blockBytes = 4096

/// Copies the blocks. On persistent memory each is flushed at once, which starts its write-back and does not wait.
let private copyBlocks (source: FileStream) (target: PmemMapping) =
    let mutable offset = 0L

    while offset < target.Length do
        let length = int (min (int64 blockBytes) (target.Length - offset))
        source.ReadExactly(target.GetSpan(offset, length))

        if target.IsPmem then
            target.Flush(offset, int64 length)

        offset <- offset + int64 length

/// The one wait: for the write-backs on persistent memory, for a single msync of everything on any other file.
let private finish (target: PmemMapping) =
    if target.IsPmem then target.Drain() else target.Persist(0L, target.Length)

let private copy (sourcePath: string) (targetPath: string) =
    use source = File.OpenRead sourcePath

    // Exclusive: a file that is there is never overwritten, so what a failure leaves behind is ours to remove.
    use target =
        PmemMapping.Create(targetPath, source.Length, PmemCreateOptions(Exclusive = true))

    try
        copyBlocks source target
        finish target
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
