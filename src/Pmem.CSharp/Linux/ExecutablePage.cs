namespace Pmem.Linux;

/// <summary>A page of machine code: first writable, then executable, never both.</summary>
internal static unsafe class ExecutablePage
{
    /// <summary>Alignment of each function: a cache line, so that a short loop lies in one.</summary>
    private const int FunctionAlignment = 64;

    /// <summary>
    /// Places the functions on a page of their own and returns their addresses; null where the system refuses executable
    /// memory (SELinux execmem, PR_SET_MDWE, hardened kernels). The page stays for the life of the process.
    /// </summary>
    public static nint[]? TryPlace(params byte[][] functions)
    {
        nuint size = (nuint)Environment.SystemPageSize;
        nint page = SysMman.MapAnonymous(size, SysMman.ProtRead | SysMman.ProtWrite);
        if (page == 0) return null;

        var addresses = new nint[functions.Length];
        int next = 0;
        for (int i = 0; i < functions.Length; i++)
        {
            // SAFETY: the page is ours and writable; CopyTo checks that the function fits in what is left of it.
            functions[i].CopyTo(new Span<byte>((byte*)page, (int)size)[next..]);
            addresses[i] = page + next;
            next = (int)new ByteRange(0, next + functions[i].Length).AlignOut(FunctionAlignment).Length;
        }

        if (SysMman.Protect(page, size, SysMman.ProtRead | SysMman.ProtExec) == 0) return addresses;
        _ = SysMman.Unmap(page, size);
        return null;
    }
}
