// Mutation testing by a list: each entry of mutants.txt is a small harmful change of src. One after another is made in a copy
// of the tree, its project alone is compiled, and the test lists that should notice are run. The tree itself is only read.
open System
open System.Collections.Generic
open System.Diagnostics
open System.IO
open System.Runtime.InteropServices
open System.Text.Json
open System.Text.RegularExpressions
open System.Threading.Tasks

// The list

type Mutant =
    {
        Name: string
        Means: string
        File: string
        Lists: string
        Old: string
        New: string
        /// Why no test can notice; empty where one must.
        Lives: string
        /// Why the tests crash or hang instead of failing; empty where a test must fail.
        Ends: string
    }

let root = nonNull (Directory.GetParent __SOURCE_DIRECTORY__).FullName

let fail (words: string) : 'T =
    eprintfn "mutants: %s" words
    exit 2

let private processor =
    lazy (if File.Exists "/proc/cpuinfo" then set (Regex.Matches(File.ReadAllText "/proc/cpuinfo", @"\w+") |> Seq.map _.Value) else Set.empty)

/// An entry: "== NAME: what it means", then "file:", "lists:", perhaps "lives:", "ends:" or "needs:" (a flag of the
/// processor), and lines that begin with "- " and "+ ".
let parse (lines: string[]) =
    let heads =
        [| for i in 0 .. lines.Length - 1 do if lines[i].StartsWith "== " then i |]

    let entry first last =
        let body = lines[first + 1 .. last]
        let heading = lines[first].Substring 3
        let colon = heading.IndexOf ": "
        if colon < 0 then fail $"line {first + 1}: NAME: what it means"

        let value (key: string) =
            body
            |> Array.tryFind (fun line -> line.StartsWith(key + ": "))
            |> Option.map (fun line -> line.Substring(key.Length + 2).Trim())
            |> Option.defaultValue ""

        let text (mark: string) =
            body
            |> Array.filter (fun line -> line = mark || line.StartsWith(mark + " "))
            |> Array.map (fun line -> line.Substring(min line.Length 2))
            |> String.concat "\n"

        {
            Name = heading.Substring(0, colon)
            Means = heading.Substring(colon + 2)
            File = value "file"
            Lists = value "lists"
            Old = text "-"
            New = text "+"
            Ends = value "ends"
            Lives =
                match value "needs" with
                | "" -> value "lives"
                | flag when processor.Value.Contains flag -> ""
                | flag -> $"this processor has no {flag}"
        }

    Array.mapi (fun i first -> entry first (if i + 1 < heads.Length then heads[i + 1] - 1 else lines.Length - 1)) heads

let all = parse (File.ReadAllLines(Path.Combine(__SOURCE_DIRECTORY__, "mutants.txt")))

/// The changed text of the file in this tree, or why the change does not apply.
let apply (tree: string) mutant =
    let path = Path.Combine(tree, mutant.File)

    if not (File.Exists path) then
        Error $"there is no {mutant.File}"
    else
        let text = File.ReadAllText path
        let first = text.IndexOf(mutant.Old, StringComparison.Ordinal)

        if mutant.Old = "" || mutant.Lists = "" then Error "it needs old text and lists"
        elif first < 0 then Error $"its old text is not in {mutant.File}"
        elif text.IndexOf(mutant.Old, first + 1, StringComparison.Ordinal) >= 0 then
            Error $"its old text is more than once in {mutant.File}"
        else
            Ok(text.Substring(0, first) + mutant.New + text.Substring(first + mutant.Old.Length))

// Processes

/// How long the tests of one change may take; PMEM_MUTANTS_MINUTES chooses another time.
let private limit =
    match Environment.GetEnvironmentVariable "PMEM_MUTANTS_MINUTES" with
    | null | "" -> TimeSpan.FromMinutes 4.0
    | minutes -> TimeSpan.FromMinutes(float minutes)

let private running = Collections.Concurrent.ConcurrentDictionary<Process, unit>()

let private stop (child: Process) = try child.Kill true with _ -> ()

/// Runs a command to its end or to this limit: its exit code, none where it was cut off, and all that it said.
let run (directory: string) (limit: TimeSpan) environment (file: string) (arguments: string seq) =
    let info = ProcessStartInfo(file, arguments, WorkingDirectory = directory)
    info.RedirectStandardOutput <- true
    info.RedirectStandardError <- true
    for name, value in environment do info.Environment[name] <- value
    use child = nonNull (Process.Start info)
    running[child] <- ()
    let said = Text.StringBuilder()
    let hear (e: DataReceivedEventArgs) = if not (isNull e.Data) then lock said (fun () -> said.AppendLine e.Data |> ignore)
    child.OutputDataReceived.Add hear
    child.ErrorDataReceived.Add hear
    child.BeginOutputReadLine()
    child.BeginErrorReadLine()
    let isOver = child.WaitForExit limit
    if isOver then child.WaitForExit() else stop child
    running.TryRemove child |> ignore
    (if isOver then Some child.ExitCode else None), lock said (fun () -> said.ToString())

