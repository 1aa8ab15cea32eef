/// Appends to a log and updates a pair until the machine is switched off, and tells what was promised.
module Pmem.PowerCut.Program

open System
open System.IO
open System.Text
open Pmem

let private logBytes = 32L <<< 20

/// Every line is with the listener's machine before the next store: what it heard, it may count on.
let private reporter (path: string) =
    let stream =
        new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize = 0)

    fun (line: string) -> stream.Write(ReadOnlySpan(Encoding.ASCII.GetBytes(line + "\n")))

let private openLog (path: string) =
    let isNew = not (File.Exists path)

    let memory =
        if isNew then PmemMapping.Create(path, logBytes) else PmemMapping.Open path

    let log = AppendLog memory

    if not log.IsFormatted then
        log.Format()

    struct (memory, log)

let private recover say path =
    let struct (memory, log) = openLog path
    let records = Workload.recoverLog log
    say $"recovered log {records} on {memory.Info}"
    struct (log, records)

let private recoverPair say (path: string) =
    let memory = PmemMapping.Open path
    let pair = RedoPair memory
    let updates = Workload.recoverPair pair
    say $"recovered pair {updates} on {memory.Info}"
    struct (pair, updates)

/// A promise with nothing behind it: what a listener must catch.
let private lie say records = say $"log {records + 1_000_000L}"

let private work say logPath pairPath isHonest =
    say "recovering"
    let struct (log, records) = recover say logPath
    let struct (pair, updates) = recoverPair say pairPath
    say "recovered"

    if not isHonest then
        lie say records

    let mutable record = records + 1L
    let mutable update = updates + 1L

    while true do
        let payload = Workload.payload record

        if log.HasRoomFor payload.Length then
            log.Append(record, ReadOnlySpan payload)
            say $"log {record}"
            record <- record + 1L

        pair.Update(update, update, Workload.partner update)
        say $"pair {update}"
        update <- update + 1L

[<EntryPoint>]
let main arguments =
    match arguments with
    | [| logPath; pairPath; reportPath |]
    | [| logPath; pairPath; reportPath; "--lie" |] ->
        let say = reporter reportPath

        try
            work say logPath pairPath (arguments.Length = 3)
            0
        with error ->
            say $"damaged: {error}"
            1
    | _ ->
        eprintfn "usage: PowerCut LOG PAIR REPORT [--lie]"
        2
