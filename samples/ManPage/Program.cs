// The example of libpmem's manual page: map a file, store a string, make it durable.
//
//     dotnet run --project samples/ManPage -- FILE

using Pmem;

if (args is not [string path])
{
    Console.Error.WriteLine("usage: ManPage FILE");
    return 1;
}

try
{
    // Makes the file if it is not there, and maps it.
    using PmemMapping map = PmemMapping.Create(path, 4096);

    // An ordinary store: visible at once, not yet durable.
    ReadOnlySpan<byte> text = "hello, persistent memory\0"u8;
    text.CopyTo(map.Span);

    // Write-back and fence on persistent memory, msync on any other file. When it returns, the string survives.
    map.Persist(0, text.Length);

    Console.WriteLine(map);
    return 0;
}
catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
