using System.Globalization;
using System.Runtime.Versioning;

namespace Pmem;

/// <content>Memory that somebody else mapped.</content>
public sealed unsafe partial class PmemMapping
{
    /// <summary>
    /// A mapping over memory that somebody else mapped, and unmaps: another library, or a call of mmap(2) with options that this one does
    /// not have. Dispose forgets it and unmaps nothing. As pmem2_map_from_existing(3).
    /// </summary>
    /// <param name="pointer">Its first byte, at the beginning of a page. It must stay mapped, to read and write, until Dispose.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="granularity">How a store to it becomes durable. The caller knows; nobody checks: too fine a word loses data.</param>
    /// <param name="owner">What keeps it mapped: it is referenced as long as the mapping is.</param>
    /// <exception cref="ArgumentException">The pointer is not at the beginning of a page.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The length is not positive.</exception>
    /// <exception cref="PmemException">A page of it is not mapped, or may not be accessed (PROT_NONE), or it lies in another mapping of this library.</exception>
    [SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
    public static PmemMapping Adopt(byte* pointer, long length, StoreGranularity granularity, object? owner = null)
    {
        ArgumentNullException.ThrowIfNull(pointer);
        ArgumentNullException.ThrowIfNull(granularity);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        if (!Bounds.isWhole(Environment.SystemPageSize, (nint)pointer))
            throw new ArgumentException($"0x{(nint)pointer:x} is not the beginning of a page ({Environment.SystemPageSize} bytes).", nameof(pointer));
        string name = string.Create(CultureInfo.InvariantCulture, $"memory at 0x{(nint)pointer:x}");
        if (!FileMapper.System.IsMapped((nint)pointer, length)) throw Failures.OfRefusal(Refusal.NewNotAdoptable("a page of it is not mapped, or may not be accessed"), name);
        var facts = new MappingFacts(name, new ByteRange(0, length), MappingKind.Adopted, false, "", PmemPlatform.Current);
        MappingInfo info = MappingInfo.Say(facts, granularity, "its owner says so").ValueOrThrow(name);
        var file = new MappedFile((nint)pointer, info, FileMapper.System.DeviceAt((nint)pointer, length)) { IsAdopted = true, Owner = owner };
        return RangeTracker.TryAdd(file)
            ? new PmemMapping(file, Persister.For(file))
            : throw Failures.OfRefusal(Refusal.NewNotAdoptable("it lies in another mapping of this process"), name);
    }
}
