using System.Runtime.InteropServices;

namespace Pmem.Testing;

/// <summary>libpmem itself, as the oracle.</summary>
internal static unsafe partial class NativeLibPmem
{
    private const string Library = "libpmem.so.1";

    public static bool IsThere { get; } = NativeLibrary.TryLoad(Library, out _);

    [LibraryImport(Library, EntryPoint = "pmem_map_file", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    public static partial byte* MapFile(string path, nuint length, int flags, uint mode, out nuint mappedLength, out int isPmem);

    [LibraryImport(Library, EntryPoint = "pmem_unmap")]
    public static partial int Unmap(byte* address, nuint length);

    [LibraryImport(Library, EntryPoint = "pmem_persist")]
    public static partial void Persist(byte* address, nuint length);

    [LibraryImport(Library, EntryPoint = "pmem_msync")]
    public static partial int Msync(byte* address, nuint length);

    [LibraryImport(Library, EntryPoint = "pmem_is_pmem")]
    public static partial int IsPmem(byte* address, nuint length);

    [LibraryImport(Library, EntryPoint = "pmem_has_auto_flush")]
    public static partial int HasAutoFlush();

    [LibraryImport(Library, EntryPoint = "pmem_has_hw_drain")]
    public static partial int HasHwDrain();
}
