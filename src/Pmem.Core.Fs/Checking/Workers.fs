namespace Pmem

open System.Runtime.ExceptionServices
open System.Threading

/// <summary>Jobs on several threads, whose results are taken as if one thread had done them one after the other.</summary>
/// <remarks>A worker is made on its thread, and gets jobs whose numbers grow. What comes after the last result, or after an
/// error, is never taken, and its worker does no more.</remarks>
[<Sealed>]
type internal Crew<'T>(count: int, newWorker: unit -> int -> 'T, isLast: 'T -> bool) =
    /// Deep enough for a recovery that recurses.
    let stackBytes = 64 * 1024 * 1024

    let results: Result<'T, exn> voption[] = Array.create count ValueNone
    let gate = obj ()
    let mutable claimed = -1
    let mutable isOver = false

    let attempt (worker: Lazy<int -> 'T>) job =
        try
            Ok(worker.Value job)
        with error ->
            Error error

    let isEnd result =
        match result with
        | Ok value -> isLast value
        | Error _ -> true

    let work () =
        let worker = lazy (newWorker ())
        let mutable job = Interlocked.Increment &claimed

        while job < count && not (Volatile.Read &isOver) do
            let result = attempt worker job

            lock gate (fun () ->
                results[job] <- ValueSome result
                Monitor.PulseAll gate)

            job <- if isEnd result then count else Interlocked.Increment &claimed

    let wait job =
        let result =
            lock gate (fun () ->
                while results[job].IsNone do
                    Monitor.Wait gate |> ignore

                results[job].Value)

        match result with
        | Ok value -> value
        | Error error ->
            ExceptionDispatchInfo.Throw error
            Unchecked.defaultof<'T>

    /// <summary>Takes the results in order, on this thread, until the last or until that returns false.</summary>
    /// <param name="threadCount">With one, a job is begun when the one before it was taken, on this thread.</param>
    /// <param name="take">Given a job and its result.</param>
    /// <param name="stop">Makes the jobs end that will not be taken.</param>
    member _.Run(threadCount: int, take: int -> 'T -> bool, stop: unit -> unit) =
        if threadCount = 1 || count <= 1 then
            let worker = newWorker ()
            let mutable job = 0

            while job < count && take job (worker job) do
                job <- job + 1
        else
            let threads =
                Array.init (min threadCount count) (fun _ -> Thread(ThreadStart work, stackBytes, IsBackground = true))

            for thread in threads do
                thread.Start()

            let mutable job = 0

            try
                while job < count && take job (wait job) do
                    job <- job + 1
            finally
                Volatile.Write(&isOver, true)

                if job < count then
                    stop ()

                for thread in threads do
                    thread.Join()
