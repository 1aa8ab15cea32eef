namespace Pmem

open System.Runtime.CompilerServices

// F# opens these modules by itself; C# does not see them beside the types of the same names.
[<assembly: AutoOpen "Pmem.FSharp">]
[<assembly: InternalsVisibleTo "Pmem">]
[<assembly: InternalsVisibleTo "Pmem.FsCheck">]
[<assembly: InternalsVisibleTo "Pmem.Tests">]
[<assembly: InternalsVisibleTo "Pmem.Testing">]
do ()
