/// Programs with an ordering bug and their repaired twins: small, and each with the mistake that its name says.
module Pmem.Tests.CrashBugs

open System
open Pmem

/// A workload and the recovery that judges what a crash of it left behind.
type Subject = { Workload: RecordedMemory -> unit; Recovery: CrashedMemory -> bool }

type Pair =
    {
        Name: string
        Broken: Subject
        Repaired: Subject
        /// The models under which the broken one is wrong.
        WrongUnder: PersistencyModel list
    }

let private flushed = [ PersistencyModel.X86; PersistencyModel.Relaxed ]
let private all = PersistencyModel.Eadr :: PersistencyModel.PageCache :: flushed

/// The data lies in another page than the commit word, so that no model keeps their order by itself.
let private data = 4096L

let private committed (memory: CrashedMemory) =
    let isSet = memory.ReadInt64 0L = 1L

    (not isSet || memory.ReadInt64 data = 7L)
    && (isSet || memory.Acknowledged.Count = 0)

let private commit (memory: RecordedMemory) =
    memory.StoreInt64(0L, 1L)
    memory.Persist(0L, 8L)
    memory.Acknowledge 1L

let private committing name wrongUnder prepare =
    let good (memory: RecordedMemory) =
        memory.StoreInt64(data, 7L)
        memory.Persist(data, 8L)
        commit memory

    {
        Name = name
        Broken = { Workload = prepare; Recovery = committed }
        Repaired = { Workload = good; Recovery = committed }
        WrongUnder = wrongUnder
    }

let private missingFlush =
    committing "missing flush" (PersistencyModel.PageCache :: flushed) (fun memory ->
        memory.StoreInt64(data, 7L)
        commit memory)

/// One drain for both: nothing orders them, on pages either.
let private missingDrain =
    committing "missing drain" (PersistencyModel.PageCache :: flushed) (fun memory ->
        memory.StoreInt64(data, 7L)
        memory.Flush(data, 8L)
        commit memory)

let private wrongLine =
    committing "flush of the wrong line" flushed (fun memory ->
        memory.StoreInt64(data, 7L)
        memory.Persist(data + 64L, 8L)
        commit memory)

let private commitFirst =
    committing "commit word before the data" all (fun memory ->
        memory.StoreInt64(0L, 1L)
        memory.Persist(0L, 8L)
        memory.StoreInt64(data, 7L)
        memory.Persist(data, 8L)
        memory.Acknowledge 1L)

let private notDrainedNonTemporal =
    committing "non-temporal store without a drain" all (fun memory ->
        memory.StoreNonTemporal(data, ReadOnlySpan(BitConverter.GetBytes 7L))
        memory.StoreInt64(0L, 1L)
        memory.Flush(0L, 8L)
        memory.Drain()
        memory.Acknowledge 1L)

let private promisedTooEarly =
    let promise early (memory: RecordedMemory) =
        memory.StoreInt64(0L, 1L)

        if early then
            memory.Acknowledge 1L

        memory.Persist(0L, 8L)

        if not early then
            memory.Acknowledge 1L

    let kept (memory: CrashedMemory) =
        memory.Acknowledged.Count = 0 || memory.ReadInt64 0L = 1L

    {
        Name = "promise before the persist"
        Broken = { Workload = promise true; Recovery = kept }
        Repaired = { Workload = promise false; Recovery = kept }
        WrongUnder = PersistencyModel.PageCache :: flushed
    }

let private pair (value: int64) =
    Array.append (BitConverter.GetBytes value) (BitConverter.GetBytes(-value))

let private isPair (memory: CrashedMemory) at =
    memory.ReadInt64 at = -(memory.ReadInt64(at + 8L))

/// Two words that must change together: in place, or in the slot that is not in use.
let private tornUpdate =
    let broken (memory: RecordedMemory) =
        for i in 1L .. 3L do
            memory.Store(64L, ReadOnlySpan(pair i))
            memory.Persist(64L, 16L)

    let repaired (memory: RecordedMemory) =
        for i in 1L .. 3L do
            let slot = 1L - memory.ReadInt64 0L
            memory.Store(64L + 64L * slot, ReadOnlySpan(pair i))
            memory.Persist(64L + 64L * slot, 16L)
            memory.StoreInt64(0L, slot)
            memory.Persist(0L, 8L)

    {
        Name = "torn update of two words"
        Broken = { Workload = broken; Recovery = fun memory -> isPair memory 64L }
        Repaired =
            {
                Workload = repaired
                Recovery = fun memory -> isPair memory (64L + 64L * memory.ReadInt64 0L)
            }
        WrongUnder = all
    }

/// A record of words: the length in one line, the words in another, the checksum in a third.
module private Record =
    let checksum (words: int64 list) =
        List.fold (fun sum word -> sum * 31L + word) (int64 words.Length) words

    /// The sum is of the words alone, as of a buffer that is cleared after the last one.
    let weakChecksum (words: int64 list) = List.sum words

    let write checksum (memory: RecordedMemory) (words: int64 list) =
        memory.StoreInt64(64L, int64 words.Length)
        words |> List.iteri (fun i word -> memory.StoreInt64(128L + 8L * int64 i, word))
        memory.StoreInt64(192L, checksum words)
        memory.Flush(64L, 192L)
        memory.Drain()

    let read checksum (memory: CrashedMemory) =
        let length = memory.ReadInt64 64L

        if length < 0L || length > 8L then
            None
        else
            let words = List.init (int length) (fun i -> memory.ReadInt64(128L + 8L * int64 i))
            if checksum words = memory.ReadInt64 192L then Some words else None

