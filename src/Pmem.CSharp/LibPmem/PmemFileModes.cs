namespace Pmem;

/// <summary>The flags of pmem_map_file(3), with libpmem's values.</summary>
[Flags]
public enum PmemFileModes
{
    /// <summary>Map an existing file.</summary>
    None = 0,

    /// <summary>PMEM_FILE_CREATE: make the file, or give an existing one the length.</summary>
    Create = 1 << 0,

    /// <summary>PMEM_FILE_EXCL: with Create, fail where the file exists.</summary>
    Exclusive = 1 << 1,

    /// <summary>PMEM_FILE_SPARSE: with Create, reserve no storage.</summary>
    Sparse = 1 << 2,

    /// <summary>PMEM_FILE_TMPFILE: with Create, a file without a name in the directory that the path names.</summary>
    Temporary = 1 << 3,
}
