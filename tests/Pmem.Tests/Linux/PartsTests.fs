/// Making files on file systems of every kind, by many processes at once, and at the limits of a machine.
module Pmem.Tests.PartsTests

open System
open System.IO
open System.Threading
open Expecto
open Pmem
open Pmem.Tests.Parts

let private create (path: string) length (options: PmemCreateOptions) =
    using (PmemMapping.Create(path, length, options)) (fun map -> map.Persist(0L, map.Length))

let private refuses words action =
    let error = Expect.throwsC action id

    for word: string in words do
        Expect.stringContains error.Message word (string error)

let private entries directory =
    Directory.GetFileSystemEntries directory
    |> Array.map Path.GetFileName
    |> Array.sort

let private works =
    everywhere "a file is made, grown, shared, cut, and refused" (fun directory ->
        let at (name: string) = Path.Combine(directory, name)
        let path = at "f"
        create path 5000L (PmemCreateOptions(Exclusive = true))

        using (PmemMapping.Open path) (fun map ->
            map.Write(4990L, ReadOnlySpan "ten bytes!"B)
            create path 200_000L (PmemCreateOptions())
            create path 300_000L (PmemCreateOptions(Sparse = true))
            Expect.equal (map.GetSpan(4990L, 10).ToArray()) "ten bytes!"B "kept")

        Expect.equal (FileInfo(path).Length) 300_000L "grown"
        refuses [ "300000"; "4096" ] (fun () -> create path 4096L (PmemCreateOptions()))
        refuses [ "EEXIST" ] (fun () -> create path 300_000L (PmemCreateOptions(Exclusive = true)))
        create path 5000L (PmemCreateOptions(Truncate = true))
        Expect.equal (FileInfo(path).Length) 5000L "cut"
        Expect.equal (File.ReadAllBytes(path).AsSpan(4990).ToArray()) "ten bytes!"B "what was before the cut"
        (PmemMapping.CreateTemporary(directory, 10_000L)).Dispose()

        // Only a file system that is small and the test's own may be filled.
        if DriveInfo(directory).TotalSize < (1L <<< 30) then
            refuses [ "ENOSPC" ] (fun () -> create (at "g") (1L <<< 30) (PmemCreateOptions()))
            refuses [ "ENOSPC" ] (fun () -> create path (1L <<< 30) (PmemCreateOptions()))

        Expect.equal (FileInfo(path).Length) 5000L "not grown"
        Expect.equal (entries directory |> Array.except [ "lost+found" ]) [| "f" |] "nothing else")

/// One thread stores to a file to which another gives one length after the other: growing writes no byte that is there.
let private grown =
    let rounds = Harness.cases 60 300

    everywhere "what is stored while a file grows is kept" (fun directory ->
        let path = Path.Combine(directory, "f")
        create path 4096L (PmemCreateOptions())
        let mutable isOver = false
        let mutable stored = 0L
        let mutable lost = 0

        let store () =
            use map = PmemMapping.Open path
            let last = map.Length - 8L

            while not (Volatile.Read &isOver) do
                if map.Read<int64> last <> stored || map.Read<int64> 0L <> stored then
                    lost <- lost + 1

                stored <- stored + 1L
                map.Store(0L, stored)
                map.Store(last, stored)

        let thread = Thread store
        thread.Start()

        for round in 1..rounds do
            create path (4096L + 1000L * int64 round) (PmemCreateOptions(Sparse = (round % 3 = 0)))

        Volatile.Write(&isOver, true)
        thread.Join()
        Expect.equal lost 0 $"lost of {stored} stores, {rounds} times grown"
        Expect.isGreaterThan stored 0L "something was stored")

/// All processes make the same names at once; returns what each said.
let private race directory everybody rounds =
    let gate = Path.Combine(directory, "gate")
    create gate 4096L (PmemCreateOptions())

    let outcomes = Array.zeroCreate<Child.Outcome> everybody

    let child me =
        outcomes[me] <-
            Child.run
                "race"
                [ gate ]
                [
                    "PMEM_ME", string me
                    "PMEM_EVERYBODY", string everybody
                    "PMEM_ROUNDS", string rounds
                    "PMEM_PLACE", directory
                ]

    let threads = [ for me in 0 .. everybody - 1 -> Thread(fun () -> child me) ]
    threads |> List.iter _.Start()
    threads |> List.iter _.Join()

    for outcome in outcomes do
        Expect.equal (outcome.ExitCode, outcome.Error) (0, "") outcome.Output

    List.ofArray outcomes

