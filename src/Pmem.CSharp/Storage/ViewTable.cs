using Microsoft.Win32.SafeHandles;

namespace Pmem;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  FlushViewOfFile starts to write dirty pages, and neither waits
//  for the device nor writes the file's metadata: FlushFileBuffers
//  has to follow                                                     Microsoft, FlushViewOfFile, Remarks
//  FlushFileBuffers needs a handle that may write                    Microsoft, FlushFileBuffers, hFile
//  FlushViewOfFile fails now and then with ERROR_LOCK_VIOLATION, by
//  NTFS's own log, and then has to be asked again                    .NET, MemoryMappedView.Windows.cs, Flush
//  on macOS msync leaves pages in the drive's buffer: F_FULLFSYNC
//  has to follow                                                     Apple, fsync(2), fcntl(2)

/// <summary>The mappings (views) of files, by their addresses, each with the file that its pages are made durable by.</summary>
internal sealed class ViewTable(IViewFlush system)
{
    private const int Tries = 300, TriesWithoutPause = 20, LongestPauseMilliseconds = 100;

    private readonly Lock _gate = new();

    /// <summary>Sorted by address, and replaced as a whole: who reads it takes no lock.</summary>
    private View[] _views = [];

    /// <param name="Start">The first byte.</param>
    /// <param name="End">Behind the last page.</param>
    /// <param name="File">The file by a handle of the view's own.</param>
    /// <param name="IsWritten">Whether stores to it reach the file.</param>
    internal sealed record View(nint Start, nint End, SafeFileHandle File, bool IsWritten);

    public void Add(View view)
    {
        lock (_gate) Volatile.Write(ref _views, [.. _views.Append(view).OrderBy(known => known.Start)]);
    }

    public void Remove(View view)
    {
        lock (_gate) Volatile.Write(ref _views, [.. _views.Where(known => known != view)]);
        view.File.Dispose();
    }

    /// <summary>The view that has an address; null where none has, and then where the next one begins.</summary>
    public View? At(nint address, out nint next)
    {
        View[] views = Volatile.Read(ref _views);
        int low = 0, high = views.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (views[middle].End <= address) low = middle + 1;
            else high = middle;
        }
        View? found = low < views.Length ? views[low] : null;
        next = found?.Start ?? nint.MaxValue;
        return found is not null && found.Start <= address ? found : null;
    }

    /// <summary>Makes whole pages durable, of all views that they lie in: 0, or the first error number. Does not throw.</summary>
    public int Sync(nint start, nint end)
    {
        while (start < end)
        {
            View? view = At(start, out nint next);
            int error;
            if (view is null)
            {
                error = system.Unsynced(start, Math.Min(end, next), out nint unsyncedEnd);
                next = Math.Min(next, unsyncedEnd);
            }
            else
            {
                next = view.End;
                error = Sync(view, start, Math.Min(end, next));
            }
            if (error != 0) return error;
            start = next;
        }
        return 0;
    }

    private int Sync(View view, nint start, nint end)
    {
        if (!view.IsWritten) return 0;
        int error = FlushView(start, end - start);
        if (error != 0) return error;
        try { return system.FlushFile(view.File); }
        // Another thread unmapped it meanwhile, by its address.
        catch (ObjectDisposedException) { return Errno.OfThisSystem(Errno.EBADF); }
    }

    private int FlushView(nint start, nint lengthBytes)
    {
        for (int tries = 1; ; tries++)
        {
            int error = system.FlushView(start, lengthBytes);
            if (error != WinError.ERROR_LOCK_VIOLATION || tries == Tries) return error;
            if (tries > TriesWithoutPause) system.Pause(Math.Min(tries - TriesWithoutPause, LongestPauseMilliseconds));
        }
    }
}

/// <summary>What makes the pages of views durable.</summary>
internal interface IViewFlush
{
    /// <summary>FlushViewOfFile, or msync: 0, or the error number.</summary>
    int FlushView(nint start, nint lengthBytes);

    /// <summary>FlushFileBuffers, or F_FULLFSYNC: 0, or the error number.</summary>
    int FlushFile(SafeFileHandle file);

    /// <summary>What a sync of memory that is no view comes to, and up to where.</summary>
    int Unsynced(nint start, nint end, out nint next);

    void Pause(int milliseconds);
}
