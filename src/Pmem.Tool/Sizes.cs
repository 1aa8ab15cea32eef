using System.Globalization;

namespace Pmem.Tool;

/// <summary>Numbers as a person reads them.</summary>
internal static class Sizes
{
    public static string Of(long bytes) => bytes switch
    {
        >= 1 << 20 when bytes % (1 << 20) == 0 => $"{bytes >> 20} MiB",
        >= 1 << 10 when bytes % (1 << 10) == 0 => $"{bytes >> 10} KiB",
        _ => $"{bytes} B",
    };

    public static string Time(double nanoseconds) => nanoseconds switch
    {
        >= 1e6 => $"{Number(nanoseconds / 1e6)} ms",
        >= 1e3 => $"{Number(nanoseconds / 1e3)} µs",
        _ => $"{Number(nanoseconds)} ns",
    };

    public static string Number(double value) => value.ToString(value >= 100 ? "0" : "0.##", CultureInfo.InvariantCulture);
}
