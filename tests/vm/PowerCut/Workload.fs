/// What the program writes, so that recovery can tell what must be there.
module Pmem.PowerCut.Workload

open System

/// The payload of a record: its length and bytes follow from its number.
let payload (number: int64) =
    let random = Random(int (number * 7919L % 2147483647L))
    let bytes = Array.zeroCreate<byte>(random.Next 120)
    random.NextBytes bytes
    bytes

/// The second word that belongs to the first.
let partner (first: int64) =
    if first = 0L then 0L else first * 6364136223846793005L + 1L

/// Recovers a log, and answers how many records it has: 1, 2, 3, and so on, each with its own payload.
let recoverLog (log: AppendLog) =
    let mutable expected = 1L

    let check number (bytes: byte[]) =
        if number <> expected then
            failwith $"record {expected} has the number {number}"

        if not (bytes.AsSpan().SequenceEqual(ReadOnlySpan(payload number))) then
            failwith $"record {number} is damaged"

        expected <- expected + 1L

    log.Recover check

/// Recovers a pair, and answers the number of its last update.
let recoverPair (pair: RedoPair) =
    pair.Recover()
    let struct (first, second) = pair.Read()

    if second <> partner first then
        failwith $"the pair is parted: {first} and {second}"

    first
