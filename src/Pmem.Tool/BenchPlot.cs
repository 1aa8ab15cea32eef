using System.Globalization;
using System.Xml.Linq;

namespace Pmem.Tool;

/// <summary>Times as bars on a logarithmic scale, with their spread, as an SVG picture.</summary>
internal static class BenchPlot
{
    private const double Width = 860, Left = 300, Right = 90, Row = 26, Top = 40;
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    public static string Of(IReadOnlyList<Timing> timings, string directory)
    {
        double least = Math.Floor(Math.Log10(timings.Min(timing => timing.LowNanoseconds)));
        double most = Math.Ceiling(Math.Log10(timings.Max(timing => timing.HighNanoseconds)));
        double height = Top + Row * timings.Count + 40;
        double X(double nanoseconds) => Left + (Math.Log10(nanoseconds) - least) / (most - least) * (Width - Left - Right);

        var picture = new XElement(
            Svg + "svg", new XAttribute("viewBox", $"0 0 {Number(Width)} {Number(height)}"), new XAttribute("font-family", "sans-serif"),
            new XAttribute("font-size", 12), new XElement(Svg + "title", $"What a durable operation costs in {directory}"),
            Shape("rect", ("width", Width), ("height", height), ("fill", "white")),
            Text(Left, 20, "start", $"Time of one operation in {directory} (shorter is better; logarithmic)"));
        for (double power = least; power <= most; power++)
        {
            double x = X(Math.Pow(10, power));
            picture.Add(
                Shape("line", ("x1", x), ("x2", x), ("y1", Top), ("y2", height - 30), ("stroke", "#ddd")),
                Text(x, height - 14, "middle", Sizes.Time(Math.Pow(10, power))));
        }
        for (int i = 0; i < timings.Count; i++)
        {
            Timing timing = timings[i];
            double y = Top + Row * i + 4, middle = y + 8;
            picture.Add(
                Text(Left - 8, middle + 4, "end", $"{timing.Name}, {timing.By}"),
                Shape("rect", ("x", Left), ("y", y), ("height", 16), ("width", Math.Max(1, X(timing.Nanoseconds) - Left)),
                    ("fill", timing.By == "Pmem" ? "#1b6ca8" : "#c8553d")),
                Shape("line", ("x1", X(timing.LowNanoseconds)), ("x2", X(timing.HighNanoseconds)), ("y1", middle), ("y2", middle), ("stroke", "#111")),
                Text(X(timing.HighNanoseconds) + 6, middle + 4, "start", Sizes.Time(timing.Nanoseconds)));
        }
        return new XDocument(picture).ToString();
    }

    private static XElement Text(double x, double y, string anchor, string text)
    {
        XElement element = Shape("text", ("x", x), ("y", y), ("text-anchor", anchor));
        element.Value = text;
        return element;
    }

    private static XElement Shape(string name, params (string Name, object Value)[] attributes) => new(
        Svg + name,
        attributes.Select(attribute => new XAttribute(attribute.Name, attribute.Value is double number ? Number(number) : attribute.Value)));

    private static string Number(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);
}
