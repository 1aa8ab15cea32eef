namespace Pmem

open System.Runtime.CompilerServices
open FsCheck
open FsCheck.FSharp

/// How far a list has been made smaller.
[<Sealed>]
type internal ShrinkPlace(removed: int, simplified: int, left: int ref) =
    /// Elements before this one were found to be needed.
    member _.Removed = removed
    /// Elements before this one were found to be as simple as can be.
    member _.Simplified = simplified
    /// So many candidates may still be tried, of the whole family.
    member _.Left = left

/// Lists of operations. Each candidate of a shrinker costs a whole check, so a list is gone through once, elements left out
/// and then made simpler, and what was found to be needed is not tried again.
[<Sealed>]
type internal OperationLists<'T>(each: Arbitrary<'T>, most: int) =
    /// Of one failure; at 20 ms each a few seconds.
    let mostCandidates = 150

    /// Of an element: enough to come past the first field of a case to the second.
    let mostSimpler = 12

    let places = ConditionalWeakTable<'T list, ShrinkPlace>()

    let placeOf items =
        match places.TryGetValue items with
        | true, place -> place
        | _ -> ShrinkPlace(0, 0, ref mostCandidates)

    /// The empty list is one object for all, and has no place.
    let at place (items: 'T list) =
        if not items.IsEmpty then
            places.AddOrUpdate(items, place)

        items

    let halves (items: 'T list) (place: ShrinkPlace) =
        seq {
            if items.Length > 3 && place.Removed = 0 && place.Simplified = 0 then
                at place (List.truncate (items.Length / 2) items)
                at place (List.skip (items.Length / 2) items)
        }

    let removals (items: 'T list) (place: ShrinkPlace) =
        seq {
            for i in place.Removed .. items.Length - 1 do
                at (ShrinkPlace(i, 0, place.Left)) (List.removeAt i items)
        }

    let simpler (items: 'T list) (place: ShrinkPlace) =
        seq {
            for i in place.Simplified .. items.Length - 1 do
                for item in Seq.truncate mostSimpler (each.Shrinker items[i]) do
                    at (ShrinkPlace(items.Length, i, place.Left)) (List.updateAt i item items)
        }

    let shrink items =
        let place = placeOf items

        Seq.concat [ halves items place; removals items place; simpler items place ]
        |> Seq.takeWhile (fun _ ->
            place.Left.Value <- place.Left.Value - 1
            place.Left.Value >= 0)

    let list =
        gen {
            let! size = Generators.size
            let! count = Gen.choose (1, max 1 (min most (1 + size * most / 20)))
            return! Gen.listOfLength count each.Generator
        }

    member _.Arbitrary = Arb.fromGenShrink (list, shrink)
