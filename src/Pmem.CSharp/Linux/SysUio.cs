using System.Runtime.InteropServices;

namespace Pmem.Linux;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  the kernel copies between two address spaces, which may be one;
//  what cannot be accessed is EFAULT and no signal; what could be
//  copied before is counted                                         process_vm_readv(2)
//  the remote side's pages are looked up, and the kernel copies from
//  and to them at addresses of its own; the local side is the
//  caller's memory, as of any system call                           Linux, mm/process_vm_access.c
//  a machine check at an address of its own ends the kernel; one in
//  copy_from_user is EFAULT, since 5.10                             Linux, arch/x86/kernel/cpu/mce/severity.c, error_context

/// <summary>sys/uio.h: copies that the kernel makes, so that memory that is not there is an error and no signal.</summary>
internal static unsafe partial class SysUio
{
    /// <summary>Copies out of memory that may be broken: 0, or the error number.</summary>
    public static int Read(nint from, byte* to, nuint length) => Copy(from, (nint)to, length, isRead: true);

    /// <summary>Copies to memory that may be broken: 0, or the error number.</summary>
    public static int Write(nint to, byte* from, nuint length) => Copy(to, (nint)from, length, isRead: false);

    private static int Copy(nint doubtful, nint own, nuint length, bool isRead)
    {
        while (length > 0)
        {
            // What is doubtful is the local side, and what is surely there the remote one: so it is read by "write", and stored by "read".
            var local = new Vector { Start = doubtful, Length = length };
            var remote = new Vector { Start = own, Length = length };
            nint copied = isRead
                ? process_vm_writev(Environment.ProcessId, &local, 1, &remote, 1, 0)
                : process_vm_readv(Environment.ProcessId, &local, 1, &remote, 1, 0);
            if (copied <= 0) return copied == 0 ? Errno.EFAULT : Marshal.GetLastPInvokeError();
            (own, doubtful, length) = (own + copied, doubtful + copied, length - (nuint)copied);
        }
        return 0;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint process_vm_readv(int process, Vector* local, nuint locals, Vector* remote, nuint remotes, nuint flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint process_vm_writev(int process, Vector* local, nuint locals, Vector* remote, nuint remotes, nuint flags);

    private struct Vector
    {
        public nint Start;
        public nuint Length;
    }
}
