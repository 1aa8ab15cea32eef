using System.Runtime.InteropServices;

namespace Pmem.Linux;

//  fact                                                                     source
//  -----------------------------------------------------------------------  ------------------------------------------------
//  Arm64's instruction cache must be told of what was stored; the function  Arm ARM DDI 0487, IC IVAU;
//  that does it is in the compiler's library                                GCC manual, __builtin___clear_cache

/// <summary>Memory whose bytes become instructions.</summary>
internal static partial class InstructionMemory
{
    /// <summary>Takes the right to store, and gives that to execute; false where the system refuses.</summary>
    /// <param name="page">The first byte.</param>
    /// <param name="lengthBytes">Whole pages.</param>
    /// <param name="codeBytes">How many of the bytes are instructions.</param>
    public static bool MakeExecutable(nint page, int lengthBytes, int codeBytes) =>
        SysMman.Protect(page, (nuint)lengthBytes, SysMman.ProtRead | SysMman.ProtExec) == 0 && TellInstructionCache(page, page + codeBytes);

    /// <summary>False where it must be told, and what tells it is not there.</summary>
    private static bool TellInstructionCache(nint start, nint end)
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.Arm64) return true;
        try
        {
            ClearCache(start, end);
            return true;
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            return false;
        }
    }

    [LibraryImport("libgcc_s.so.1", EntryPoint = "__clear_cache")]
    private static partial void ClearCache(nint start, nint end);
}
