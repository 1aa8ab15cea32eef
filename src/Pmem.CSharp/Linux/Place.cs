using Microsoft.Win32.SafeHandles;

namespace Pmem.Linux;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  open(O_CREAT) of a symbolic link whose target is not there
//  makes the target; with O_EXCL the link itself is what exists      open(2); path_resolution(7)
//  a path has at most 40 links                                       path_resolution(7); Linux, MAXSYMLINKS
//  the name of a file is durable when its directory is synced        fsync(2)

/// <summary>
/// Where a file has its name: a directory, opened once, and the name in it. A path is cut at its last slash and otherwise
/// left to the kernel: what "link/../f" means, only it can tell.
/// </summary>
internal sealed class Place : IDisposable
{
    private const int LongestChain = 40;

    private Place(SafeFileHandle directory, string name, bool isReadable)
    {
        Directory = directory;
        Name = name;
        IsReadable = isReadable;
    }

    public SafeFileHandle Directory { get; }

    public string Name { get; }

    /// <summary>A directory may be searched and written, and yet not be read; then it cannot be synced.</summary>
    public bool IsReadable { get; }

    /// <summary>The place that a path names; the error number, negative, where its directory cannot be opened.</summary>
    public static int Find(string path, out Place? place) => Find(null, path, out place);

    /// <summary>Whether it is the directory that a path lacks, and not the name in it.</summary>
    public static bool IsDirectoryMissing(string path)
    {
        int error = Find(path, out Place? place);
        place?.Dispose();
        return error == -Errno.ENOENT;
    }

    /// <summary>The directory of a path, and the rest; the rest is never empty.</summary>
    public static (string Directory, string Name) Split(string path)
    {
        int end = path.Length;
        while (end > 1 && path[end - 1] == '/') end--;
        int slash = path.LastIndexOf('/', end - 1);
        if (slash < 0) return (".", path);
        return slash == 0 ? ("/", end == 1 ? "." : path[1..]) : (path[..slash], path[(slash + 1)..]);
    }

    /// <summary>
    /// The place where the chain of symbolic links that begins here ends: where open(O_CREAT) would make the file. Only asked
    /// when the kernel has followed the chain itself, and so was willing to. This place must not be used afterwards.
    /// </summary>
    public int Follow(out Place? end)
    {
        end = this;
        for (int links = 0; links <= LongestChain; links++)
        {
            if (Unistd.ReadLink(end!.Directory, end.Name) is not string target) return 0;
            using Place before = end;
            int error = Find(before.Directory, target, out end);
            if (error != 0) return error;
        }
        end!.Dispose();
        end = null;
        return -Errno.ELOOP;
    }

    /// <summary>Whether the name here is this file's.</summary>
    public bool Holds(FileIdentity file) =>
        SysStat.GetAt(Directory, Name, out SysStat.FileStatus status) == 0 && status.Identity == file;

    /// <summary>Makes durable which names the directory has.</summary>
    /// <remarks>
    /// A directory that may not be read, or a file system that syncs no directories: then everything on it is written.
    /// </remarks>
    public int Sync(SafeFileHandle file)
    {
        int result = IsReadable ? Unistd.Sync(Directory) : -Errno.EACCES;
        return result is -Errno.EACCES or -Errno.EINVAL ? Unistd.SyncFileSystem(file) : result;
    }

    public void Dispose() => Directory.Dispose();

    private static int Find(SafeFileHandle? from, string path, out Place? place)
    {
        (string directory, string name) = Split(path);
        place = null;
        bool isReadable = true;
        int error = Fcntl.OpenAt(from, directory, Fcntl.ReadOnly | Fcntl.Directory, 0, out SafeFileHandle handle);
        if (error == -Errno.EACCES)
        {
            isReadable = false;
            error = Fcntl.OpenAt(from, directory, Fcntl.PathOnly | Fcntl.Directory, 0, out handle);
        }
        if (error == 0) place = new Place(handle, name, isReadable);
        return error;
    }
}
