/// Fields where they are, and the bytes as memory, streams and writers.
module Pmem.Tests.ReferenceTests

#nowarn "3391" // spans of arrays

open System
open System.IO
open System.Runtime.CompilerServices
open System.Runtime.InteropServices
open Expecto
open Pmem
open Pmem.Testing

/// As .NET lays it out, which Marshal.OffsetOf does not know: the byte after the boolean is at 1, not at 4.
[<Struct; StructLayout(LayoutKind.Sequential)>]
type Account =
    val mutable IsOpen: bool
    val mutable Kind: byte
    val mutable Balance: int64

let private recorded (test: PmemMapping -> (unit -> Instruction list) -> unit) =
    let struct (map, machine) = Doubles.Anonymous(8192L, Platform.x64 Clwb, FileDax)
    use map = map
    test map (fun () -> List.ofSeq (machine.Take()))

let private written offset =
    [ WriteBack(Clwb, ByteRange.create offset 64L); Fence ]

let private fields () =
    recorded (fun map issued ->
        let account = &map.Ref<Account> 112L
        account.Balance <- 100L
        account.Kind <- 7uy
        Expect.equal (map.OffsetOf &account.Kind) 113L "the managed layout"
        Expect.equal (map.RangeOf &account.Balance) (ByteRange(120L, 8L)) "range"
        Expect.isEmpty (issued ()) "nothing yet"
        map.Persist &account.Balance
        Expect.equal (issued ()) (written 64L) "its line"
        map.Flush &account.Kind
        Expect.equal (issued ()) [ WriteBack(Clwb, ByteRange.create 64L 64L) ] "a flush"
        map.Persist &account
        Expect.equal (issued ()) (written 64L) "the whole value"
        map.Execute(FlushPlan.Of(map.RangeOf &account.Kind, map.RangeOf &account.Balance))
        Expect.equal (issued ()) (written 64L) "a plan of references"
        Expect.equal (map.Read<int64> 120L) 100L "stored"
        let span = map.GetSpan(4096L, 64)
        map.Persist &span[63]
        Expect.equal (issued ()) (written 4096L) "of a span"
        map.Persist(&map.Ref<byte> 8191L)
        Expect.equal (issued ()) (written 8128L) "the last byte")

let private foreign () =
    recorded (fun map issued ->
        let mutable copy = (map.Ref<Account> 0L).Balance
        Expect.throwsT<ArgumentException> (fun () -> map.Persist &copy) "a copy"
        let array = [| 1L |]
        Expect.throwsT<ArgumentException> (fun () -> map.Persist &array[0]) "an array"
        Expect.throwsT<ArgumentException> (fun () -> map.Persist(&Unsafe.NullRef<int64>())) "null"

        // Begins in the mapping and ends behind it; and just before it.
        Expect.throwsT<ArgumentException>
            (fun () -> map.Persist(&Unsafe.As<byte, int64>(&map.Ref<byte> 8191L)))
            "the end"

        Expect.throwsT<ArgumentException> (fun () -> map.Persist(&Unsafe.Add(&map.Ref<byte> 0L, -1))) "the start"
        Expect.throwsT<ArgumentOutOfRangeException> (fun () -> map.Ref<int64> 8185L |> ignore) "outside"
        Expect.throwsT<ArgumentOutOfRangeException> (fun () -> map.Ref<int64> -1L |> ignore) "before"
        Expect.isEmpty (issued ()) "nothing was executed"
        map.Dispose()
        Expect.throwsT<ObjectDisposedException> (fun () -> map.Ref<int64> 0L |> ignore) "disposed")

/// Durable means, of a double: synced.
let private streamed (test: PmemMapping -> (unit -> int) -> unit) =
    let mutable synced = 0

    use mapped =
        new SyncedMapping(
            65536L,
            fun _ ->
                synced <- synced + 1
                0
        )

    test mapped.Mapping (fun () ->
        let count = synced
        synced <- 0
        count)

