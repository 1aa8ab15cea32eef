namespace Pmem.Tool;

/// <summary>Files that are whole or not there.</summary>
internal static class OutputFile
{
    /// <summary>Writes text to a file, which has its old contents until the new ones are complete.</summary>
    public static void Write(string path, string text)
    {
        string directory = Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/";
        string half = Path.Combine(directory, $".pmem-{Guid.NewGuid():N}");
        try
        {
            File.WriteAllText(half, text);
            File.Move(half, path, overwrite: true);
        }
        finally
        {
            File.Delete(half);
        }
    }
}
