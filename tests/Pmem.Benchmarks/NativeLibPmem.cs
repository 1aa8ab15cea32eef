using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace Pmem.Benchmarks;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  void *pmem_memcpy_persist(void *, const void *, size_t) …         libpmem.h, pmem_memmove_persist(3)
//  libpmem reads its environment with getenv when it is loaded       libpmem(7)

/// <summary>
/// The rival: libpmem through the fastest call that .NET has, a function pointer without a GC transition. (A long call then
/// holds collections up, which a benchmark may do and a library may not.)
/// </summary>
internal static unsafe partial class NativeLibPmem
{
    private static readonly nint Library = Load();

    public static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, void*, nuint, void*> MemCpyPersist =
        (delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, void*, nuint, void*>)Export("pmem_memcpy_persist");

    public static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, void*, nuint, void*> MemMovePersist =
        (delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, void*, nuint, void*>)Export("pmem_memmove_persist");

    public static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, int, nuint, void*> MemSetPersist =
        (delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, int, nuint, void*>)Export("pmem_memset_persist");

    public static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, nuint, void> Persist =
        (delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, nuint, void>)Export("pmem_persist");

    public static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, nuint, void> Flush =
        (delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, nuint, void>)Export("pmem_flush");

    public static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<void> Drain =
        (delegate* unmanaged[Cdecl, SuppressGCTransition]<void>)Export("pmem_drain");

    /// <summary>The version, which the library has as text and no function returns.</summary>
    public static string Version =>
        VersionText().Match(File.ReadAllText(LoadedFile, System.Text.Encoding.Latin1)) is { Success: true } match ? match.Groups[1].Value : "unknown";

    private static string LoadedFile =>
        File.ReadLines("/proc/self/maps").Select(line => line[(line.LastIndexOf(' ') + 1)..])
            .First(path => path.Contains("libpmem.so", StringComparison.Ordinal));

    [GeneratedRegex("src version: ([0-9.]+)")]
    private static partial Regex VersionText();

    private static nint Load()
    {
        // Both read it: libpmem through getenv, this library through .NET.
        Environment.SetEnvironmentVariable("PMEM_IS_PMEM_FORCE", "1");
        _ = setenv("PMEM_IS_PMEM_FORCE", "1", 1);
        return NativeLibrary.Load("libpmem.so.1");
    }

    private static nint Export(string name) => NativeLibrary.GetExport(Library, name);

    // SetEnvironmentVariable changes only .NET's own copy of the environment.
    [DllImport("libc", CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int setenv(string name, string value, int overwrite);
}