/// What a process that lives for seconds has no use for: to count what is hot.
let private brief = [ ("DOTNET_TieredPGO", "0") ]

let private mustRun directory file (arguments: string list) =
    match run directory (TimeSpan.FromMinutes 20.0) [] file arguments with
    | Some 0, said -> said
    | _, said -> fail (String.concat " " (file :: arguments) + "\n" + said)

// The copy

let private copy =
    match Environment.GetEnvironmentVariable "PMEM_MUTANTS_DIR" with
    | null | "" ->
        // Of root's tests some run as nobody, who may not look into root's home.
        let home = Environment.GetFolderPath Environment.SpecialFolder.UserProfile
        let cache = if Environment.IsPrivilegedProcess then "/var/cache" else Path.Combine(home, ".cache")
        Path.Combine(cache, "pmem-mutants", Convert.ToHexString(Security.Cryptography.SHA256.HashData(Text.Encoding.UTF8.GetBytes root)).Substring(0, 8))
    | directory -> Path.GetFullPath directory

let private readOrNone path = if File.Exists path then Some(File.ReadAllBytes path) else None

/// Brings the copy up to the tree, touching only what differs, so that a second run builds little.
let private synchronise () =
    let names = mustRun root "git" [ "ls-files"; "-co"; "--exclude-standard" ]
    let names = names.Split('\n', StringSplitOptions.RemoveEmptyEntries) |> Array.map _.Trim()
    let manifest = Path.Combine(copy, "obj/mutants.files")
    let before = if File.Exists manifest then File.ReadAllLines manifest else [||]

    for name in Array.except names before do
        File.Delete(Path.Combine(copy, name))

    for name in names do
        let source, target = Path.Combine(root, name), Path.Combine(copy, name)

        if File.Exists source && readOrNone source <> readOrNone target then
            Directory.CreateDirectory(nonNull (Path.GetDirectoryName target)) |> ignore
            File.Copy(source, target, true)
            File.SetLastWriteTimeUtc(target, DateTime.UtcNow)

    Directory.CreateDirectory(nonNull (Path.GetDirectoryName manifest)) |> ignore
    File.WriteAllLines(manifest, names)

let private tests = "tests/Pmem.Tests"
let private output = Path.Combine(copy, tests, "bin/Release/net10.0")

/// Where the tests are run: a copy of what was built, in which one assembly is exchanged. Not where they were built, or the
/// next build could take a mutant for its own.
let private place = Path.Combine(copy, "obj/mutants")

let rec private copyAll (source: string) (target: string) =
    Directory.CreateDirectory target |> ignore
    for file in Directory.GetFiles source do File.Copy(file, Path.Combine(target, nonNull (Path.GetFileName file)), true)
    for directory in Directory.GetDirectories source do
        copyAll directory (Path.Combine(target, nonNull (Path.GetFileName directory)))

/// Without the inlining of F# across assemblies: the tests would keep the code as it was before a change. Without reference
/// assemblies: F#'s is not renewed where only something internal has changed, which friends see.
let private properties =
    [ "-p:Configuration=Release"; "-p:OtherFlags=--crossoptimize-"; "-p:ProduceReferenceAssembly=false" ]

let private build () =
    mustRun copy "dotnet" ([ "build"; tests; "-v"; "q"; "-nologo" ] @ properties) |> ignore
    if Directory.Exists place then Directory.Delete(place, true)
    copyAll output place

// Compiling one project

type Compiler = { Directory: string; Assembly: string; Command: string list }

let private compilerOf (project: string) =
    let isFSharp = project.EndsWith ".fsproj"
    let item = if isFSharp then "FscCommandLineArgs" else "CscCommandLineArgs"

    // What the build passes to the compiler, without a build: the way of editors (a design-time build).
    let answer =
        mustRun copy "dotnet"
            ([
                "msbuild"; project; "-t:Compile"; "-p:BuildProjectReferences=false"; "-p:ProvideCommandLineArgs=true"
                "-p:SkipCompilerExecution=true"; "-p:NonExistentFile=/nowhere"
                $"-getItem:{item}"; "-getProperty:MSBuildToolsPath,AssemblyName"
             ]
             @ properties)

    let json = JsonDocument.Parse(answer).RootElement
    let property (name: string) = nonNull (json.GetProperty("Properties").GetProperty(name).GetString())

    let arguments =
        [ for each in json.GetProperty("Items").GetProperty(item).EnumerateArray() -> nonNull (each.GetProperty("Identity").GetString()) ]

    if arguments.IsEmpty then fail $"{project}: the build does not say how it compiles"
    let assembly = property "AssemblyName" + ".dll"

    // Analyzers only judge, but for the framework's: they write code. A change may leave something unused.
    let isKept (argument: string) =
        not (Regex.IsMatch(argument, @"^(/|--)(warnaserror|doc|refout|analyzerconfig)"))
        && (not (argument.StartsWith "/analyzer:") || argument.Contains "Microsoft.NETCore.App.Ref")

    let redirect (argument: string) =
        Regex.Replace(argument, @"^(/out:|-o:|--out:).*", "$1" + Path.Combine(copy, "obj", assembly))

    let tool = if isFSharp then "FSharp/fsc.dll" else "Roslyn/bincore/csc.dll"

    {
        Directory = Path.Combine(copy, nonNull (Path.GetDirectoryName project))
        Assembly = assembly
        Command =
            Path.Combine(property "MSBuildToolsPath", tool)
            :: (if isFSharp then [] else [ "/shared" ])
            @ (arguments |> List.filter isKept |> List.map redirect)
    }

