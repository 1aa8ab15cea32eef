module Pmem.Tests.ByteRangeTests

open System
open Expecto
open Pmem
open Pmem.Tests.Generators

let private bytesOf (range: ByteRange) =
    set [ range.Offset .. range.Offset + range.Length - 1L ]

let private isRefused offset length =
    try
        ByteRange.create offset length |> ignore
        false
    with :? ArgumentOutOfRangeException as e ->
        e.Message.Length > 0

let tests =
    testList
        "byte range"
        [
            property
                "is refused exactly where a byte would lie outside 0 .. 2^63 - 2"
                (fun (offset: int64) (length: int64) ->
                    let fits =
                        offset >= 0L
                        && length >= 0L
                        && bigint offset + bigint length <= bigint Int64.MaxValue

                    isRefused offset length = not fits
                    && (ByteRange.tryCreate offset length).IsSome = fits)

            property "is refused at the end of all offsets" (fun (WideRange range) over ->
                let length = Int64.MaxValue - range.Offset

                not (isRefused range.Offset length)
                && (length = Int64.MaxValue
                    || isRefused range.Offset (length + 1L + abs (over % (Int64.MaxValue - length)))))

            property
                "contains, overlaps and intersect are those of sets of bytes"
                (fun (left: ByteRange) (right: ByteRange) ->
                    let l, r = bytesOf left, bytesOf right

                    left.Contains right = Set.isSubset r l
                    && left.Overlaps right = not (Set.isEmpty (Set.intersect l r))
                    && bytesOf (left.Intersect right) = Set.intersect l r)

            testCase "contains, overlaps and intersect of all small ranges, those that touch among them"
            <| fun () ->
                let ranges =
                    [
                        for offset in 0L .. 4L do
                            for length in 0L .. 4L -> ByteRange.create offset length
                    ]

                for left, right in List.allPairs ranges ranges do
                    let l, r = bytesOf left, bytesOf right
                    Expect.equal (left.Contains right) (Set.isSubset r l) $"{left} contains {right}"

                    Expect.equal
                        (left.Overlaps right)
                        (not (Set.isEmpty (Set.intersect l r)))
                        $"{left} overlaps {right}"

                    Expect.equal (bytesOf (left.Intersect right)) (Set.intersect l r) $"{left} intersects {right}"

            property "rounds out to the least whole units" (fun (range: ByteRange) ->
                [ 1L; 8L; 64L; 4096L; 24L ]
                |> List.forall (fun unitBytes ->
                    let out = range.AlignOut unitBytes

                    out.Offset % unitBytes = 0L
                    && out.End % unitBytes = 0L
                    && out.Contains range
                    && out.Length < range.Length + 2L * unitBytes
                    && (range.IsEmpty
                        || (range.Offset - out.Offset < unitBytes && out.End - range.End < unitBytes))))

            property "rounds out without overflow" (fun (WideRange range) ->
                [ 64L; 4096L; 1L <<< 62 ]
                |> List.forall (fun unitBytes ->
                    let out = range.AlignOut unitBytes

                    out.Offset >= 0L
                    && out.Length >= 0L
                    && out.End >= out.Offset
                    && out.Contains range))

            property "lies within exactly the sizes that hold its end" (fun (WideRange range) (size: int64) ->
                range.IsWithin size = (bigint range.Offset + bigint range.Length <= bigint size)
                && ByteRange.isWithin range.End range)

            property
                "is inside of exactly the sizes that it lies within"
                (fun (offset: int64) (length: int64) (size: int64) ->
                    let size = abs (size % 100L)

                    Seq.allPairs
                        [ offset; offset % 100L; Int64.MinValue; Int64.MaxValue ]
                        [ length; length % 100L; Int64.MaxValue ]
                    |> Seq.forall (fun (offset, length) ->
                        Bounds.isInside size offset length = Bounds.isWithin size offset length))

            property "rounds by mask as by division" (fun (WideRange range) ->
                let at = range.Offset / 2L

                List.forall
                    (fun unit ->
                        Units.down (unit - 1L) at = Bounds.alignDown unit at
                        && Units.up (unit - 1L) at = Bounds.alignUp unit at)
                    [ 64L; 4096L; 2097152L ])

            property "counts the lines that it touches" (fun (range: ByteRange) ->
                let lines = bytesOf range |> Set.map CacheLine.indexOf
                CacheLine.countOf range = int64 lines.Count)

            testCase "compares and prints as a value"
            <| fun () ->
                Expect.equal (string (ByteRange.create 128L 64L)) "128+64" "text"
                Expect.isTrue (ByteRange(1L, 2L) = ByteRange(1L, 2L)) "equal"
                Expect.isFalse (ByteRange(1L, 2L) = ByteRange(1L, 3L)) "not equal"
                Expect.throwsT<ArgumentOutOfRangeException> (fun () -> ByteRange(0L, 1L).AlignOut 0L |> ignore) "unit 0"
        ]
