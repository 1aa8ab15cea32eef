namespace Pmem

/// Every path of choices once, the deepest choice first.
module internal DepthFirst =
    /// The path after the one that a run took; nothing after the last.
    let next (taken: Taken[]) =
        let mutable last = taken.Length - 1

        while last >= 0 && taken[last].Chosen = taken[last].Count - 1 do
            last <- last - 1

        if last < 0 then
            ValueNone
        else
            let given = Array.sub taken 0 (last + 1)
            given[last] <- { given[last] with Chosen = given[last].Chosen + 1 }
            ValueSome(ChoicePath.Of given)

    /// Calls with a chooser for each path, until there is none left or the call returns false.
    let all (visit: Chooser -> bool) =
        let mutable path = ValueSome ChoicePath.Durable

        while path.IsSome do
            let chooser = Chooser path.Value
            path <- if visit chooser then next chooser.Taken else ValueNone
