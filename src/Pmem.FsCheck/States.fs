namespace Pmem

open System
open System.Collections
open System.Collections.Generic

/// Abstract states: comparing and showing them.
module internal States =
    let private items (value: obj) =
        match value with
        | :? string -> None
        | :? IEnumerable as items -> Some(Seq.cast<obj> items)
        | _ -> None

    let rec private isSame (left: obj) (right: obj) =
        Object.Equals(left, right)
        || (match left, right with
            | (:? IDictionary as left), (:? IDictionary as right) ->
                left.Count = right.Count
                && left.Keys
                   |> Seq.cast<obj>
                   |> Seq.forall (fun key -> right.Contains key && isSame left[key] right[key])
            | _ ->
                match items left, items right with
                | Some left, Some right ->
                    let left, right = Seq.toArray left, Seq.toArray right
                    left.Length = right.Length && Array.forall2 isSame left right
                | _ -> false)

    /// Equal, or sequences of equals in the same order, or dictionaries of equals: C#'s collections compare by reference.
    let comparer<'State> =
        { new IEqualityComparer<'State> with
            member _.Equals(left, right) = isSame (box left) (box right)
            member _.GetHashCode _ = 0
        }

    let rec private show (value: obj) =
        match value with
        | null -> "nothing"
        | :? string as text -> String.Concat("\"", text, "\"")
        | _ ->
            match items value with
            | Some items ->
                let shown = items |> Seq.truncate 21 |> Seq.map show |> Seq.toArray
                let text = String.Join("; ", Array.truncate 20 shown)
                String.Concat("[", text, (if shown.Length > 20 then "; …]" else "]"))
            | None ->
                match value with
                | :? IFormattable as value -> value.ToString(null, Globalization.CultureInfo.InvariantCulture)
                | _ -> string value

    let text (state: 'State) = show (box state)