let private compilers = Dictionary<string, Compiler>()

/// The compiler of the project that a file belongs to.
let private compilerFor (file: string) =
    let directory = String.Join("/", file.Split('/') |> Array.take 2)
    let project = Directory.GetFiles(Path.Combine(copy, directory), "*.?sproj") |> Array.exactlyOne

    match compilers.TryGetValue project with
    | true, compiler -> compiler
    | _ ->
        let compiler = compilerOf (Path.GetRelativePath(copy, project))
        compilers[project] <- compiler
        compiler

let private compile compiler =
    run compiler.Directory (limit + TimeSpan.FromMinutes 1.0) brief "dotnet" ("exec" :: compiler.Command)

// Judging

let private runTests limit lists =
    run place limit (("PMEM_TESTS_ONLY", lists) :: brief) "dotnet" [ "Pmem.Tests.dll" ]

type Verdict =
    /// A test failed.
    | Killed of string
    /// The tests crashed or hung before one failed, which any other fault could do too.
    | Ended of string
    | Lived
    | Wrong of string

let private judge (exitCode: int option, said: string) =
    let failed = Regex.Match(said, @"(?m)^.*ERR\] (.*?) (failed|errored) in ")

    let ending =
        match exitCode with
        | Some code -> $"exit code {code}"
        | None -> $"not over after {limit.TotalMinutes} minutes"

    match exitCode with
    | Some 0 -> Lived
    // Expecto: 1 where tests failed, 2 where they threw, 3 for both.
    | Some(1 | 2 | 3) when failed.Success -> Killed failed.Groups[1].Value
    | _ when failed.Success -> Killed $"{failed.Groups[1].Value}; then {ending}"
    | _ -> Ended ending

/// Makes the change in the copy, compiles, and takes the change back: the assembly, or what is wrong.
let private compiled mutant (changed: string) =
    let file = Path.Combine(copy, mutant.File)
    let original, time = File.ReadAllBytes file, File.GetLastWriteTimeUtc file
    let compiler = compilerFor mutant.File

    try
        File.WriteAllText(file, changed)

        match compile compiler with
        | Some 0, _ -> Ok(compiler.Assembly, File.ReadAllBytes(Path.Combine(copy, "obj", compiler.Assembly)))
        | _, said ->
            let errors = said.Split '\n' |> Array.filter _.Contains("error") |> Array.truncate 3
            Error("it does not compile: " + String.Join("; ", errors))
    finally
        File.WriteAllBytes(file, original)
        // Or the next build would take it for changed, and all that rests on it.
        File.SetLastWriteTimeUtc(file, time)

/// Runs the tests with the changed assembly.
let private examine mutant (assembly: string, bytes: byte[]) =
    try
        File.WriteAllBytes(Path.Combine(place, assembly), bytes)
        judge (runTests limit mutant.Lists)
    finally
        File.Copy(Path.Combine(output, assembly), Path.Combine(place, assembly), true)

// Reporting

/// What a run found, a line for each mutant, as it came: --resume goes on behind it.
let private log = Path.Combine(copy, "obj/mutants.log")

let private report mutant verdict (seconds: int) =
    let line =
        match verdict with
        | Wrong why -> $"WRONG   {mutant.Name}: {why}"
        | Killed by when mutant.Lives = "" -> $"killed  {mutant.Name} ({seconds} s): {by}"
        | Killed by -> $"WRONG   {mutant.Name} ({seconds} s): it is listed as one that lives, and was killed by {by}"
        | Ended how when mutant.Ends <> "" -> $"ended   {mutant.Name} ({seconds} s), {how}, as it must: {mutant.Ends}"
        | Ended how -> $"ENDED   {mutant.Name} ({seconds} s), {how}, and no test failed: {mutant.Means} [{mutant.Lists}]"
        | Lived when mutant.Lives = "" -> $"LIVED   {mutant.Name} ({seconds} s): {mutant.Means} [{mutant.File}; {mutant.Lists}]"
        | Lived -> $"lived   {mutant.Name} ({seconds} s), as it must: {mutant.Lives}"

    printfn $"{line}"
    Console.Out.Flush()
    File.AppendAllText(log, line + "\n")

