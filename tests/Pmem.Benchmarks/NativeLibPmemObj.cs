using System.Runtime.InteropServices;

namespace Pmem.Benchmarks;

//  fact                                                                              source
//  --------------------------------------------------------------------------------  -------------------------------------
//  int pmemobj_tx_begin(PMEMobjpool *, jmp_buf, ...), ends in TX_PARAM_NONE, 0        libpmemobj/tx_base.h, pmemobj_tx_begin(3)
//  int pmemobj_tx_add_range_direct(const void *, size_t): snapshot, undone if cut off libpmemobj/tx_base.h, pmemobj_tx_add_range(3)
//  PMEMoid is two 64-bit words, passed and returned by value                          libpmemobj/base.h

/// <summary>The rival of the journal: a pool of libpmemobj with one root object, and transactions on it.</summary>
internal sealed unsafe class NativeLibPmemObj : IDisposable
{
    private const int SuperuserOnly = 0b110_000_000;

    private static readonly nint Library = NativeLibrary.Load("libpmemobj.so.1");

    private static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint, int, int> TxBegin =
        (delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint, int, int>)Export("pmemobj_tx_begin");

    private static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, nuint, int> TxAddRangeDirect =
        (delegate* unmanaged[Cdecl, SuppressGCTransition]<void*, nuint, int>)Export("pmemobj_tx_add_range_direct");

    private static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<void> TxCommit =
        (delegate* unmanaged[Cdecl, SuppressGCTransition]<void>)Export("pmemobj_tx_commit");

    private static readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<int> TxEnd =
        (delegate* unmanaged[Cdecl, SuppressGCTransition]<int>)Export("pmemobj_tx_end");

    private readonly string _path;
    private readonly nint _pool;

    /// <param name="directory">Where the pool's file is made, and removed again.</param>
    /// <param name="rootBytes">The length of the root object.</param>
    public NativeLibPmemObj(string directory, long rootBytes)
    {
        _path = Path.Combine(directory, $"pmem-benchmark-{Environment.ProcessId}.pool");
        byte[] name = [.. System.Text.Encoding.UTF8.GetBytes(_path), 0];
        var create = (delegate* unmanaged[Cdecl]<byte*, byte*, nuint, int, nint>)Export("pmemobj_create");
        var root = (delegate* unmanaged[Cdecl]<nint, nuint, ObjectId>)Export("pmemobj_root");
        var direct = (delegate* unmanaged[Cdecl]<ObjectId, byte*>)Export("pmemobj_direct");
        fixed (byte* path = name, layout = "benchmark\0"u8) _pool = create(path, layout, 16 << 20, SuperuserOnly);
        if (_pool == 0) throw new IOException($"pmemobj_create cannot make '{_path}'.");
        Root = direct(root(_pool, (nuint)rootBytes));
    }

    public byte* Root { get; }

    /// <summary>Stores a word at each of so many places of the root object, all or none.</summary>
    public void StoreWords(int count, long stride, long value)
    {
        if (TxBegin(_pool, 0, 0) != 0) throw new IOException("pmemobj_tx_begin fails.");
        for (int i = 0; i < count; i++)
        {
            byte* at = Root + i * stride;
            if (TxAddRangeDirect(at, sizeof(long)) != 0) throw new IOException("pmemobj_tx_add_range_direct fails.");
            *(long*)at = value;
        }
        TxCommit();
        _ = TxEnd();
    }

    public void Dispose()
    {
        ((delegate* unmanaged[Cdecl]<nint, void>)Export("pmemobj_close"))(_pool);
        File.Delete(_path);
    }

    private static nint Export(string name) => NativeLibrary.GetExport(Library, name);

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct ObjectId
    {
        private readonly ulong _pool;
        private readonly ulong _offset;
    }
}
