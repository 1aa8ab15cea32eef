using Microsoft.FSharp.Core;

namespace Pmem.Linux;

/// <summary>Opening, making and mapping files, as pmem_map_file(3) does it. What fails leaves everything as it was.</summary>
internal static class FileMapper
{
    /// <summary>How often a name may be taken by somebody else between looking for it and giving it.</summary>
    private const int Attempts = 3;

    /// <summary>Maps an existing file or device.</summary>
    public static MappedFile Open(string path, PmemMapOptions options)
    {
        Ready();
        using OpenFile file = OpenFile.Existing(path, options.ReadOnly);
        return Map(file, options);
    }

    /// <summary>Makes a file of this length, or gives an existing one this length, and maps it.</summary>
    public static MappedFile Create(string path, long lengthBytes, PmemMapOptions options)
    {
        Ready();
        Allow(!options.ReadOnly, Refusal.NewContradiction("Create", "ReadOnly"), path);
        for (int attempt = 1; ; attempt++)
        {
            try { return CreateOnce(path, lengthBytes, options); }
            catch (PmemException e) when (e.ErrorNumber == Errno.EEXIST && !options.Exclusive && attempt < Attempts) { }
        }
    }

    /// <summary>Makes a file without a name in a directory, and maps it. Its storage is free again when it is unmapped.</summary>
    public static MappedFile CreateTemporary(string directory, long lengthBytes, PmemMapOptions options)
    {
        Ready();
        Allow(!options.ReadOnly, Refusal.NewContradiction("CreateTemporary", "ReadOnly"), directory);
        using OpenFile file = OpenFile.Temporary(directory);
        return MapWithLength(file, lengthBytes, options);
    }

    private static MappedFile CreateOnce(string path, long lengthBytes, PmemMapOptions options)
    {
        using OpenFile file = OpenFile.New(path, options);
        if (!file.Kind.IsDaxDevice) return MapWithLength(file, lengthBytes, options);
        Allow(lengthBytes == 0 || lengthBytes == file.LengthBytes, Refusal.NewDeviceLength(lengthBytes, file.LengthBytes), path);
        return Map(file, options);
    }

    /// <summary>
    /// Grows first and shrinks last: growing can be undone, shrinking loses data, so it waits until nothing is left that is
    /// likely to fail.
    /// </summary>
    private static MappedFile MapWithLength(OpenFile file, long lengthBytes, PmemMapOptions options)
    {
        Allow(lengthBytes > 0, Refusal.NewLengthNotPositive(lengthBytes), file.Path);
        file.Grow(lengthBytes, options.Sparse);
        MappedFile mapped = Map(file, options, Math.Min(lengthBytes, file.LengthBytes));
        try
        {
            file.Sync();
            file.Publish();
            if (file.Shrink(lengthBytes)) file.Sync();
            return mapped;
        }
        catch
        {
            _ = mapped.Unmap();
            throw;
        }
    }

    /// <summary>Finds out all that can fail about the platform before any file is touched.</summary>
    private static void Ready()
    {
        _ = PmemPlatform.Current;
        _ = PmemPlatform.CurrentMachine;
    }

    private static MappedFile Map(OpenFile file, PmemMapOptions options) => Map(file, options, file.LengthBytes);

    private static MappedFile Map(OpenFile file, PmemMapOptions options, long fileLengthBytes)
    {
        Platform platform = PmemPlatform.Current;
        bool isDevice = file.Kind.IsDaxDevice;
        long unit = isDevice ? Sysfs.Machine.DaxAlignmentBytes(file.Device) : platform.PageSizeBytes;
        ByteRange bytes = MappingPlan
            .RangeOfFile(platform.PageSizeBytes, unit, fileLengthBytes, options.Offset, options.Length).ValueOrThrow(file.Path);
        long alignment = MappingPlan.AlignmentFor(platform.PageSizeBytes, unit, bytes.Length);
        nint address = AddressSpace.Map(
            file.Descriptor, bytes, options.ReadOnly, isDevice, alignment, platform.Environment.MmapHint, out bool isSync, out int error);
        if (address == 0) throw Failures.OfErrno(error, file.Path, $"map bytes {bytes.Offset} to {bytes.End} of");

        var facts = new MappingFacts(
            file.Path, bytes,
            isDevice ? MappingKind.DeviceDax : isSync ? MappingKind.FileDax : MappingKind.PageCache,
            options.ReadOnly, isDevice || isSync ? Sysfs.Machine.PersistenceDomainOf(file.Device, isBlockDevice: isSync) : "", platform);
        FSharpResult<MappingInfo, Refusal> decision = MappingInfo.Decide(facts);
        if (options.RequiredGranularity is StoreGranularity required && decision.IsOk)
            decision = decision.ResultValue.Require(required);
        if (decision.IsError) _ = SysMman.Unmap(address, (nuint)bytes.Length);

        var mapped = new MappedFile(address, decision.ValueOrThrow(file.Path), file.Device);
        if (mapped.IsPmem) RangeTracker.Add(mapped);
        return mapped;
    }

    private static void Allow(bool condition, Refusal refusal, string path)
    {
        if (!condition) throw Failures.OfRefusal(refusal, path);
    }
}
