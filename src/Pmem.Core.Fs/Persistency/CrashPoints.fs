namespace Pmem

open System.Collections.Generic

/// A crash: the trace that it cuts off, and where.
type internal Crash =
    {
        Events: IReadOnlyList<RecordedEvent>
        /// The number of the event that does not take effect any more; the number of events at the end.
        Point: int
        Durability: Durability
        /// How many promises were given.
        Promised: int
    }

/// <summary>The crash points that can matter, one after the other: before each event that makes something durable, before
/// and after each promise, and at the end.</summary>
/// <remarks>A point is passed over where every one of its states is a state of the point before it, with the same promises.
/// Given an image, it holds what is durable at each crash.</remarks>
[<Sealed>]
type internal CrashWalk(rules, image, events: IReadOnlyList<RecordedEvent>) =
    let durability = Durability(rules, image)
    let mutable point = 0
    let mutable forced = List<Forced>()
    let mutable isEntered = false
    let mutable hasNew = true
    let mutable isAfterPromise = false
    let mutable promised = 0
    let mutable promisedBefore = -1
    let mutable hasForced = false
    let mutable isCovering = false

    let enter () =
        let event = events[point].Event

        if durability.Enter(point, event).Count > 0 then
            hasNew <- true

        forced <- durability.Forces event
        isEntered <- true
        hasNew && (event.IsAcknowledge || forced.Count > 0)

    let apply () =
        let event = events[point].Event
        durability.Apply(event, forced)
        hasForced <- hasForced || forced.Count > 0

        if event.IsAcknowledge then
            promised <- promised + 1
            isAfterPromise <- true

        isEntered <- false
        point <- point + 1

    /// Goes on to something that is a crash, or to the end.
    let step () =
        if isEntered then
            apply ()
            isAfterPromise
        else
            enter ()

    let arrive () =
        isCovering <- promisedBefore = promised && not hasForced
        promisedBefore <- promised
        hasForced <- false
        hasNew <- false
        isAfterPromise <- false
        true

    /// Goes on to the next crash, and false after the last. The one before is then no more.
    member _.MoveNext() =
        let mutable isCrash = false

        while not isCrash && point < events.Count do
            isCrash <- step ()

        if isCrash || hasNew || isAfterPromise then arrive () else false

    member _.Current: Crash =
        { Events = events; Point = point; Durability = durability; Promised = promised }

    /// Whether what the crash before could leave is among what this one can leave. So it is just after a promise: what comes
    /// before anything else is durable has few states, though, and is worth to be tried by itself where this one has many.
    member _.IsCovering = isCovering

module internal CrashPoints =
    /// Calls with each crash; goes on while that returns true. A visit that ends the walk keeps the durability as it was at
    /// its crash.
    let walk rules image events (visit: Crash -> bool) =
        let walk = CrashWalk(rules, image, events)
        let mutable goesOn = true

        while goesOn && walk.MoveNext() do
            goesOn <- visit walk.Current

    /// For each crash, whether the next one covers it.
    let covered rules events =
        let walk = CrashWalk(rules, null, events)
        let covered = List<bool>()

        while walk.MoveNext() do
            if walk.IsCovering then
                covered[covered.Count - 1] <- true

            covered.Add false

        covered.ToArray()
