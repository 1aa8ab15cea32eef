using Microsoft.Win32.SafeHandles;

namespace Pmem.Windows;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  FlushFileBuffers writes a file's data and metadata, and has the
//  device write its cache                                            Microsoft, FlushFileBuffers; File Caching
//  NTFS logs each change of a directory, in order; of names on FAT and
//  exFAT nothing is promised                                         Microsoft, NTFS overview, "Journaling"
//  NTFS allocates clusters for the whole length of a file that is
//  neither sparse nor compressed                                     Microsoft, SetEndOfFile; SetFileValidData, Remarks

/// <summary>A handle while its file is being mapped. What was done is a stack of what takes it back, once the handle is closed.</summary>
internal sealed class WindowsFile : StoredFile
{
    private readonly SafeFileHandle _handle;
    private readonly Stack<Action> _undo = [];
    private long _lengthBytes;

    private WindowsFile(string path, SafeFileHandle handle)
    {
        Path = path;
        _handle = handle;
    }

    /// <summary>The caller closes it.</summary>
    public bool IsOfCaller { get; init; }

    /// <summary>It was made here, and so nothing is kept of it unless it is kept.</summary>
    public bool IsNew { get; init; }

    public SafeFileHandle Handle => _handle;

    public override string Path { get; }

    public override FileKind Kind { get; } = FileKind.RegularFile;

    public override FileIdentity Identity => _identity;

    public override DeviceNumber Device => default;

    public override long UnitBytes => VirtualMemory.GranuleBytes;

    public override long LengthBytes => _lengthBytes;

    private FileIdentity _identity;

    /// <summary>The file behind an open handle; the handle is closed where it is none that can be mapped.</summary>
    /// <param name="path">Its name.</param>
    /// <param name="handle">The handle.</param>
    /// <param name="isOfCaller">The caller closes the handle.</param>
    /// <param name="isNew">The file was made under its name just now.</param>
    /// <param name="isTemporary">It goes with its handle.</param>
    public static WindowsFile Of(string path, SafeFileHandle handle, bool isOfCaller = false, bool isNew = false, bool isTemporary = false)
    {
        var file = new WindowsFile(path, handle) { IsOfCaller = isOfCaller, IsNew = isNew };
        try
        {
            file.Throw(FileApi.Look(handle, out FileFacts facts), "look at");
            if (!facts.Kind.IsRegularFile) throw Failures.OfRefusal(Refusal.NewNotMappable(facts.Kind), path);
            (file._identity, file._lengthBytes) = (facts.Identity, facts.LengthBytes);
            if (isNew && !isTemporary) file._undo.Push(file.TakeNameBack);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public override void Grow(long lengthBytes, bool isSparse)
    {
        if (lengthBytes <= _lengthBytes) return;
        string doing = $"allocate {lengthBytes} bytes for";
        // Where the file system has no holes, storage is behind every byte, which is more than was asked for.
        int error = isSparse ? FileApi.MakeSparse(_handle) : 0;
        if (error != 0 && Errno.Of(error) != Errno.EOPNOTSUPP) Throw(error, doing);
        long original = _lengthBytes;
        if (!IsNew && !IsOfCaller) _undo.Push(() => CutBack(original, lengthBytes));
        Throw(FileApi.Lengthen(_handle, lengthBytes), doing);
        _lengthBytes = lengthBytes;
    }

    public override void Reserve(ByteRange bytes)
    {
        Throw(FileApi.Look(_handle, out FileFacts facts), "look at");
        if (facts.HasHoles) Throw(WinError.ERROR_NOT_SUPPORTED, $"reserve {bytes.Length} bytes of the sparse or compressed file");
    }

    public override void Sync() => Throw(FileApi.Sync(_handle), "make durable the length of");

    public override void SyncApart() => Sync();

    /// <summary>What was synced is durable with its name. False where its maker failed, or somebody is removing it.</summary>
    public override bool Keep()
    {
        if (!IsOfCaller && !IsNew && FileApi.Look(_handle, out FileFacts facts) == 0 && facts.IsBeingDeleted) return false;
        _undo.Clear();
        return true;
    }

    protected override void SetLength(long lengthBytes)
    {
        Throw(FileApi.SetLength(_handle, lengthBytes), $"cut to {lengthBytes} bytes");
        _lengthBytes = lengthBytes;
    }

    public override void Dispose()
    {
        if (!IsOfCaller) _handle.Dispose();
        while (_undo.TryPop(out Action? takeBack)) takeBack();
    }

    /// <summary>
    /// Removes the name while it is still this file's, and nobody else has the file open: then it would be theirs as well.
    /// </summary>
    private void TakeNameBack() => Alone(FileApi.Delete, (file, _) => _ = FileApi.Remove(file));

    /// <summary>Gives the file its old length back, where nobody else has it open, and may count on the new one.</summary>
    private void CutBack(long originalLengthBytes, long askedLengthBytes) => Alone(FileApi.Write, (file, lengthBytes) =>
    {
        if (lengthBytes >= originalLengthBytes && lengthBytes <= askedLengthBytes) _ = FileApi.SetLength(file, originalLengthBytes);
    });

    /// <summary>Does it while nobody else has the file open, nor can open it; not at all where somebody has.</summary>
    private void Alone(uint access, Action<SafeFileHandle, long> what)
    {
        int error = FileApi.Open(Path, FileApi.Read | access, FileApi.ShareNothing, FileApi.OpenExisting, FileApi.Ordinary, out SafeFileHandle file);
        using (file)
            if (error == 0 && FileApi.Look(file, out FileFacts facts) == 0 && facts.Identity == _identity) what(file, facts.LengthBytes);
    }

    private void Throw(int error, string doing)
    {
        if (error != 0) throw Failures.OfErrno(error, Path, doing);
    }
}
