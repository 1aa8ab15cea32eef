using System.Runtime.InteropServices;

namespace Pmem.Testing;

/// <summary>libpmem2 itself, as the oracle. Its structures are addresses.</summary>
internal static unsafe partial class NativeLibPmem2
{
    public const string Library = "libpmem2.so.1";

    public static bool IsThere { get; } = NativeLibrary.TryLoad(Library, out _);

    [LibraryImport(Library, EntryPoint = "pmem2_source_from_fd")]
    public static partial int SourceFromFd(out nint source, int fd);

    [LibraryImport(Library, EntryPoint = "pmem2_source_from_anon")]
    public static partial int SourceFromAnon(out nint source, nuint size);

    [LibraryImport(Library, EntryPoint = "pmem2_source_size")]
    public static partial int SourceSize(nint source, out nuint size);

    [LibraryImport(Library, EntryPoint = "pmem2_source_alignment")]
    public static partial int SourceAlignment(nint source, out nuint alignment);

    [LibraryImport(Library, EntryPoint = "pmem2_source_device_usc")]
    public static partial int SourceDeviceUsc(nint source, out ulong count);

    [LibraryImport(Library, EntryPoint = "pmem2_source_numa_node")]
    public static partial int SourceNumaNode(nint source, out int node);

    [LibraryImport(Library, EntryPoint = "pmem2_source_pread_mcsafe")]
    public static partial int SourcePread(nint source, byte* buffer, nuint size, nuint offset);

    [LibraryImport(Library, EntryPoint = "pmem2_source_pwrite_mcsafe")]
    public static partial int SourcePwrite(nint source, byte* buffer, nuint size, nuint offset);

    [LibraryImport(Library, EntryPoint = "pmem2_source_delete")]
    public static partial int SourceDelete(ref nint source);

    [LibraryImport(Library, EntryPoint = "pmem2_config_new")]
    public static partial int ConfigNew(out nint config);

    [LibraryImport(Library, EntryPoint = "pmem2_config_delete")]
    public static partial int ConfigDelete(ref nint config);

    [LibraryImport(Library, EntryPoint = "pmem2_config_set_required_store_granularity")]
    public static partial int ConfigSetGranularity(nint config, int granularity);

    [LibraryImport(Library, EntryPoint = "pmem2_config_set_offset")]
    public static partial int ConfigSetOffset(nint config, nuint offset);

    [LibraryImport(Library, EntryPoint = "pmem2_config_set_length")]
    public static partial int ConfigSetLength(nint config, nuint length);

    [LibraryImport(Library, EntryPoint = "pmem2_config_set_sharing")]
    public static partial int ConfigSetSharing(nint config, int sharing);

    [LibraryImport(Library, EntryPoint = "pmem2_config_set_protection")]
    public static partial int ConfigSetProtection(nint config, uint protection);

    [LibraryImport(Library, EntryPoint = "pmem2_config_set_vm_reservation")]
    public static partial int ConfigSetReservation(nint config, nint reservation, nuint offset);

    [LibraryImport(Library, EntryPoint = "pmem2_map_new")]
    public static partial int MapNew(out nint map, nint config, nint source);

    [LibraryImport(Library, EntryPoint = "pmem2_map_delete")]
    public static partial int MapDelete(ref nint map);

    [LibraryImport(Library, EntryPoint = "pmem2_map_get_address")]
    public static partial byte* MapGetAddress(nint map);

    [LibraryImport(Library, EntryPoint = "pmem2_map_get_size")]
    public static partial nuint MapGetSize(nint map);

    [LibraryImport(Library, EntryPoint = "pmem2_map_get_store_granularity")]
    public static partial int MapGetGranularity(nint map);

    [LibraryImport(Library, EntryPoint = "pmem2_deep_flush")]
    public static partial int DeepFlush(nint map, byte* address, nuint length);

    [LibraryImport(Library, EntryPoint = "pmem2_vm_reservation_new")]
    public static partial int ReservationNew(out nint reservation, byte* address, nuint size);

    [LibraryImport(Library, EntryPoint = "pmem2_vm_reservation_delete")]
    public static partial int ReservationDelete(ref nint reservation);

    [LibraryImport(Library, EntryPoint = "pmem2_vm_reservation_get_size")]
    public static partial nuint ReservationGetSize(nint reservation);

    [LibraryImport(Library, EntryPoint = "pmem2_vm_reservation_shrink")]
    public static partial int ReservationShrink(nint reservation, nuint offset, nuint size);

    [LibraryImport(Library, EntryPoint = "pmem2_vm_reservation_map_find")]
    public static partial int ReservationFind(nint reservation, nuint offset, nuint length, out nint map);

    /// <summary>Calls the function that pmem2_get_persist_fn gives.</summary>
    public static void Persist(nint map, byte* address, nuint length) =>
        ((delegate* unmanaged[Cdecl]<byte*, nuint, void>)GetPersistFn(map))(address, length);

    /// <summary>Calls the function that pmem2_get_memmove_fn gives.</summary>
    public static void Move(nint map, byte* to, byte* from, nuint length, uint flags) =>
        _ = ((delegate* unmanaged[Cdecl]<byte*, byte*, nuint, uint, byte*>)GetMoveFn(map))(to, from, length, flags);

    /// <summary>Calls the function that pmem2_get_memset_fn gives.</summary>
    public static void Fill(nint map, byte* to, int value, nuint length, uint flags) =>
        _ = ((delegate* unmanaged[Cdecl]<byte*, int, nuint, uint, byte*>)GetFillFn(map))(to, value, length, flags);

    [LibraryImport(Library, EntryPoint = "pmem2_get_persist_fn")]
    private static partial nint GetPersistFn(nint map);

    [LibraryImport(Library, EntryPoint = "pmem2_get_memmove_fn")]
    private static partial nint GetMoveFn(nint map);

    [LibraryImport(Library, EntryPoint = "pmem2_get_memset_fn")]
    private static partial nint GetFillFn(nint map);
}
