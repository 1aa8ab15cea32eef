using Pmem.Linux;
using Pmem.Windows;

namespace Pmem;

//  fact                                                                     source
//  -----------------------------------------------------------------------  ------------------------------------------------
//  x86 fetches instructions coherently with stores                          Intel SDM vol. 3A, 12.6

/// <summary>A page of machine code: first writable, then executable, never both.</summary>
internal static unsafe class ExecutablePage
{
    /// <summary>Alignment of each function: a cache line, so that a short loop lies in one.</summary>
    private const int FunctionAlignment = 64;

    /// <summary>
    /// Places the functions on a page of their own and returns their addresses; null where the system refuses executable
    /// memory (SELinux execmem, PR_SET_MDWE, hardened kernels; on Windows arbitrary code guard), or the instruction cache cannot be told of
    /// it. The page stays for the life of the process.
    /// </summary>
    public static nint[]? TryPlace(params byte[][] functions)
    {
        int size = Environment.SystemPageSize;
        nint page = OperatingSystem.IsWindows() ? VirtualMemory.Allocate(0, size, PmemProtection.Read | PmemProtection.Write, out _)
            : SysMman.MapAnonymous((nuint)size, SysMman.ProtRead | SysMman.ProtWrite);
        if (page == 0) return null;

        var addresses = new nint[functions.Length];
        int next = 0;
        for (int i = 0; i < functions.Length; i++)
        {
            // SAFETY: the page is ours and writable; CopyTo checks that the function fits in what is left of it.
            functions[i].CopyTo(new Span<byte>((byte*)page, size)[next..]);
            addresses[i] = page + next;
            next = (int)new ByteRange(0, next + functions[i].Length).AlignOut(FunctionAlignment).Length;
        }

        bool isExecutable = OperatingSystem.IsWindows() ? VirtualMemory.MakeExecutable(page, size) : InstructionMemory.MakeExecutable(page, size, next);
        if (isExecutable) return addresses;
        _ = OperatingSystem.IsWindows() ? VirtualMemory.Release(page) : SysMman.Unmap(page, (nuint)size);
        return null;
    }
}
