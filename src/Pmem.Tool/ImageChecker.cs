using System.ComponentModel;
using System.Diagnostics;
using System.Security.Cryptography;

namespace Pmem.Tool;

/// <summary>A program that judges an image: it is given the path of a file, and ends with 0 where the image is consistent.</summary>
internal sealed class ImageChecker : IDisposable
{
    /// <summary>128 + SIGINT: Ctrl-C goes to the program too, and may reach it first.</summary>
    private const int Interrupted = 130;

    private readonly string[] _command;
    private readonly TimeSpan _timeout;
    private readonly CancellationToken _cancellation;
    private readonly string _directory = Directory.CreateTempSubdirectory("pmem-check-").FullName;

    /// <summary>The same image is not judged twice.</summary>
    private readonly Dictionary<string, bool> _judged = [];

    public ImageChecker(string[] command, TimeSpan timeout, CancellationToken cancellation)
    {
        _command = command;
        _timeout = timeout;
        _cancellation = cancellation;
    }

    /// <summary>How often the program was run.</summary>
    public int Runs => _judged.Count;

    /// <summary>Why the program could not be run. The checker takes what a recovery throws for its verdict, and this is none.</summary>
    public Exception? Failure { get; private set; }

    public bool IsConsistent(CrashedMemory memory)
    {
        byte[] image = new byte[memory.Length];
        ((IPersistentMemory)memory).Read(0, image, SourceLine.Unknown);
        string key = Convert.ToHexString(SHA256.HashData(image));
        if (_judged.TryGetValue(key, out bool isConsistent)) return isConsistent;
        try
        {
            return _judged[key] = Judge(image);
        }
        catch (Exception e)
        {
            Failure ??= e;
            throw;
        }
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private bool Judge(byte[] image)
    {
        _cancellation.ThrowIfCancellationRequested();
        string path = Path.Combine(_directory, "image");
        File.WriteAllBytes(path, image);
        using Process process = Start(path);
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(_cancellation);
        timeout.CancelAfter(_timeout);
        try
        {
            process.WaitForExitAsync(timeout.Token).GetAwaiter().GetResult();
            if (process.ExitCode == Interrupted) _cancellation.WaitHandle.WaitOne(TimeSpan.FromSeconds(1));
            _cancellation.ThrowIfCancellationRequested();
            return process.ExitCode == 0;
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
            _cancellation.ThrowIfCancellationRequested();
            return false;
        }
    }

    private Process Start(string path)
    {
        var start = new ProcessStartInfo(_command[0]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in _command[1..]) start.ArgumentList.Add(argument);
        start.ArgumentList.Add(path);
        try
        {
            Process process = Process.Start(start)!;
            // What it says is not kept, and must not block it.
            process.OutputDataReceived += (_, _) => { };
            process.ErrorDataReceived += (_, _) => { };
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
            return process;
        }
        catch (Win32Exception e)
        {
            throw new Win32Exception(e.NativeErrorCode, $"The program '{_command[0]}' cannot be started: {e.Message}");
        }
    }
}
