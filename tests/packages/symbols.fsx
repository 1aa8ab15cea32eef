// symbols.fsx ADDRESS ASSEMBLY...: what a debugger finds in a package: symbols inside the assembly, of a deterministic build, with
// the sources' paths in the repository and the address where they can be fetched.
open System
open System.IO
open System.Reflection.Metadata
open System.Reflection.PortableExecutable
open System.Text

/// Portable PDB, "Source Link (C# and VB compilers)".
let sourceLink = Guid "CC110556-A091-4D38-9FEC-25AB9A351A6A"

let check (address: string) (path: string) =
    use file = File.OpenRead path
    use assembly = new PEReader(file)
    let entries = assembly.ReadDebugDirectory()

    let has (kind: DebugDirectoryEntryType) =
        entries |> Seq.exists (fun entry -> entry.Type = kind)

    if not (has DebugDirectoryEntryType.Reproducible) then
        failwith $"{path}: not of a deterministic build"

    let embedded =
        entries
        |> Seq.find (fun entry -> entry.Type = DebugDirectoryEntryType.EmbeddedPortablePdb)

    use symbols = assembly.ReadEmbeddedPortablePdbDebugDirectoryData embedded
    let reader = symbols.GetMetadataReader()

    for document in reader.Documents do
        let name = reader.GetString(reader.GetDocument(document).Name)

        if not (name.StartsWith("/_/", StringComparison.Ordinal)) then
            failwith $"{path}: a source has a path of this machine, {name}"

    let link =
        reader.GetCustomDebugInformation(ModuleDefinitionHandle.op_Implicit EntityHandle.ModuleDefinition: EntityHandle)
        |> Seq.map (fun (handle: CustomDebugInformationHandle) -> reader.GetCustomDebugInformation handle)
        |> Seq.filter (fun information -> reader.GetGuid information.Kind = sourceLink)
        |> Seq.map (fun information -> Encoding.UTF8.GetString(reader.GetBlobBytes information.Value))
        |> Seq.exactlyOne

    if not (link.Contains(address, StringComparison.Ordinal)) then
        failwith $"{path}: the sources are said to be at {link}, not at {address}"

match List.ofArray fsi.CommandLineArgs with
| _ :: address :: assemblies -> List.iter (check address) assemblies
| _ -> failwith "usage: symbols.fsx ADDRESS ASSEMBLY..."