let private wordsOf (path: string) =
    let bytes = File.ReadAllBytes path
    Expect.equal bytes.LongLength FileChildren.LengthBytes path

    [ for at in 0..8..4088 -> BitConverter.ToInt64(bytes, at) ]
    |> List.filter ((<>) 0L)

let private races =
    let everybody = Harness.cases 8 50
    let rounds = Harness.cases 4 10

    everywhere $"{everybody} processes make one name: one winner, and nobody's store is lost" (fun directory ->
        let outcomes = race directory everybody rounds
        let output = outcomes |> List.map _.Output |> String.concat ""

        for round in 0 .. rounds - 1 do
            let winners = output.Split '\n' |> Array.filter ((=) $"won {round}")
            Expect.equal winners.Length 1 $"winners of round {round}"
            Expect.equal (wordsOf (Path.Combine(directory, $"exclusive{round}"))).Length 1 "the winner's word"
            let shared = wordsOf (Path.Combine(directory, $"shared{round}"))
            Expect.equal shared [ 1L .. int64 everybody ] "everybody's word"

        Expect.equal (entries directory |> Array.except [ "lost+found" ]).Length (2 * rounds + 1) "nothing else"
        printfn "races: %d creations by %d processes, %d rounds" (2 * rounds * everybody) everybody rounds)

let private huge = 2L <<< 20

/// Where there is no /proc, a new file takes its name by open(O_CREAT | O_EXCL), as on a file system without O_TMPFILE.
let private withoutProc directory =
    let path = Path.Combine(directory, "f")
    File.SetUnixFileMode(directory, enum<UnixFileMode> 0o777)
    File.CreateSymbolicLink(path + ".link", "target") |> ignore
    let outcome = Child.run "without-proc" [ path ] [ "PMEM_MMAP_HINT", "100000000000" ]

    let said =
        [
            "before: done"
            "created: done"
            "exclusive: EEXIST"
            "another: done"
            "grown: done"
            "opened: done"
            "linked: done"
            "nowhere: ENOTDIR"
            "missing: DirectoryNotFoundException"
        ]

    let lines = outcome.Output.Trim().Split '\n' |> List.ofArray
    Expect.hasLength lines said.Length outcome.Error

    for line, expected in List.zip lines said do
        Expect.stringStarts line expected outcome.Output

    Expect.equal (FileInfo(path).Length, FileInfo(Path.Combine(directory, "target")).Length) (8192L, 4096L) "lengths"

let private limits =
    [
        Harness.needing "root" Child.isRoot "without /proc files are made and opened" (fun () ->
            Harness.inDirectory withoutProc)

        needingHugePages "hugetlbfs: whole huge pages, and Dispose unmaps" (fun directory ->
            let path = Path.Combine(directory, "f")

            for length in [ 1L; 4096L; huge - 1L; huge + 4096L ] do
                refuses [ string length; string huge ] (fun () -> create path length (PmemCreateOptions()))

            Expect.isEmpty (entries directory) "nothing was made"

            for round in 1..3 do
                use map = PmemMapping.Create(path, 2L * huge, PmemCreateOptions(Prefault = true))
                map.Span[int huge] <- byte round
                map.Persist(huge, 1L)
                use part = PmemMapping.Open(path, PmemOpenOptions(Offset = huge))
                Expect.equal (part.Span[0], part.Length) (byte round, huge) "a part"

            refuses [ "4096"; string huge ] (fun () ->
                (PmemMapping.Open(path, PmemOpenOptions(Length = 4096L))).Dispose())

            refuses [ "4096"; string huge ] (fun () ->
                (PmemMapping.Open(path, PmemOpenOptions(Offset = 4096L))).Dispose()))

        testCase "RLIMIT_FSIZE is an error, and does not end the process"
        <| fun () ->
            Harness.inDirectory (fun directory ->
                let outcome = Child.run "limited" [ Path.Combine(directory, "f") ] []
                let lines = outcome.Output.Trim().Split '\n'
                Expect.equal outcome.ExitCode 0 outcome.Error

                for line in lines[..1] do
                    Expect.stringContains line "PmemException" "refused"
                    Expect.stringContains line "EFBIG" "why"
                    Expect.stringContains line "ulimit -f" "what to do"

                Expect.equal lines[2] "made 8192" "up to the limit"
                Expect.equal (entries directory) [| "f" |] "files")
    ]

let tests =
    testSequenced
    <| testList "files on real parts" [ works; grown; races; testList "limits" limits ]
