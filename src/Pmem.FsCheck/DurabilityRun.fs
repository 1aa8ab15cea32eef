namespace Pmem

open System
open FsCheck

/// What recovery found is not what it may be.
[<Sealed>]
type internal Mismatch(message: string) =
    inherit Exception(message)

/// One check of a structure: a list of operations, crashed everywhere.
[<Sealed>]
type internal DurabilityRun<'Operation, 'State>(subject: Subject<'Operation, 'State>, operations: 'Operation list) =
    let history = History(subject, operations)
    let isSame left right = subject.Comparer.Equals(left, right)
    let recover (memory: IPersistentMemory) = subject.Recover.Invoke memory

    let mismatch (parts: string list) = raise (Mismatch(String.Concat parts))

    let expect (memory: IPersistentMemory) places (what: string) =
        let found = recover memory

        match places |> List.tryFind (fun place -> isSame (history.StateAt place) found) with
        | Some place -> place
        | None ->
            let expected =
                places
                |> List.map (fun place -> String.Concat(States.text (history.StateAt place), " ", history.Words place))
                |> String.concat ", or "

            mismatch [ what; "expected "; expected; "; found "; States.text found ]

    let requireInvariant memory place =
        match subject.Invariant with
        | null -> ()
        | invariant ->
            if not (invariant.Invoke(memory, history.StateAt place)) then
                mismatch [ "the invariant does not hold "; history.Words place ]

    /// Goes on with operations after recovery, each promised and then looked for.
    let rec goOn (memory: IPersistentMemory) (place: Place) =
        if place.Continued < subject.Continued then
            let next = { place with Continued = place.Continued + 1 }
            subject.Apply.Invoke(history.Operations[history.After place], memory)
            memory.Acknowledge(history.PromiseOf next)
            expect memory [ next ] "recovered, and used again: " |> ignore
            goOn memory next

    let judge (memory: CrashedMemory) =
        let place = expect memory (history.Allowed memory.Acknowledged) ""
        expect memory [ place ] "recovered twice in a row: " |> ignore
        requireInvariant memory place

        if history.Count > 0 then
            // From here on a crash must not lose what was found.
            (memory :> IPersistentMemory).Acknowledge(history.PromiseOf place)
            goOn memory place

        true

    let workload (memory: RecordedMemory) =
        history.Operations
        |> Array.iteri (fun i operation ->
            subject.Apply.Invoke(operation, memory)
            memory.Acknowledge(int64 i))

    let complain what report cause =
        Complaint.raiseOf what operations report cause

    /// What is wrong without any crash is told as that.
    let requireRightWithoutCrash () =
        let memory = RecordedMemory(subject.Image, subject.Options.Model)

        let check place =
            try
                expect (RecordedMemory(memory.ToArray(), subject.Options.Model)) [ place ] ""
                |> ignore
            with error ->
                complain (String.Concat("Wrong without any crash: ", error.Message)) null error

        check { Done = 0; Continued = 0 }

        try
            workload memory
        with error ->
            complain (String.Concat("apply threw: ", error.Message)) null error

        check { Done = history.Count; Continued = 0 }

    let failure (report: CrashReport) =
        match report.Counterexample.Failure with
        | RecoveryFailure.Threw(:? Mismatch as mismatch) -> mismatch.Message
        | failure -> failure.ToString()

    let crash () =
        try
            CrashCheck.Run(subject.Options, subject.Image, Action<RecordedMemory> workload, Func<_, _> judge)
        with
        | :? OperationCanceledException -> reraise ()
        | error -> complain (String.Concat("The check could not be made. ", error.Message)) null error

    /// What goes wrong with one crash, and nothing after it, is told as that.
    let simpler () =
        if subject.Continued > 0 || subject.Options.RecoveryCrashes > 0 then
            let once =
                { subject with Continued = 0; Options = subject.Options.WithRecoveryCrashes 0 }

            DurabilityRun(once, operations).Run()

    member _.Run() : unit =
        requireRightWithoutCrash ()

        if history.Count > 0 then
            let report = crash ()

            if report.Verdict = CrashVerdict.Inconsistent then
                simpler ()
                complain (String.Concat("Not durable: ", failure report)) report null
