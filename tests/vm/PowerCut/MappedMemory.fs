namespace Pmem.PowerCut

open System
open System.Buffers.Binary
open Pmem
open Pmem.Core

/// A mapping, as the memory that the structures are written against.
type MappedMemory(mapping: PmemMapping) =
    let bytes offset (length: int) = mapping.GetSpan(offset, length)

    /// The mapping.
    member _.Mapping = mapping

    interface IPersistentMemory with
        member _.Length = mapping.Length

        member _.Read(offset, destination) =
            (bytes offset destination.Length).CopyTo destination

        member _.ReadByte offset = (bytes offset 1)[0]
        member _.ReadInt32 offset = BinaryPrimitives.ReadInt32LittleEndian(bytes offset 4)
        member _.ReadInt64 offset = BinaryPrimitives.ReadInt64LittleEndian(bytes offset 8)
        member _.Store(offset, source, _, _) = source.CopyTo(bytes offset source.Length)
        member _.StoreByte(offset, value, _, _) = (bytes offset 1)[0] <- value
        member _.StoreInt32(offset, value, _, _) = BinaryPrimitives.WriteInt32LittleEndian(bytes offset 4, value)
        member _.StoreInt64(offset, value, _, _) = BinaryPrimitives.WriteInt64LittleEndian(bytes offset 8, value)
        member _.StoreNonTemporal(offset, source, _, _) =
            source.CopyTo(bytes offset source.Length)
            mapping.Flush(offset, int64 source.Length)
        member _.Flush(offset, length, _, _) = mapping.Flush(offset, length)
        member _.Drain(_, _) = mapping.Drain()
        member _.Persist(offset, length, _, _) = mapping.Persist(offset, length)
        member _.Acknowledge(_, _, _) = ()
