using System.Globalization;
using System.Xml.Linq;

namespace Pmem.Benchmarks;

/// <summary>The ratio to libpmem over the size, as an SVG picture.</summary>
internal static class Plot
{
    private const double Width = 760, Height = 380, Left = 60, Right = 220, Top = 30, Bottom = 50, MaxRatio = 1.25;
    private static readonly string[] Colours = ["#1b6ca8", "#c8553d", "#2e8b57", "#8a5fb0", "#b8860b", "#444444", "#d17ba6", "#5aa0a0"];
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    /// <param name="outcomes">All of one table; those against libpmem are drawn, or those on ordinary files.</param>
    /// <param name="title">What is compared.</param>
    public static XDocument Of(IEnumerable<Outcome> outcomes, string title)
    {
        Outcome[] rivals = [.. outcomes.Where(outcome => outcome.Contest is { Rival: "libpmem" } or { Group: "durable write" })];
        string[] sizes = [.. rivals.Select(outcome => Report.SizeOf(outcome.Contest)).Distinct()];
        double X(Outcome outcome) => Left + (Array.IndexOf(sizes, Report.SizeOf(outcome.Contest)) + 0.5) / sizes.Length * (Width - Left - Right);
        var picture = new XElement(
            Svg + "svg", new XAttribute("viewBox", $"0 0 {Width} {Height}"), new XAttribute("font-family", "sans-serif"),
            new XAttribute("font-size", 12), new XElement(Svg + "rect", Attributes(("width", Width), ("height", Height), ("fill", "white"))),
            Text(Left, 18, "start", title));
        for (double ratio = 0; ratio <= MaxRatio; ratio += 0.25) picture.Add(Rule(ratio), Text(Left - 8, Y(ratio) + 4, "end", Format(ratio)));
        foreach (Outcome outcome in rivals.DistinctBy(outcome => Report.SizeOf(outcome.Contest)))
        {
            XElement size = Text(X(outcome), Height - Bottom + 20, "middle", Report.SizeOf(outcome.Contest));
            size.Add(new XAttribute("font-size", 7.5));
            picture.Add(size);
        }
        string[] groups = [.. rivals.Select(SeriesOf).Distinct()];
        for (int i = 0; i < groups.Length; i++)
            picture.Add(Line([.. rivals.Where(outcome => SeriesOf(outcome) == groups[i])], X, groups[i], i));
        return new XDocument(picture);
    }

    private static string SeriesOf(Outcome outcome) => outcome.Contest.Rival == "libpmem" ? outcome.Contest.Group : outcome.Contest.Rival;

    private static IEnumerable<XElement> Line(Outcome[] outcomes, Func<Outcome, double> x, string group, int index)
    {
        string points = string.Join(' ', outcomes.Select(outcome => $"{Format(x(outcome))},{Format(Y(outcome.Ratio))}"));
        yield return new XElement(Svg + "polyline", Attributes(("points", points), ("fill", "none"), ("stroke", Colours[index % Colours.Length]), ("stroke-width", 2)));
        XElement name = Text(Width - Right + 12, Top + 20 + 20 * index, "start", group);
        name.Add(new XAttribute("fill", Colours[index % Colours.Length]));
        yield return name;
    }

    private static XElement Rule(double ratio) => new(
        Svg + "line",
        Attributes(("x1", Left), ("x2", Width - Right), ("y1", Y(ratio)), ("y2", Y(ratio)), ("stroke", ratio == 1 ? "#333" : "#ddd")));

    private static XElement Text(double x, double y, string anchor, string text) =>
        new(Svg + "text", Attributes(("x", x), ("y", y), ("text-anchor", anchor)), text);

    private static IEnumerable<XAttribute> Attributes(params (string Name, object Value)[] attributes) =>
        attributes.Select(attribute => new XAttribute(attribute.Name, attribute.Value is double number ? Format(number) : attribute.Value));

    private static double Y(double ratio) => Height - Bottom - Math.Min(ratio, MaxRatio) / MaxRatio * (Height - Top - Bottom);

    private static string Format(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);
}
