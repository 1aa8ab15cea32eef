using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Pmem;

/// <summary>
/// All plans of one platform and granularity, one for each set of flags, made in advance: a copy looks its own up and compares
/// its length with the threshold. Nothing is allocated.
/// </summary>
internal sealed class CopyPlans
{
    private const int FlagSets = 64;

    // This machine's, of which each is decided once and not for each mapping.
    private static readonly Lazy<CopyPlans> OfByte = new(() => new CopyPlans(PmemPlatform.Current, StoreGranularity.Byte));
    private static readonly Lazy<CopyPlans> OfLine = new(() => new CopyPlans(PmemPlatform.Current, StoreGranularity.CacheLine));
    private static readonly Lazy<CopyPlans> OfPage = new(() => new CopyPlans(PmemPlatform.Current, StoreGranularity.Page));

    private readonly CopyPlan?[] _plans = new CopyPlan?[FlagSets];
    private readonly Platform _platform;

    private CopyPlans(Platform platform, StoreGranularity granularity)
    {
        _platform = platform;
        for (int flags = 0; flags < FlagSets; flags++)
            if (CopyPlanModule.decide(platform, granularity, (PmemCopyOptions)flags) is { IsOk: true } decided)
                _plans[flags] = decided.ResultValue;
    }

    public static CopyPlans Of(Platform platform, StoreGranularity granularity) =>
        !ReferenceEquals(platform, PmemPlatform.Current) ? new CopyPlans(platform, granularity)
        : granularity.IsByte ? OfByte.Value
        : granularity.IsCacheLine ? OfLine.Value : OfPage.Value;

    /// <summary>The plan for these flags.</summary>
    /// <exception cref="ArgumentException">The flags exclude each other, or are not all known.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public CopyPlan For(PmemCopyOptions options)
    {
        CopyPlan?[] plans = _plans;
        if ((uint)options < (uint)plans.Length && plans[(int)options] is CopyPlan plan) return plan;
        ThrowContradiction(options);
        return null;
    }

    [DoesNotReturn]
    private void ThrowContradiction(PmemCopyOptions options) => throw Failures.OfCopyFlags(
        CopyPlanModule.check(_platform, options) is { IsError: true } refused
            ? refused.ErrorValue
            : Refusal.NewUnknownFlags((int)options));
}
