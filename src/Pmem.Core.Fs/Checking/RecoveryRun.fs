namespace Pmem

open System
open System.Collections.Generic

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014): the same numbers on every
/// runtime, as a seed in a test log must give.
[<Sealed>]
type internal RandomNumbers(seed: int64) =
    let mutable state = uint64 seed

    member _.Below(count: int) =
        state <- state + 0x9E3779B97F4A7C15UL
        let a = (state ^^^ (state >>> 30)) * 0xBF58476D1CE4E5B9UL
        let b = (a ^^^ (a >>> 27)) * 0x94D049BB133111EBUL
        int ((b ^^^ (b >>> 31)) % uint64 count)

/// A choice that a recovery run met: which was taken, of how many, for which word, after which accesses.
[<Struct>]
type internal Taken = { Chosen: int; Count: int; Atom: int64; History: uint64 }

/// The choices of one recovery run after another: depth first, or at random. Each run is told again what the ones before
/// it chose; where it then asks something else, recovery is not a function of what it reads.
[<Sealed>]
type internal Script(random: RandomNumbers voption) =
    inherit Choices()
    let taken = List<Taken>()
    let mutable position = 0
    let mutable changed = -1
    let mutable history = 0UL
    let mutable hasStrayed = false

    override _.Choose(atom, count) =
        if position < taken.Count then
            let before = taken[position]

            if before.Atom <> atom || before.Count <> count || before.History <> history then
                hasStrayed <- true
                raise (InvalidOperationException "Recovery is not deterministic.")
        else
            let chosen =
                match random with
                | ValueSome numbers -> numbers.Below count
                | ValueNone -> 0

            taken.Add { Chosen = chosen; Count = count; Atom = atom; History = history }

        position <- position + 1
        taken[position - 1].Chosen

    /// Whether recovery, or one after it, rejected a path.
    member val WasRejected = false with get, set

    /// Whether crashes of a recovery on this path were sampled, not all explored: there is more to find on it.
    member val WasSampled = false with get, set

    /// Choices so far in this run.
    member _.Position = position

    /// The first choice that this run makes otherwise than the run before it; -1 in the first.
    member _.Changed = changed

    /// A number that two runs share only where they read, stored, flushed, drained and promised the same so far.
    member _.History = history

    member private _.Mix(value: uint64) =
        history <- (history ^^^ value) * 0x100000001B3UL
        history <- history ^^^ (history >>> 29)

    member script.Note(call: PersistEvent) =
        match call with
        | Execute(WriteBack(_, range)) ->
            script.Mix 3UL
            script.Mix(uint64 range.Offset)
            script.Mix(uint64 range.Length)
        | Acknowledge operation ->
            script.Mix 4UL
            script.Mix(uint64 operation)
        | _ -> script.Mix 5UL

    member script.Note(range: ByteRange, isStore: bool, bytes: ReadOnlySpan<byte>) =
        let mix (value: uint64) = script.Mix value

        mix (uint64 range.Offset)
        mix (uint64 range.Length)
        mix (if isStore then 1UL else 2UL)

        for value in bytes do
            mix (uint64 value)

    /// Whether the run that has ended asked what it was told that the run before it asked.
    member _.WasFollowed = not hasStrayed && position >= taken.Count

    member _.Rewind() =
        position <- 0
        history <- 0UL
        hasStrayed <- false

    /// On to the next path; false where there is none.
    member script.Advance() =
        if random.IsSome then
            let hasMore = taken.Count > 0 || script.WasSampled
            taken.Clear()
            script.WasSampled <- false
            hasMore
        else
            while taken.Count > 0
                  && taken[taken.Count - 1].Chosen = taken[taken.Count - 1].Count - 1 do
                taken.RemoveAt(taken.Count - 1)

            if taken.Count > 0 then
                let last = taken[taken.Count - 1]
                taken[taken.Count - 1] <- { last with Chosen = last.Chosen + 1 }

            changed <- taken.Count - 1
            taken.Count > 0

/// What is checked: a recovery, on memory of this length.
type internal Subject =
    {
        Options: CrashCheckOptions
        Image: byte[]
        Recovery: Func<CrashedMemory, bool>
    }

/// What one recovery run did.
type internal RecoveryRun =
    {
        Failure: RecoveryFailure voption
        Trace: IReadOnlyList<RecordedEvent>
        /// Before each event: how many choices were made.
        ChoicesAt: List<int>
        /// Before each event: how many narrowings were logged.
        NarrowingsAt: List<int>
        Trail: string[]
        History: uint64
        Accesses: int64
    }

    /// Whether a crash during it can leave a state that a crash before it could not.
    member run.HasStores =
        run.Trace
        |> Seq.exists (fun recorded ->
            match recorded.Event with
            | Trace.AnyStore _ -> true
            | _ -> false)