let private checksumWithoutLength =
    let subject checksum =
        {
            Workload =
                fun memory ->
                    Record.write checksum memory [ 3L ]
                    Record.write checksum memory [ 5L; 0L ]
                    memory.Acknowledge 1L
            Recovery =
                fun memory ->
                    match Record.read checksum memory with
                    | Some words -> List.contains words [ []; [ 3L ]; [ 5L; 0L ] ]
                    | None -> memory.Acknowledged.Count = 0
        }

    {
        Name = "checksum that does not cover the length"
        Broken = subject Record.weakChecksum
        Repaired = subject Record.checksum
        WrongUnder = all
    }

/// An intention is logged (flag 0, amount 64) and applied to the balance at 128; recovery applies it where the crash
/// came before the flag was cleared.
let private notIdempotent =
    let workload logged apply (memory: RecordedMemory) =
        memory.StoreInt64(64L, logged)
        memory.Persist(64L, 8L)
        memory.StoreInt64(0L, 1L)
        memory.Persist(0L, 8L)
        apply memory
        memory.StoreInt64(0L, 0L)
        memory.Persist(0L, 8L)
        memory.Acknowledge 1L

    let recover apply (memory: CrashedMemory) =
        let wasLogged = memory.ReadInt64 0L = 1L

        if wasLogged then
            apply memory
            memory.StoreInt64(0L, 0L)
            memory.Persist(0L, 8L)

        let balance = memory.ReadInt64 128L

        if wasLogged || memory.Acknowledged.Count > 0 then
            balance = 105L
        else
            balance = 105L || balance = 100L

    let set (memory: SimulatedMemory) balance =
        memory.StoreInt64(128L, balance)
        memory.Persist(128L, 8L)

    let add (memory: SimulatedMemory) =
        set memory (memory.ReadInt64 128L + memory.ReadInt64 64L)

    let assign (memory: SimulatedMemory) = set memory (memory.ReadInt64 64L)

    {
        Name = "recovery that is not idempotent"
        Broken =
            {
                Workload = workload 5L (fun memory -> add memory)
                Recovery = recover (fun memory -> add memory)
            }
        Repaired =
            {
                Workload = workload 105L (fun memory -> assign memory)
                Recovery = recover (fun memory -> assign memory)
            }
        WrongUnder = all
    }

/// The workload is right; recovery clears the flag before what it redid is durable. Only a crash during it shows that.
let recoveryWithoutFlush =
    let workload (memory: RecordedMemory) =
        memory.StoreInt64(64L, 7L)
        memory.Persist(64L, 8L)
        memory.StoreInt64(0L, 1L)
        memory.Persist(0L, 8L)
        memory.Acknowledge 1L

    let recover isRight (memory: CrashedMemory) =
        if memory.ReadInt64 0L = 1L then
            memory.StoreInt64(data, memory.ReadInt64 64L)

            if isRight then
                memory.Persist(data, 8L)

            memory.StoreInt64(0L, 0L)
            memory.Persist(0L, 8L)

        memory.Acknowledged.Count = 0 || memory.ReadInt64 data = 7L

    {
        Name = "recovery that forgets a flush"
        Broken = { Workload = workload; Recovery = recover false }
        Repaired = { Workload = workload; Recovery = recover true }
        WrongUnder = PersistencyModel.PageCache :: flushed
    }

let pairs =
    [
        missingFlush
        missingDrain
        wrongLine
        commitFirst
        notDrainedNonTemporal
        promisedTooEarly
        tornUpdate
        checksumWithoutLength
        notIdempotent
        recoveryWithoutFlush
    ]

/// What memory holds before a workload: a balance of 100, for the one that has a balance.
let image =
    let image: byte[] = Array.zeroCreate 8192
    BitConverter.GetBytes(100L).CopyTo(image, 128)
    image

let models =
    [
        PersistencyModel.X86
        PersistencyModel.Eadr
        PersistencyModel.PageCache
        PersistencyModel.Relaxed
    ]

let under (model: PersistencyModel) =
    CrashCheckOptions.Default.WithModel model

/// A check of a subject of this file.
let check options (subject: Subject) =
    CrashCheck.run options image subject.Workload subject.Recovery

/// A log of one word a record, and the count of records: each durable before the next step.
let append (memory: RecordedMemory) i =
    memory.StoreInt64(64L * i, i)
    memory.Persist(64L * i, 8L)
    memory.StoreInt64(0L, i)
    memory.Persist(0L, 8L)
    memory.Acknowledge i

let log count (memory: RecordedMemory) =
    for i in 1L .. count do
        append memory i

let logRecovered (memory: CrashedMemory) =
    let count = memory.ReadInt64 0L

    Seq.forall (fun i -> memory.ReadInt64(64L * i) = i) (seq { 1L .. count })
    && Seq.forall (fun i -> i <= count) memory.Acknowledged

/// Nothing is made durable before the end: each record has a mark of its own, and the first bad one ends the log.
let lateLog count (memory: RecordedMemory) =
    for i in 1L .. count do
        memory.StoreInt64(64L * i, i)

    memory.Flush(64L, 64L * count)
    memory.Drain()
    memory.Acknowledge count

let lateRecovered count (memory: CrashedMemory) =
    let valid =
        Seq.takeWhile (fun i -> memory.ReadInt64(64L * i) = i) (seq { 1L .. count })
        |> Seq.length

    Seq.forall (fun i -> i <= int64 valid) memory.Acknowledged

let unordered (memory: RecordedMemory) =
    for i in 1L .. 5L do
        append memory i

    // The mistake: record 6 is never flushed.
    memory.StoreInt64(64L * 6L, 6L)
    memory.StoreInt64(0L, 6L)
    memory.Persist(0L, 8L)

    for i in 7L .. 9L do
        append memory i
