using System.Diagnostics;
using System.Globalization;
using Pmem.Linux;
using Spectre.Console;

namespace Pmem.Benchmarks;

//  fact                                                             source
//  ---------------------------------------------------------------  ------------------------------------------
//  MAP_POPULATE is 0x8000, MAP_SHARED 1                             Linux, include/uapi/linux/mman.h, asm-generic/mman.h

/// <summary>
/// What the first touch of a mapping costs: page by page, by Prefault, by MAP_POPULATE; on a file whose storage is reserved already, as
/// that of Create is.
/// </summary>
internal static unsafe class TouchContests
{
    private const long Length = 1L << 30;
    private const int PageBytes = 4096, MapShared = 1, MapPopulate = 0x8000, Rounds = 5;

    private static readonly (string Name, Action<string> Work)[] s_ways =
    [
        ("Open, then page by page", path => { using PmemMapping map = PmemMapping.Open(path); Touch(map.Pointer); }),
        ("Open with Prefault, then page by page", path =>
        {
            using PmemMapping map = PmemMapping.Open(path, new PmemOpenOptions { Prefault = true });
            Touch(map.Pointer);
        }),
        ("mmap with MAP_POPULATE, then page by page", Populate),
    ];

    /// <summary>One table for each directory: a memory file system with small pages, one with huge ones, DAX.</summary>
    public static Table Run(IEnumerable<string> directories)
    {
        Table table = new Table().AddColumns("directory", "way", "ms for 1 GiB", "fastest", "slowest");
        foreach (string directory in directories)
            foreach ((string name, double[] times) in Times(directory))
                table.AddRow(directory, name, Number(times[Rounds / 2]), Number(times[0]), Number(times[^1]));
        return table;
    }

    private static IEnumerable<(string, double[])> Times(string directory)
    {
        string path = Path.Combine(directory, $"pmem-touch-{Environment.ProcessId}");
        var times = s_ways.Select(_ => new double[Rounds]).ToArray();
        try
        {
            PmemMapping.Create(path, Length).Dispose();
            for (int round = 0; round < Rounds; round++)
                for (int way = 0; way < s_ways.Length; way++)
                {
                    long start = Stopwatch.GetTimestamp();
                    s_ways[way].Work(path);
                    times[way][round] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                }
        }
        finally
        {
            File.Delete(path);
        }
        foreach (double[] of in times) Array.Sort(of);
        return s_ways.Select((way, i) => (way.Name, times[i]));
    }

    private static void Populate(string path)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        nint address = mmap(0, (nuint)Length, SysMman.ProtRead | SysMman.ProtWrite, MapShared | MapPopulate, (int)file.DangerousGetHandle(), 0);
        if (address == -1) throw new IOException("mmap");
        Touch((byte*)address);
        _ = SysMman.Unmap(address, (nuint)Length);
    }

    private static void Touch(byte* start)
    {
        for (long at = 0; at < Length; at += PageBytes) start[at] = 1;
    }

    private static string Number(double milliseconds) => milliseconds.ToString("N0", CultureInfo.InvariantCulture);

    [System.Runtime.InteropServices.DllImport("libc", SetLastError = true)]
    [System.Runtime.InteropServices.DefaultDllImportSearchPaths(System.Runtime.InteropServices.DllImportSearchPath.SafeDirectories)]
    private static extern nint mmap(nint address, nuint length, int protection, int flags, int descriptor, long offset);
}
