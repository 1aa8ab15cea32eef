using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Windows;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  the values of the flags and classes                               Windows SDK, winnt.h, fileapi.h, minwinbase.h, winioctl.h
//  CREATE_NEW has one winner: ERROR_FILE_EXISTS for all others       Microsoft, CreateFileW
//  a directory opens with FILE_FLAG_BACKUP_SEMANTICS only            the same
//  a path of 260 characters or more needs \\?\ before it             Microsoft, "Maximum Path Length Limitation"
//  a file with share mode 0 is opened by nobody else, and opens only
//  where nobody else has it open                                     Microsoft, CreateFileW, dwShareMode
//  FILE_ID_INFO, 128 bits: unique on ReFS too                        Microsoft, FILE_ID_INFO
//  a section that is longer than the file makes the file longer,
//  and never makes it shorter; ERROR_DISK_FULL where it cannot       Microsoft, CreateFileMappingW, Remarks
//  FILE_DAX_VOLUME 0x20000000                                        Microsoft, GetVolumeInformationByHandleW

/// <summary>fileapi.h: calls on names and handles. Every call returns 0, or the error number, which is negative.</summary>
internal static unsafe partial class FileApi
{
    public const uint Read = 0x80000000, Write = 0x40000000, Delete = 0x10000;
    public const uint ShareAll = 7, ShareNothing = 0;
    public const uint CreateNew = 1, OpenExisting = 3;
    public const uint Ordinary = 0x80, DeleteOnClose = 0x04000000;
    public const uint DaxVolume = 0x20000000;

    private const uint AlsoDirectories = 0x02000000; // FILE_FLAG_BACKUP_SEMANTICS
    private const int LongestOrdinaryPath = 259;
    private const int StandardInfo = 1, DispositionInfo = 4, EndOfFileInfo = 6, IdInfo = 18;
    private const int AccessInformation = 8;
    private const uint SetSparse = 0x900C4; // FSCTL_SET_SPARSE
    private const uint DiskType = 1, PipeType = 3;

    public static int Open(string path, uint access, uint share, uint disposition, uint flags, out SafeFileHandle file)
    {
        file = CreateFileW(LongPath(path), access, share, 0, disposition, flags | AlsoDirectories, 0);
        return file.IsInvalid ? LastError() : 0;
    }

    /// <summary>What a handle is of, and its length; 0, or the error number.</summary>
    public static int Look(SafeFileHandle file, out FileFacts facts)
    {
        facts = default;
        uint type = GetFileType(file);
        if (type != DiskType)
        {
            facts = facts with { Kind = type == PipeType ? FileKind.Fifo : FileKind.OtherFile };
            return 0;
        }
        Standard standard;
        if (!GetFileInformationByHandleEx(file, StandardInfo, &standard, (uint)sizeof(Standard))) return LastError();
        if (!GetFileInformationByHandle(file, out ByHandle known)) return LastError();
        bool hasId = GetFileInformationByHandleEx(file, IdInfo, out Id id, (uint)sizeof(Id));
        FileIdentity identity = hasId
            ? new FileIdentity(id.Volume, id.Low ^ id.High)
            : new FileIdentity(known.Volume, ((ulong)known.IndexHigh << 32) | known.IndexLow);
        facts = new FileFacts(
            standard.IsDirectory != 0 ? FileKind.Directory : FileKind.RegularFile, identity, standard.EndOfFile, known.Attributes,
            IsBeingDeleted: standard.IsDeletePending != 0);
        return 0;
    }

    /// <summary>Whether a handle is open to write and not to read; false where that is not known.</summary>
    public static bool IsWriteOnly(SafeFileHandle file)
    {
        const uint readData = 1, writeData = 2;
        StatusBlock status;
        uint access;
        return NtQueryInformationFile(file, &status, &access, sizeof(uint), AccessInformation) == 0 && (access & (readData | writeData)) == writeData;
    }

    public static int Sync(SafeFileHandle file) => FlushFileBuffers(file) ? 0 : LastError();

    public static int SetLength(SafeFileHandle file, long lengthBytes) =>
        SetFileInformationByHandle(file, EndOfFileInfo, &lengthBytes, sizeof(long)) ? 0 : LastError();

    /// <summary>Makes a file at least so long, in one step that cannot shorten what somebody else makes longer still.</summary>
    public static int Lengthen(SafeFileHandle file, long lengthBytes)
    {
        using SafeFileHandle section = Section(file, PageReadWrite, lengthBytes, out int error);
        return error;
    }

    /// <summary>Whoever has the handle last removes the name.</summary>
    public static int Remove(SafeFileHandle file)
    {
        byte isDeleted = 1;
        return SetFileInformationByHandle(file, DispositionInfo, &isDeleted, sizeof(byte)) ? 0 : LastError();
    }

