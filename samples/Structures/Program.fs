/// Checks every structure and its broken twin, and draws what is wrong with the twin.
///
///     dotnet run --project samples/Structures              all of them, in lines
///     dotnet run --project samples/Structures -- DIRECTORY   and a page with the picture of each broken twin's crash
module Structures.Program

open System
open System.IO
open Pmem

let lessons =
    [
        AppendLog.lesson
        ChecksumLog.lesson
        TwoSlots.lesson
        RingBuffer.lesson
        LinkedStack.lesson
        HashTable.lesson
        TreeLeaf.lesson
        FreeList.lesson
    ]

let private show directory lesson =
    let right = Lesson.check Right PersistencyModel.Relaxed lesson
    let broken = Lesson.check Broken PersistencyModel.X86 lesson
    Console.WriteLine $"{lesson.Name}: {right.Verdict}, {right.RecoveryRuns} recoveries; its twin: {broken.Verdict}"

    match directory with
    | Some directory ->
        let file = Path.Combine(directory, lesson.Name.Replace(' ', '-') + ".html")
        File.WriteAllText(file, broken.ToHtml())
        Console.WriteLine $"    {file}"
    | None -> ()

    right.Verdict = CrashVerdict.Consistent && broken.HasCounterexample

let private showAll directory =
    let areAsTheyShould = List.map (show directory) lessons
    if List.forall id areAsTheyShould then 0 else 1

[<EntryPoint>]
let main arguments =
    match arguments with
    | [||] -> showAll None
    | [| directory |] when Directory.Exists directory -> showAll (Some directory)
    | _ ->
        Console.Error.WriteLine "usage: Structures [DIRECTORY]"
        1
