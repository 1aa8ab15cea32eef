namespace Pmem

open System.Runtime.CompilerServices

[<assembly: InternalsVisibleTo "Pmem">]
[<assembly: InternalsVisibleTo "Pmem.Tests">]
do ()
