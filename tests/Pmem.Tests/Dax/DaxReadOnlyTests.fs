/// Persistent memory that may only be read: an NVDIMM that is unarmed, or read-only.
module Pmem.Tests.DaxReadOnly

open System
open System.IO
open Expecto
open Pmem

let private message action =
    Expect.throwsC (fun () -> (action (): PmemMapping).Dispose()) id

/// What can and cannot be done with this file.
let testsOf path =
    testList
        path
        [
            testCase "is read"
            <| fun () ->
                use mapping = PmemMapping.Open(path, PmemOpenOptions(ReadOnly = true))
                let bytes = File.ReadAllBytes path
                Expect.isTrue (mapping.ReadOnlySpan.SequenceEqual(ReadOnlySpan bytes)) "bytes"
                Expect.isTrue mapping.IsPmem (string mapping)
                Expect.throwsT<InvalidOperationException> (fun () -> mapping.GetSpan(0L, 1).Fill 0uy) "a store"

            testCase "is not opened for writing"
            <| fun () ->
                let error = message (fun () -> PmemMapping.Open path)
                Expect.stringContains error.Message "EROFS" "errno"
                Expect.stringContains error.Message "open with ReadOnly" "advice"

            testCase "has no new neighbour"
            <| fun () ->
                let neighbour = path + ".new"
                let error = message (fun () -> PmemMapping.Create(neighbour, 4096L))
                Expect.stringContains error.Message "EROFS" "errno"
                Expect.isFalse (File.Exists neighbour) "nothing is left behind"
        ]
