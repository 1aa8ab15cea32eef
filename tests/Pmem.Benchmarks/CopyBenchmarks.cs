using BenchmarkDotNet.Attributes;

namespace Pmem.Benchmarks;

/// <summary>The same operations under BenchmarkDotNet.</summary>
[MemoryDiagnoser]
public class CopyBenchmarks
{
    private Arena? _arena;
    private Contest? _write, _fill, _move, _persist, _memcpy, _mappedFile;

    /// <summary>In bytes.</summary>
    [Params(8, 64, 256, 4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20)]
    public long Size { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _arena = new Arena();
        _write = CopyContests.Write(_arena, Size);
        _fill = CopyContests.Fill(_arena, Size);
        _move = CopyContests.Move(_arena, Size);
        _persist = CopyContests.Persist(_arena, Size);
        _memcpy = CopyContests.Memcpy(_arena, Size);
        _mappedFile = CopyContests.MappedFile(_arena, Size);
    }

    [GlobalCleanup]
    public void CleanUp() => _arena!.Dispose();

    [Benchmark(Baseline = true)]
    public void WriteLibPmem() => _write!.Theirs(1);

    [Benchmark]
    public void Write() => _write!.Ours(1);

    [Benchmark]
    public void WriteMemcpyNotDurable() => _memcpy!.Theirs(1);

    [Benchmark]
    public void WriteMemoryMappedFile() => _mappedFile!.Theirs(1);

    [Benchmark]
    public void FillLibPmem() => _fill!.Theirs(1);

    [Benchmark]
    public void Fill() => _fill!.Ours(1);

    [Benchmark]
    public void MoveLibPmem() => _move!.Theirs(1);

    [Benchmark]
    public void Move() => _move!.Ours(1);

    [Benchmark]
    public void PersistLibPmem() => _persist!.Theirs(1);

    [Benchmark]
    public void Persist() => _persist!.Ours(1);
}

/// <summary>Flush plans under BenchmarkDotNet.</summary>
[MemoryDiagnoser]
public class PlanBenchmarks
{
    private Arena? _arena;
    private Contest? _prepared, _each, _built;

    /// <summary>How many ranges.</summary>
    [Params(1, 2, 4, 8, 16, 32, 64)]
    public int Ranges { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _arena = new Arena();
        _prepared = PlanContests.Prepared(_arena, Ranges);
        _each = PlanContests.PreparedOrEach(_arena, Ranges);
        _built = PlanContests.BuiltOrEach(_arena, Ranges);
    }

    [GlobalCleanup]
    public void CleanUp() => _arena!.Dispose();

    [Benchmark(Baseline = true)]
    public void PersistEach() => _each!.Theirs(1);

    [Benchmark]
    public void FlushEachDrainOnce() => _prepared!.Theirs(1);

    [Benchmark]
    public void PreparedPlan() => _prepared!.Ours(1);

    [Benchmark]
    public void BuiltPlan() => _built!.Ours(1);
}
