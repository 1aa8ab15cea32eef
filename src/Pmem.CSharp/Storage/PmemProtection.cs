namespace Pmem;

/// <summary>What may be done with the pages of a mapping: mmap(2), PROT_NONE to PROT_EXEC; pmem2_config_set_protection(3).</summary>
[Flags]
public enum PmemProtection
{
    /// <summary>Nothing: the addresses are taken, and every access ends the process.</summary>
    None = 0,

    /// <summary>They may be read.</summary>
    Read = 1,

    /// <summary>They may be stored to.</summary>
    Write = 2,

    /// <summary>They may be executed.</summary>
    Execute = 4,
}