/// The name in a line of the log, and the verdict before it.
let private verdictOf (line: string) = Regex.Match(line, @"^\S+ +([\w-]+)").Groups[1].Value, line.Split(' ')[0]

/// The last verdict on each of these in the log.
let private logged (chosen: Mutant[]) =
    let last = Map(if File.Exists log then File.ReadAllLines log |> Seq.map verdictOf else Seq.empty)
    chosen |> Array.choose (fun mutant -> Map.tryFind mutant.Name last)

let private summarise (chosen: Mutant[]) =
    let verdicts = logged chosen
    let count word = verdicts |> Array.filter ((=) word) |> Array.length
    let killed, ended, excused = count "killed", count "ended", count "lived"
    let crashed, lived, wrong = count "ENDED", count "LIVED", count "WRONG"
    printfn $"{verdicts.Length} mutants: {killed} killed by a failing test, {ended} by a crash or hang that has a reason, {excused} lived with a reason;"
    printfn $"{crashed} crashed or hung without one, {lived} lived, {wrong} wrong"
    if verdicts |> Array.forall (fun word -> word = word.ToLowerInvariant()) then 0 else 1

let private examineAll resumes (chosen: Mutant[]) =
    Directory.CreateDirectory copy |> ignore

    use _lock =
        try
            new FileStream(Path.Combine(copy, ".lock"), FileMode.OpenOrCreate, FileAccess.Write, FileShare.None)
        with :? IOException -> fail $"another run uses {copy}; PMEM_MUTANTS_DIR chooses another directory"

    printfn $"building in {copy}"
    synchronise ()
    build ()
    if not resumes then File.Delete log
    let left = chosen |> Array.filter (fun mutant -> (logged [| mutant |]).Length = 0)
    let lists = left |> Seq.collect (fun mutant -> mutant.Lists.Split ',') |> Seq.distinct |> Seq.sort |> String.concat ","

    if left.Length > 0 then
        match runTests (TimeSpan.FromMinutes 20.0) lists with
        | Some 0, _ -> printfn $"without a change the tests pass: {lists}"
        | _, said -> fail ("the tests fail without a change:\n" + said)

    let prepare mutant = Task.Run(fun () -> apply copy mutant |> Result.bind (compiled mutant))
    let mutable next = Array.tryHead left |> Option.map prepare

    // While one is examined the next is compiled.
    for i, mutant in Array.indexed left do
        let clock = Stopwatch.StartNew()
        let made = next.Value.Result
        next <- Array.tryItem (i + 1) left |> Option.map prepare
        report mutant (match made with Ok assembly -> examine mutant assembly | Error why -> Wrong why) (int clock.Elapsed.TotalSeconds)

    summarise chosen

// Commands

let private check (chosen: Mutant[]) =
    let faults =
        [
            for mutant in chosen do
                match apply root mutant with
                | Ok _ -> ()
                | Error why -> $"{mutant.Name}: {why}"
            for name, same in Array.countBy _.Name chosen do
                if same > 1 then $"{name}: the name is there more than once"
        ]

    faults |> List.iter (printfn "WRONG   %s")
    printfn $"{chosen.Length} mutants, {faults.Length} wrong"
    if faults.IsEmpty then 0 else 1

let private signals =
    [
        for signal in [ PosixSignal.SIGINT; PosixSignal.SIGTERM; PosixSignal.SIGHUP ] do
            // The tree was not touched, and the copy is brought up to it before it is used again.
            PosixSignalRegistration.Create(signal, fun _ ->
                for child in running.Keys do stop child
                eprintfn "mutants: interrupted"
                exit 130)
    ]

let private flags, words =
    List.ofArray fsi.CommandLineArgs |> List.tail |> List.partition _.StartsWith("--")

let private chosen =
    if words.IsEmpty then all
    else all |> Array.filter (fun mutant -> words |> List.exists (fun word -> (mutant.Name + " " + mutant.File).Contains word))

if chosen.Length = 0 then fail "no mutant has such a name or file"

match flags with
| [] -> exit (examineAll false chosen)
| [ "--resume" ] -> exit (examineAll true chosen)
| [ "--check" ] -> exit (check chosen)
| [ "--list" ] ->
    for mutant in chosen do printfn $"{mutant.Name} [{mutant.File}]: {mutant.Means}"
    exit 0
| _ -> fail "mutants [--list | --check | --resume] [WORD...]: WORD is a part of a name or a file"
