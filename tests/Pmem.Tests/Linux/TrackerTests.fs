module Pmem.Tests.TrackerTests

open Expecto
open FsCheck
open FsCheck.FSharp
open Pmem
open Pmem.Linux

type Change =
    | Map of start: int * length: int
    | Unmap of start: int * length: int

type private Arbitraries =
    static member Change() =
        let range =
            Gen.map2 (fun start length -> start, length) (Gen.choose (0, 60)) (Gen.choose (1, 12))

        Arb.fromGen (Gen.oneof [ Gen.map Map range; Gen.map Unmap range ])

// Far from anything mapped, so that the tracked mappings of other tests do not meddle.
let private origin = 1n <<< 60

let private file start length =
    let facts =
        {
            Path = "f"
            FileRange = ByteRange.create 0L (int64 length)
            Kind = FileDax
            IsReadOnly = false
            PersistenceDomain = ""
            Platform = Platform.x64 Clwb
        }

    match MappingInfo.Decide facts with
    | Ok mapping -> MappedFile(origin + nativeint (start: int), mapping, DeviceNumber())
    | Error reason -> failwith (string reason)

let tests =
    testSequenced
    <| testList
        "range tracking"
        [
            Harness.propertyOf
                300
                "is a set of addresses"
                [ typeof<Arbitraries> ]
                (fun (changes: Change list) start length ->
                    let mutable model = Set.empty

                    for change in changes do
                        match change with
                        // The system never maps where something is mapped.
                        | Map(start, length) when
                            Set.isEmpty (Set.intersect model (set [ start .. start + length - 1 ]))
                            ->
                            RangeTracker.Add(file start length)
                            model <- Set.union model (set [ start .. start + length - 1 ])
                        | Map _ -> ()
                        | Unmap(start, length) ->
                            RangeTracker.Remove(origin + nativeint start, nativeint length) |> ignore
                            model <- Set.difference model (set [ start .. start + length - 1 ])

                    let start, length = abs start % 70, 1 + abs length % 20
                    let covered = RangeTracker.Covers(origin + nativeint start, nativeint length)
                    RangeTracker.Remove(origin, 1000n) |> ignore
                    covered = Set.isSubset (set [ start .. start + length - 1 ]) model)
        ]
