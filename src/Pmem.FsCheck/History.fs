namespace Pmem

open System
open System.Collections.Generic

/// What a structure is, as its user says it.
[<NoComparison; NoEquality>]
type internal Subject<'Operation, 'State> =
    {
        Image: byte[]
        Initial: 'State
        Apply: Action<'Operation, IPersistentMemory>
        Model: Func<'Operation, 'State, 'State>
        Recover: Func<IPersistentMemory, 'State>
        Comparer: IEqualityComparer<'State>
        Invariant: Func<IPersistentMemory, 'State, bool> | null
        /// Any prefix of what was promised may be what a crash leaves.
        IsBuffered: bool
        /// How many operations go on after recovery.
        Continued: int
        Options: CrashCheckOptions
    }

/// A place in the course of a check: so many operations of the list, and then so many more after a recovery.
[<Struct>]
type internal Place = { Done: int; Continued: int }

/// The states of the model at every place, and the promises that name a place.
[<Sealed>]
type internal History<'Operation, 'State>(subject: Subject<'Operation, 'State>, operations: 'Operation list) =
    let all = List.toArray operations

    let describe index =
        String.Concat("operation ", string (index + 1), " (", States.text all[index], ")")

    let step state index =
        let before = States.text state

        let next =
            try
                subject.Model.Invoke(all[index], state)
            with error ->
                let what = String.Concat("The model threw at ", describe index, ": ", error.Message)
                Complaint.raiseOf what operations null error

        if States.text state <> before then
            let what =
                "The model changed the state that it was given; it must return a new one: "

            Complaint.raiseOf (String.Concat(what, describe index)) operations null null

        next

    let states = Array.scan step subject.Initial [| 0 .. all.Length - 1 |]

    member _.Count = all.Length
    member _.Operations = all

    /// The operation that goes on at a place after a recovery: the next of the list, and from its start again.
    member _.After(place: Place) =
        (place.Done + place.Continued) % all.Length

    member history.StateAt(place: Place) =
        let mutable state = states[place.Done]

        for i in 0 .. place.Continued - 1 do
            state <- step state (history.After { place with Continued = i })

        state

    /// The promise that an operation of the list was done is its number; the one that a recovery found a place comes after.
    member _.PromiseOf(place: Place) =
        int64 all.Length
        + int64 place.Done * int64 (subject.Continued + 1)
        + int64 place.Continued

    member private _.PlaceOf(promise: int64) =
        let each = int64 (subject.Continued + 1)
        let promise = promise - int64 all.Length

        { Done = int (promise / each); Continued = int (promise % each) }

    /// Where recovery may find itself, given what was promised.
    member history.Allowed(promised: IReadOnlyList<int64>) =
        let last = if promised.Count = 0 then -1L else promised[promised.Count - 1]

        if last < int64 all.Length then
            let count = int last + 1
            let first = if subject.IsBuffered then 0 else count

            [
                for index in first .. min all.Length (count + 1) -> { Done = index; Continued = 0 }
            ]
        else
            let place = history.PlaceOf last
            let first = if subject.IsBuffered then 0 else place.Continued

            [
                for i in first .. min subject.Continued (place.Continued + 1) -> { place with Continued = i }
            ]

    /// As in: after 2 operations.
    member _.Words(place: Place) =
        let count value =
            String.Concat(string value, (if value = 1 then " operation" else " operations"))

        if place.Continued = 0 then
            String.Concat("after ", count place.Done)
        else
            String.Concat("after ", count place.Done, ", recovery and ", String.Concat(string place.Continued, " more"))
