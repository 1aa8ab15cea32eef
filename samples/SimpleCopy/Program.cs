// Copies the first 4 KiB of a file to a new file, durably.
//
//     dotnet run --project samples/SimpleCopy -- SOURCE TARGET

using Pmem;

if (args is not [string sourcePath, string targetPath])
{
    Console.Error.WriteLine("usage: SimpleCopy SOURCE TARGET");
    return 1;
}

try
{
    // Read first: where there is nothing to copy, no target is made.
    using FileStream source = File.OpenRead(sourcePath);
    byte[] buffer = new byte[4096];
    int length = source.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);

    // Exclusive: a file that is there is never overwritten, so what a failure leaves behind is ours to remove.
    using PmemMapping target = PmemMapping.Create(targetPath, length, new PmemCreateOptions { Exclusive = true });
    try
    {
        // One durable copy, as pmem_memcpy_persist: when it returns, the bytes survive. On persistent memory it goes past
        // the cache, or through it and writes it back, whichever is faster for this length.
        target.Write(0, buffer.AsSpan(0, length));
    }
    catch
    {
        File.Delete(targetPath);
        throw;
    }

    Console.WriteLine(target);
    return 0;
}
catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
