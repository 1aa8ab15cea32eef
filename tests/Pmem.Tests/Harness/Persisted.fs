/// Whether bytes were really made durable. A file that is read back cannot tell: the page cache has every store, persisted or not.
module Pmem.Tests.Persisted

open Expecto
open Pmem
open Pmem.Testing

/// A range is durable when its pages were synced, or its lines written back and then waited for.
let private isDurable granularity (issued: Instruction list) (range: ByteRange) =
    let rec among issued =
        match issued with
        | SyncPages pages :: _ when pages.Contains range -> true
        | WriteBack(_, lines) :: after when lines.Contains range && List.contains Fence after -> true
        | Fence :: _ when granularity = StoreGranularity.Byte -> true
        | _ :: after -> among after
        | [] -> false

    range.IsEmpty || among issued

/// What was told to the machine since the last call made all these ranges durable.
let all (observed: Observed) (ranges: ByteRange list) =
    let issued = List.ofSeq (observed.Take())
    List.forall (isDurable observed.Mapping.Granularity issued) ranges

let expect observed ranges =
    Expect.isTrue (all observed ranges) $"not made durable: {ranges}"
