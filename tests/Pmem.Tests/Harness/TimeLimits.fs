/// A limit for each test: one that hangs fails by its name, and the others go on.
module Pmem.Tests.TimeLimits

open System
open System.Threading
open Expecto

/// Far above what any test takes, also beside others: who is over it hangs. PMEM_TESTS_SECONDS chooses another limit.
let limit =
    match Environment.GetEnvironmentVariable "PMEM_TESTS_SECONDS" with
    | null
    | "" -> TimeSpan.FromSeconds(if Harness.isCi then 600.0 else 120.0)
    | seconds -> TimeSpan.FromSeconds(float seconds)

/// Runs on a thread of its own, which is left behind where it is not over in time: no thread can be ended from outside.
let within (limit: TimeSpan) name (test: unit -> unit) =
    let mutable failure: exn | null = null

    let thread =
        Thread(
            (fun () ->
                try
                    test ()
                with e ->
                    failure <- e),
            IsBackground = true
        )

    thread.Start()

    if not (thread.Join limit) then
        failtestf "%s is not over after %g s: it hangs, or needs PMEM_TESTS_SECONDS" name limit.TotalSeconds

    match failure with
    | null -> ()
    | e -> Runtime.ExceptionServices.ExceptionDispatchInfo.Throw e

let private limited name code =
    let run = Async.RunSynchronously

    match code with
    | Sync test -> Sync(fun () -> within limit name test)
    | SyncWithCancel test -> SyncWithCancel(fun token -> within limit name (fun () -> test token))
    | Async test -> Async(async { within limit name (fun () -> run test) })
    | AsyncFsCheck(config, stress, test) ->
        AsyncFsCheck(config, stress, (fun config -> async { within limit name (fun () -> run (test config)) }))

/// The same tests, each with the limit.
let rec apply name test =
    match test with
    | TestCase(code, focus) -> TestCase(limited name code, focus)
    | TestList(tests, focus) -> TestList(List.map (apply name) tests, focus)
    | TestLabel(label, test, focus) ->
        TestLabel(label, apply (if name = "" then label else $"{name}/{label}") test, focus)
    | Test.Sequenced(how, test) -> Test.Sequenced(how, apply name test)
