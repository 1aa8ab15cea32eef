/// Which copies go past the cache, by libpmem(7) and pmem_memmove_persist(3), and not by what the library decides.
module Pmem.Tests.PastCache

open Pmem

let private has (some: PmemCopyOptions) flags = flags &&& some <> PmemCopyOptions.None

/// Whether a hint asks for it.
let isHinted flags =
    has (PmemCopyOptions.NonTemporal ||| PmemCopyOptions.WriteCombining) flags

/// The shortest copy that does: the environment, then the hints, then the threshold, whose own values, for whole lines and
/// for others, are measured (docs/benchmarks.md).
let shortest (environment: (string * string) list) flags isWholeLines =
    let variable name =
        environment |> List.tryFind (fun (known, _) -> known = name) |> Option.map snd

    if variable "PMEM_NO_MOVNT" = Some "1" || has PmemCopyOptions.NoFlush flags then
        None
    elif isHinted flags then
        Some 0L
    elif has (PmemCopyOptions.Temporal ||| PmemCopyOptions.WriteBack) flags then
        None
    else
        match variable "PMEM_MOVNT_THRESHOLD" with
        | Some bytes -> Some(int64 bytes)
        | None -> Some(if isWholeLines then 64L else 256L)
