/// The tool, run in this process, and what is asked of its answers.
module Pmem.Tests.ToolRun

open System
open System.IO
open System.Text.Json
open System.Xml.Linq
open Expecto
open Pmem
open Pmem.Tool

type Answer = { ExitCode: int; Output: string; Error: string }

let run (arguments: string list) =
    use output = new StringWriter()
    use error = new StringWriter()

    let exitCode =
        Commands.Run(Array.ofList arguments, output, error).GetAwaiter().GetResult()

    { ExitCode = exitCode; Output = output.ToString(); Error = error.ToString() }

let json (answer: Answer) =
    JsonDocument.Parse(answer.Output).RootElement

let isPicture (path: string) what =
    match XDocument.Load(path).Root with
    | null -> failtest what
    | root -> Expect.equal root.Name.LocalName "svg" what

/// A text of an answer in JSON.
let textOf (name: string) (answer: JsonElement) =
    match answer.GetProperty(name).GetString() with
    | null -> failtest $"{name} is null"
    | text -> text

let ends expected (answer: Answer) =
    Expect.equal answer.ExitCode expected $"{answer.Output}{answer.Error}"

/// One sentence for a person, and no stack trace.
let refuses (words: string list) (answer: Answer) =
    ends 2 answer
    Expect.equal (answer.Error.Trim().Split('\n').Length) 1 answer.Error
    Expect.stringStarts answer.Error "pmem: " "who speaks"

    for word in words do
        Expect.stringContains answer.Error word "the sentence"

/// The record at 64, then the count at 0, with or without what makes the one durable before the other.
let traceIn directory isRight =
    let memory = RecordedMemory(Array.zeroCreate 4096, PersistencyModel.X86)
    memory.StoreInt64(64L, 42L)

    if isRight then
        memory.Persist(64L, 8L)

    memory.StoreInt64(0L, 1L)
    memory.Persist(0L, (if isRight then 8L else 128L))
    let path = Path.Combine(directory, "update.trace")
    File.WriteAllLines(path, PersistTrace.Of(memory).ToLines())
    path

let scriptIn directory (text: string) =
    let path = Path.Combine(directory, "checker")
    File.WriteAllText(path, $"#!/bin/sh\n{text}\n")
    File.SetUnixFileMode(path, UnixFileMode.UserRead ||| UnixFileMode.UserWrite ||| UnixFileMode.UserExecute)
    path
