namespace Pmem

open System

/// A step on a memory that is closed and opened again.
type internal ReopenedStep<'Operation> =
    | Performs of 'Operation
    | Reopens

    override step.ToString() =
        match step with
        | Performs operation -> States.text operation
        | Reopens -> "close and reopen"

/// One check of a structure on memory that is real: nothing crashes, it is closed and opened again.
[<Sealed>]
type internal ReopenedRun<'Operation, 'State>
    (
        subject: Subject<'Operation, 'State>,
        create: Func<IPersistentMemory>,
        reopen: Func<IPersistentMemory>,
        steps: ReopenedStep<'Operation> list
    ) =
    let operations =
        [
            for step in steps do
                match step with
                | Performs operation -> operation
                | Reopens -> ()
        ]

    let history = History(subject, operations)

    let close (memory: IPersistentMemory) =
        match memory with
        | :? IDisposable as resource -> resource.Dispose()
        | _ -> ()

    /// What the user's code throws is told with the steps that led there.
    let guarded (what: string) count (code: unit -> 'T) =
        try
            code ()
        with error ->
            Complaint.raiseOf (String.Concat(what, string count, " operations: ", error.Message)) steps null error

    let check (memory: IPersistentMemory) count =
        let expected = history.StateAt { Done = count; Continued = 0 }

        let found =
            guarded "recover threw, closed and opened again after " count (fun () -> subject.Recover.Invoke memory)

        if not (subject.Comparer.Equals(expected, found)) then
            let words =
                [|
                    "Closed and opened again after "
                    string count
                    " operations: expected "
                    States.text expected
                    "; found "
                    States.text found
                |]

            Complaint.raiseOf (String.Concat words) steps null null

    let start () =
        let memory = create.Invoke()

        if memory.Length < int64 subject.Image.Length then
            close memory
            invalidOp "The memory is shorter than the image that the structure begins with."

        memory.Store(0L, ReadOnlySpan subject.Image)
        memory.Persist(0L, int64 subject.Image.Length)
        memory

    member _.Run() =
        let mutable memory = start ()
        let mutable count = 0

        let again () =
            close memory
            memory <- reopen.Invoke()
            check memory count

        try
            for step in steps do
                match step with
                | Performs operation ->
                    guarded "apply threw after " count (fun () -> subject.Apply.Invoke(operation, memory))
                    count <- count + 1
                | Reopens -> again ()

            again ()
        finally
            close memory
