/// The F# of the README, compiled and run. A test holds each block of the README against this file.
module Readme.FSharp

open Pmem

let run (path: string) =
    use map = PmemMapping.Create(path, 4096L)

    let append (offset: int64) (record: byte[]) =
        persist {
            write offset record
            barrier // the record is durable before the tail moves
            writeInt64 0L (offset + int64 record.Length)
        }

    map.Run(append 64L "a record"B)
    map.ReadOnlySpan.ToArray()
