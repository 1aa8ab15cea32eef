using System.CommandLine;
using Spectre.Console;

namespace Pmem.Tool;

/// <summary>pmem info: what a persist is on this machine, and what a mapping of a path would be.</summary>
internal static class InfoCommand
{
    private static readonly Argument<string?> PathOf = new("PATH")
    {
        Description = "A file, a directory (what a file there would be), or a DAX device. Nothing is changed.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    public static readonly string[] Examples =
    [
        "pmem info",
        "pmem info /mnt/pmem",
        "pmem info /dev/dax0.0 --json",
    ];

    public static Command Make(Action<Command, Func<ParseResult, Screen, CancellationToken, int>> act)
    {
        var command = new Command(
            "info",
            "What a persist does on this machine and why; or what a mapping of a path would be, why not finer, and "
            + "what to do about it.");
        command.Arguments.Add(PathOf);
        act(command, (parsed, screen, _) => parsed.GetValue(PathOf) is string path ? OfPath(screen, path, new Machine()) : OfMachine(screen, new Machine()));
        return command;
    }

    internal static int OfMachine(Screen screen, Machine machine)
    {
        Platform platform = PmemPlatform.Current;
        var found = new MachineAnswer(
            PmemPlatform.Describe(), platform.Facts.Architecture.ToString(), platform.WriteBack.ToString(), platform.Fence.ToString(),
            platform.HasAutoFlush, platform.LineSizeBytes, platform.PageSizeBytes, platform.Facts.VectorBits,
            platform.Facts.Environment, machine.Regions(), machine.Namespaces(), machine.DaxDevices(), machine.PmemMounts());
        screen.Answer(found, () =>
        {
            screen.Line(found.Describes);
            Show(screen, "Regions", ["name", "persistence domain", "deep_flush", "bytes"],
                found.Regions.Select(region => new[] { region.Name, region.PersistenceDomain, region.DeepFlush, $"{region.SizeBytes}" }));
            Show(screen, "Namespaces", ["name", "mode", "bytes"],
                found.Namespaces.Select(space => new[] { space.Name, space.Mode, $"{space.SizeBytes}" }));
            Show(screen, "DAX devices", ["device", "bytes", "alignment"],
                found.DaxDevices.Select(device => new[] { device.Path, $"{device.SizeBytes}", $"{device.AlignmentBytes}" }));
            Show(screen, "Mounts on persistent memory", ["directory", "file system", "device", "DAX"],
                found.Mounts.Select(mount => new[] { mount.Point, mount.FileSystem, mount.Source, mount.IsDax ? "yes" : "no" }));
        });
        return ExitCodes.Fine;
    }

    internal static int OfPath(Screen screen, string path, Machine machine)
    {
        if (path.StartsWith("/dev/", StringComparison.Ordinal) && IsBlockDevice(path)) return OfBlockDevice(screen, path);
        using PmemMapping mapping = Directory.Exists(path) || new FileInfo(path) is { Exists: true, Length: 0 } && !IsDevice(path)
            ? PmemMapping.CreateTemporary(Directory.Exists(path) ? path : Path.GetDirectoryName(Path.GetFullPath(path))!, Environment.SystemPageSize)
            : PmemMapping.Open(path, new PmemOpenOptions { ReadOnly = true });
        MappingInfo info = mapping.Info;
        Mount? mount = machine.MountOf(path);
        IReadOnlyList<string> advice = Advice.For(info, mount, machine);
        screen.Answer(
            new PathAnswer(
                path, info.Facts.Kind.ToString(), info.IsPmem, info.Granularity.ToString(), info.Why, info.ToString(), mount, advice),
            () =>
            {
                screen.Line($"A mapping of {path}: {info.Facts.Kind}, {info.Granularity} granularity, {(info.IsPmem ? "persistent memory" : "not persistent memory")}.");
                screen.Line($"Why: {info.Why}.");
                if (mount is not null) screen.Line($"It lies on {mount.Source} ({mount.FileSystem}{(mount.IsDax ? ", DAX" : "")}), mounted on {mount.Point}.");
                foreach (string line in advice) screen.Line(line);
            });
        return ExitCodes.Fine;
    }

    private static int OfBlockDevice(Screen screen, string path)
    {
        IReadOnlyList<string> advice = Advice.ForBlockDevice(path);
        screen.Answer(new BlockDeviceAnswer(path, "block device", IsPmem: false, advice), () =>
        {
            foreach (string line in advice) screen.Line(line);
        });
        return ExitCodes.Fine;
    }

    private static bool IsDevice(string path) => path.StartsWith("/dev/", StringComparison.Ordinal);

    /// <summary>/sys/class/block has a link for every block device: Linux ABI testing/sysfs-class-block.</summary>
    private static bool IsBlockDevice(string path) => File.Exists(path) && Directory.Exists($"/sys/class/block/{Path.GetFileName(path)}");

    private static void Show(Screen screen, string title, string[] columns, IEnumerable<string[]> rows)
    {
        string[][] all = [.. rows];
        if (all.Length == 0)
        {
            screen.Line($"{title}: none.");
            return;
        }
        var table = new Table { Title = new TableTitle(Markup.Escape(title)), Border = TableBorder.Simple };
        foreach (string column in columns) table.AddColumn(column);
        foreach (string[] row in all) table.AddRow([.. row.Select(Markup.Escape)]);
        screen.Console.Write(table);
    }
}