/// Thrown out of a recovery that has had its accesses.
[<Sealed>]
type internal LoopException() =
    inherit Exception("Recovery has reached the bound on its accesses.")

/// Counts and remembers accesses.
[<Sealed>]
type internal Watch(bound: int64, script: Script) =
    /// The last reads and stores, which a report shows.
    let shown = 12

    let trail = Queue<Access>()
    let mutable accesses = 0L
    let mutable shownOf = 0L

    let count () =
        accesses <- accesses + 1L

        if accesses > bound then
            raise (LoopException())

    member _.HasLooped = accesses > bound
    member _.Accesses = accesses

    /// The last reads and stores in words; what a loop repeats once.
    member _.Trail =
        [|
            if shownOf > int64 trail.Count then
                "…"

            for repeated in trail |> Seq.map (fun access -> access.ToString()) |> Seq.distinct do
                repeated
        |]

    /// A flush, a drain or a promise.
    member _.Visit(call: PersistEvent) =
        count ()
        script.Note call

    member _.Visit(range, isStore, bytes: ReadOnlyMemory<byte>) =
        shownOf <- shownOf + 1L
        count ()
        script.Note(range, isStore, bytes.Span)

        if trail.Count = shown then
            trail.Dequeue() |> ignore

        trail.Enqueue(Access(range, isStore, bytes))

/// The bytes of memory after a crash: what recovery stored over what its reads decide.
[<Sealed>]
type internal CrashedBacking(source: Source, script: Script, log: List<Narrowing>, watch: Watch) =
    inherit Backing()
    let written = Dictionary<int64, Bits>()

    let writtenTo atom =
        match written.TryGetValue atom with
        | true, bits -> bits
        | _ -> Bits.None

    let read atom mask =
        let own = writtenTo atom
        let missing = mask &&& ~~~own.Mask

        if missing = 0UL then
            own.Value
        else
            (own.Value &&& ~~~missing) ||| source.ReadAtom(atom, missing, script)

    member val ChoicesAt = List<int>()
    member val NarrowingsAt = List<int>()

    override _.Called call = watch.Visit call

    override backing.Recording() =
        backing.ChoicesAt.Add script.Position
        backing.NarrowingsAt.Add log.Count

    override _.Read(offset, destination, _) =
        let bytes = Array.zeroCreate destination.Length

        Atoms.forEach offset (int64 bytes.Length) (fun atom first last index ->
            let value = read atom (Atoms.maskOf first last)

            for i in first .. last - 1 do
                bytes[index + i - first] <- byte (value >>> (8 * i)))

        watch.Visit(ByteRange(offset, int64 bytes.Length), false, ReadOnlyMemory bytes)
        bytes.AsSpan().CopyTo destination

    override _.Write(offset, source) =
        let bytes = source.ToArray()
        watch.Visit(ByteRange(offset, int64 bytes.Length), true, ReadOnlyMemory bytes)

        Atoms.forEach offset (int64 bytes.Length) (fun atom first last index ->
            let value = Atoms.load (ReadOnlySpan bytes) index first last
            written[atom] <- (writtenTo atom).Under(value, Atoms.maskOf first last))

module internal RecoveryRun =
    let private judge subject memory (watch: Watch) =
        try
            let isAccepted = subject.Recovery.Invoke memory

            if watch.HasLooped then
                ValueSome(RecoveryFailure.Looped subject.Options.AccessBound)
            elif isAccepted then
                ValueNone
            else
                ValueSome RecoveryFailure.ReturnedFalse
        with
        | :? OperationCanceledException when subject.Options.Cancellation.IsCancellationRequested -> reraise ()
        | _ when watch.HasLooped -> ValueSome(RecoveryFailure.Looped subject.Options.AccessBound)
        | error -> ValueSome(RecoveryFailure.Threw error)

    /// Runs recovery once on a crashed image.
    let run (subject: Subject) (source: Source) (script: Script) log (acknowledged: int64[]) =
        script.Rewind()
        let watch = Watch(subject.Options.AccessBound, script)
        let backing = CrashedBacking(source, script, log, watch)

        let memory =
            CrashedMemory(int64 subject.Image.Length, subject.Options.Model, backing, Array.AsReadOnly acknowledged)

        let failure = judge subject memory watch

        {
            Failure = failure
            Trace = memory.Trace
            ChoicesAt = backing.ChoicesAt
            NarrowingsAt = backing.NarrowingsAt
            Trail = watch.Trail
            History = script.History
            Accesses = watch.Accesses
        }