let private stream () =
    streamed (fun map synced ->
        let bytes = Array.init 1000 byte

        do
            use stream = map.AsStream(100L, 2000L)
            Expect.equal (stream.Length, stream.CanSeek, stream.CanWrite) (2000L, true, true) "what it can"
            stream.Write bytes
            stream.Write(bytes, 0, 500)
            Expect.equal (synced ()) 0 "not durable"
            stream.Flush()
            Expect.equal (synced ()) 1 "durable, by one call"
            Expect.throwsT<NotSupportedException> (fun () -> stream.Write bytes) "no longer than it is"
            Expect.equal stream.Position 1500L "and nothing was written"
            stream.WriteByte 5uy
            stream.FlushAsync().GetAwaiter().GetResult()
            Expect.equal (synced ()) 1 "later"
            stream.Seek(-1L, SeekOrigin.Current) |> ignore
            Expect.equal (stream.ReadByte()) 5 "read"
            stream.Seek(0L, SeekOrigin.Begin) |> ignore
            let back = Array.zeroCreate 1000
            stream.ReadExactly(back, 0, 1000)
            Expect.equal back bytes "bytes"
            stream.Seek(0L, SeekOrigin.End) |> ignore
            Expect.equal (stream.Read(back, 0, 10)) 0 "the end"
            stream.Position <- 10_000L
            Expect.equal (stream.Read(back, 0, 10)) 0 "beyond"
            stream.Position <- 0L
            stream.WriteByte 9uy

        Expect.equal (synced ()) 1 "Dispose flushes"
        Expect.equal map.Span[100] 9uy "in the mapping"
        Expect.equal map.Span[1600] 5uy "in the mapping"
        use whole = map.AsStream()
        Expect.equal whole.Length map.Length "all"
        Expect.throwsT<ArgumentOutOfRangeException> (fun () -> map.AsStream(1L, map.Length) |> ignore) "outside")

let private readOnly () =
    Harness.inDirectory (fun directory ->
        let path = Path.Combine(directory, "f")
        File.WriteAllBytes(path, [| 1uy; 2uy; 3uy |])
        use map = PmemMapping.Open(path, PmemOpenOptions(ReadOnly = true))
        Expect.isTrue map.IsReadOnly "read-only"
        Expect.equal (map.ReadOnlyMemory.ToArray()) [| 1uy; 2uy; 3uy |] "memory"
        Expect.equal (map.GetReadOnlyMemory(1L, 2).Span[0]) 2uy "a part"
        use stream = map.AsStream()
        Expect.isFalse stream.CanWrite "stream"
        Expect.equal (stream.ReadByte()) 1 "byte"
        Expect.throwsT<NotSupportedException> (fun () -> stream.WriteByte 1uy) "write"
        Expect.throwsT<InvalidOperationException> (fun () -> map.GetWriter(0L, 1L) |> ignore) "writer"
        Expect.throwsT<InvalidOperationException> (fun () -> map.Ref<byte> 0L |> ignore) "reference")

let private writer () =
    streamed (fun map synced ->
        let writer = map.GetWriter(4096L, 100L)
        "hello"B.CopyTo(writer.GetSpan 5)
        writer.Advance 5
        " there"B.CopyTo(writer.GetMemory 6)
        writer.Advance 6
        Expect.equal (writer.WrittenCount, writer.FreeCount) (11L, 89L) "counts"
        Expect.equal (synced ()) 0 "not durable"
        writer.Drain()
        Expect.equal (synced ()) 1 "durable, by one call"
        Expect.equal (map.GetSpan(4096L, 11).ToArray()) "hello there"B "bytes"
        Expect.throwsT<ArgumentException> (fun () -> writer.GetMemory 90 |> ignore) "no room"
        Expect.throwsT<ArgumentOutOfRangeException> (fun () -> writer.Advance 90) "too far"
        writer.Advance 89
        Expect.throwsT<ArgumentException> (fun () -> writer.GetMemory() |> ignore) "full")

let tests =
    testList
        "references and views"
        [
            testCase "a field is persisted where it is" fields
            testCase "what lies elsewhere is refused" foreign
            testCase "a stream is durable after Flush" stream
            testCase "a read-only mapping gives views to read" readOnly
            testCase "a buffer writer writes to the mapping" writer
        ]
