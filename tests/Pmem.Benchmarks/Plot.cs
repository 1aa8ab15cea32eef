using System.Globalization;
using System.Xml.Linq;

namespace Pmem.Benchmarks;

/// <summary>The ratio to libpmem over the size, as an SVG picture.</summary>
internal static class Plot
{
    private const double Width = 760, Height = 380, Left = 60, Right = 140, Top = 30, Bottom = 50, MaxRatio = 1.25;
    private static readonly string[] Colours = ["#1b6ca8", "#c8553d", "#2e8b57", "#8a5fb0", "#b8860b"];
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    public static XDocument Of(IEnumerable<Outcome> outcomes)
    {
        Outcome[] rivals = [.. outcomes.Where(outcome => outcome.Contest.Rival == "libpmem")];
        var picture = new XElement(
            Svg + "svg", new XAttribute("viewBox", $"0 0 {Width} {Height}"), new XAttribute("font-family", "sans-serif"),
            new XAttribute("font-size", 12), new XElement(Svg + "rect", Attributes(("width", Width), ("height", Height), ("fill", "white"))),
            Text(Left, 18, "start", "Time of a durable operation, ours / libpmem (below 1: ours is faster)"));
        for (double ratio = 0; ratio <= MaxRatio; ratio += 0.25) picture.Add(Rule(ratio), Text(Left - 8, Y(ratio) + 4, "end", Format(ratio)));
        foreach (Outcome outcome in rivals.DistinctBy(outcome => outcome.Contest.Size))
        {
            XElement size = Text(X(outcome.Contest.Size), Height - Bottom + 20, "middle", Report.SizeOf(outcome.Contest));
            size.Add(new XAttribute("font-size", 7.5));
            picture.Add(size);
        }
        string[] groups = [.. rivals.Select(outcome => outcome.Contest.Group).Distinct()];
        for (int i = 0; i < groups.Length; i++)
            picture.Add(Line([.. rivals.Where(outcome => outcome.Contest.Group == groups[i])], groups[i], i));
        return new XDocument(picture);
    }

    private static IEnumerable<XElement> Line(Outcome[] outcomes, string group, int index)
    {
        string points = string.Join(' ', outcomes.Select(outcome => $"{Format(X(outcome.Contest.Size))},{Format(Y(outcome.Ratio))}"));
        yield return new XElement(Svg + "polyline", Attributes(("points", points), ("fill", "none"), ("stroke", Colours[index]), ("stroke-width", 2)));
        XElement name = Text(Width - Right + 12, Top + 20 + 20 * index, "start", group);
        name.Add(new XAttribute("fill", Colours[index]));
        yield return name;
    }

    private static XElement Rule(double ratio) => new(
        Svg + "line",
        Attributes(("x1", Left), ("x2", Width - Right), ("y1", Y(ratio)), ("y2", Y(ratio)), ("stroke", ratio == 1 ? "#333" : "#ddd")));

    private static XElement Text(double x, double y, string anchor, string text) =>
        new(Svg + "text", Attributes(("x", x), ("y", y), ("text-anchor", anchor)), text);

    private static IEnumerable<XAttribute> Attributes(params (string Name, object Value)[] attributes) =>
        attributes.Select(attribute => new XAttribute(attribute.Name, attribute.Value is double number ? Format(number) : attribute.Value));

    /// <summary>From 8 bytes to 64 MiB, each doubling as wide as every other.</summary>
    private static double X(long size) => Left + (Math.Log2(size) - 3) / 23 * (Width - Left - Right);

    private static double Y(double ratio) => Height - Bottom - Math.Min(ratio, MaxRatio) / MaxRatio * (Height - Top - Bottom);

    private static string Format(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);
}
