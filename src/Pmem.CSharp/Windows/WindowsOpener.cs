using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace Pmem.Windows;

/// <summary>Opening files, and making them. All are shared: who maps a file may share it, and Windows asks who opened it first.</summary>
internal static class WindowsOpener
{
    /// <summary>How often a name may come and go between looking for it and taking it.</summary>
    private const int Attempts = 100;

    public static WindowsFile Open(FileRequest request)
    {
        if (request.Handle is { } handle)
        {
            return FileApi.IsWriteOnly(handle)
                ? throw Failures.OfRefusal(Refusal.WriteOnly, request.Path)
                : WindowsFile.Of(request.Path, handle, isOfCaller: true);
        }
        if (request.New is not { } made) return WindowsFile.Of(request.Path, OpenToAsk(request.Path, request.IsReadOnly));
        return made.IsTemporary ? Temporary(request.Path) : Named(request.Path, made);
    }

    /// <summary>An existing file, to ask what it is before it is mapped.</summary>
    public static SafeFileHandle OpenToAsk(string path, bool isReadOnly)
    {
        int error = OpenExisting(path, isReadOnly, out SafeFileHandle handle);
        return error == 0 ? handle : throw Failures.OfErrno(error, path, "open");
    }

    /// <summary>The file of this name, or a new one that has it from the start.</summary>
    private static WindowsFile Named(string path, NewFile made)
    {
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            if (!made.IsExclusive && Found(path) is { } found) return found;
            int error = FileApi.Open(path, ToMap | FileApi.Delete, FileApi.ShareAll, FileApi.CreateNew, FileApi.Ordinary, out SafeFileHandle handle);
            if (error == 0) return WindowsFile.Of(path, handle, isNew: true);
            if (Errno.Of(error) != Errno.EEXIST) throw Failures.OfErrno(error, path, "create");
            if (made.IsExclusive) break;
        }
        throw Failures.OfTakenName(path);
    }

    /// <summary>Null where there is none.</summary>
    private static WindowsFile? Found(string path) => OpenExisting(path, isReadOnly: false, out SafeFileHandle handle) switch
    {
        0 => WindowsFile.Of(path, handle),
        WinError.ERROR_FILE_NOT_FOUND => null,
        var error => throw Failures.OfErrno(error, path, "open"),
    };

    /// <summary>A file that has its name only as long as it is open.</summary>
    private static WindowsFile Temporary(string directory)
    {
        string path = Path.Combine(directory, $".pmem-{RandomNumberGenerator.GetHexString(16)}");
        const uint flags = FileApi.Ordinary | FileApi.DeleteOnClose;
        int error = FileApi.Open(path, ToMap | FileApi.Delete, FileApi.ShareAll, FileApi.CreateNew, flags, out SafeFileHandle handle);
        return error == 0
            ? WindowsFile.Of(directory, handle, isNew: true, isTemporary: true)
            : throw Failures.OfErrno(error, directory, "create a temporary file in");
    }

    private const uint ToMap = FileApi.Read | FileApi.Write;

    private static int OpenExisting(string path, bool isReadOnly, out SafeFileHandle handle) =>
        FileApi.Open(path, isReadOnly ? FileApi.Read : ToMap, FileApi.ShareAll, FileApi.OpenExisting, FileApi.Ordinary, out handle);
}