    public static int MakeSparse(SafeFileHandle file) =>
        DeviceIoControl(file, SetSparse, null, 0, null, 0, out _, 0) ? 0 : LastError();

    /// <summary>The flags of the volume that holds a file; none where it does not say.</summary>
    public static uint VolumeFlags(SafeFileHandle file) =>
        GetVolumeInformationByHandleW(file, null, 0, null, null, out uint flags, null, 0) ? flags : 0;

    /// <summary>The same open file by a handle of its own; an invalid one where there is no more room for handles.</summary>
    public static int Duplicate(SafeFileHandle file, out SafeFileHandle own)
    {
        const uint sameAccess = 2;
        bool isDone = DuplicateHandle(-1, file, -1, out nint handle, 0, isInherited: false, sameAccess);
        own = new SafeFileHandle(isDone ? handle : -1, ownsHandle: true);
        return isDone ? 0 : LastError();
    }

    public const uint PageReadOnly = 2, PageReadWrite = 4, PageWriteCopy = 8;

    /// <summary>A section of a file; of all that the file has where no length is given.</summary>
    public static SafeFileHandle Section(SafeFileHandle file, uint protection, long lengthBytes, out int error)
    {
        nint section = CreateFileMappingW(file, 0, protection, (uint)(lengthBytes >> 32), (uint)lengthBytes, 0);
        error = section == 0 ? LastError() : 0;
        return new SafeFileHandle(section == 0 ? -1 : section, ownsHandle: true);
    }

    private static int LastError() => WinError.Of(Marshal.GetLastPInvokeError());

    /// <summary>A path as Windows takes it at any length.</summary>
    private static string LongPath(string path)
    {
        if (path.StartsWith(@"\\?\", StringComparison.Ordinal) || path.StartsWith(@"\\.\", StringComparison.Ordinal)) return path;
        string full = Path.GetFullPath(path);
        if (full.Length <= LongestOrdinaryPath || full.StartsWith(@"\\.\", StringComparison.Ordinal)) return path;
        return full.StartsWith(@"\\", StringComparison.Ordinal) ? @"\\?\UNC" + full[1..] : @"\\?\" + full;
    }

    [LibraryImport("kernel32", SetLastError = true, StringMarshalling = StringMarshalling.Utf16)]
    private static partial SafeFileHandle CreateFileW(string path, uint access, uint share, nint security, uint disposition, uint flags, nint template);

    [LibraryImport("kernel32", SetLastError = true)]
    private static partial nint CreateFileMappingW(SafeFileHandle file, nint security, uint protection, uint sizeHigh, uint sizeLow, nint name);

    [LibraryImport("kernel32")]
    private static partial uint GetFileType(SafeFileHandle file);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool GetFileInformationByHandleEx(SafeFileHandle file, int kind, Standard* standard, uint bytes);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool GetFileInformationByHandleEx(SafeFileHandle file, int kind, out Id id, uint bytes);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool GetFileInformationByHandle(SafeFileHandle file, out ByHandle known);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool SetFileInformationByHandle(SafeFileHandle file, int kind, void* information, uint bytes);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool FlushFileBuffers(SafeFileHandle file);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool GetVolumeInformationByHandleW(
        SafeFileHandle file, char* name, uint nameLength, uint* serial, uint* longestName, out uint flags, char* system, uint systemLength);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool DeviceIoControl(
        SafeFileHandle file, uint control, void* input, uint inputBytes, void* output, uint outputBytes, out uint returned, nint overlapped);

    [LibraryImport("kernel32", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool DuplicateHandle(
        nint fromProcess, SafeFileHandle file, nint toProcess, out nint own, uint access, [MarshalAs(UnmanagedType.Bool)] bool isInherited, uint options);

    [LibraryImport("ntdll")]
    private static partial int NtQueryInformationFile(SafeFileHandle file, StatusBlock* status, void* information, uint bytes, int kind);

    private struct Standard
    {
        public long Allocated, EndOfFile;
        public uint Links;
        public byte IsDeletePending, IsDirectory;
    }

    private struct Id
    {
        public ulong Volume, Low, High;
    }

    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct ByHandle
    {
        public uint Attributes;
        public ulong Created, Accessed, Written;
        public uint Volume, SizeHigh, SizeLow, Links, IndexHigh, IndexLow;
    }

    private struct StatusBlock
    {
        public nint Status, Information;
    }
}

/// <summary>What an open file is.</summary>
internal readonly record struct FileFacts(FileKind Kind, FileIdentity Identity, long LengthBytes, uint Attributes, bool IsBeingDeleted)
{
    private const uint Sparse = 0x200, Compressed = 0x800;

    /// <summary>What is not written has no storage.</summary>
    public bool HasHoles => (Attributes & (Sparse | Compressed)) != 0;
}
