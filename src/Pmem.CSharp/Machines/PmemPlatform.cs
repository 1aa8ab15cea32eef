using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Runtime.Versioning;
using Pmem.Linux;

namespace Pmem;

/// <summary>What this machine and this process can do, found out once.</summary>
public static class PmemPlatform
{
    private static readonly Lazy<Findings> Found = new(() => new Findings());

    /// <summary>The decisions for this machine.</summary>
    /// <exception cref="PmemException">An environment variable of the library has a value that it cannot have.</exception>
    /// <exception cref="PlatformNotSupportedException">The operating system is none of Linux, Windows and macOS, or the processor neither x86-64 nor Arm64.</exception>
    [SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
    public static Platform Current => Found.Value.Platform;

    /// <summary>One paragraph that tells a person what a persist does here, and why.</summary>
    [SupportedOSPlatform("linux"), SupportedOSPlatform("windows"), SupportedOSPlatform("macos")]
    public static string Describe() => Current.Describe();

    /// <summary>The instructions of this machine.</summary>
    internal static ref readonly StubLines CurrentLines => ref Found.Value.Lines;

    /// <summary>The decisions and the instructions, which are never there without each other; a place from which the latter need
    /// not be copied for each call.</summary>
    private sealed class Findings
    {
        public readonly Platform Platform;
        public readonly StubLines Lines;

        public Findings()
        {
            (PlatformFacts facts, PlacedStubs? stubs) = Probe();
            Platform = Platform.Decide(facts).ValueOrThrow("");
            if (stubs is not null) Lines = stubs.LinesFor(Platform);
        }
    }

    /// <summary>The granularity that the environment forces, read each time: libpmem2(7); null where it does not.</summary>
    internal static string? Forced => SysAuxv.IsElevated ? null : Environment.GetEnvironmentVariable(PmemEnvironment.ForceVariable);

    /// <summary>For every way in, before a system is called that is not there.</summary>
    internal static PlatformNotSupportedException OfOtherSystem() =>
        new("Pmem maps files on Linux, Windows and macOS; the plans and models of Pmem.Core run anywhere.");

    private static (PlatformFacts Facts, PlacedStubs? Stubs) Probe()
    {
        bool hasDax = OperatingSystem.IsLinux() || OperatingSystem.IsWindows();
        if (!hasDax && !BsdErrno.IsOwn) throw OfOtherSystem();
        Architecture architecture = RuntimeInformation.ProcessArchitecture;
        if (architecture is not (Architecture.X64 or Architecture.Arm64))
            throw new PlatformNotSupportedException($"Pmem maps files on x86-64 and Arm64, not on {architecture}.");

        (int _, int featuresB, int _, int featuresD) = X86Base.IsSupported ? X86Base.CpuId(1, 0) : default;
        // A leaf beyond the highest one answers with another leaf's data: Intel SDM vol. 2A, CPUID.
        bool hasLeaf7 = X86Base.IsSupported && X86Base.CpuId(0, 0).Eax >= 7;
        (int _, int extendedB, int _, int _) = hasLeaf7 ? X86Base.CpuId(7, 0) : default;
        (bool ClflushOpt, bool Clwb) writeBacks = WriteBacksIn(extendedB);
        const int arm64Dcpop = 1 << 16;
        const int arm64Dcpodp = 1;
        bool isArm64 = architecture == Architecture.Arm64;
        // Only Linux says that every process may read the register, and only there lines of Arm64 are written back.
        int lineSizeBytes = X86Base.IsSupported ? ((featuresB >> 8) & 0xFF) * 8
            : (isArm64 && OperatingSystem.IsLinux() ? PlacedStubs.TryReadArm64LineSize() : null) ?? (int)CacheLine.SizeBytes;
        // Where no file is persistent memory, nothing is written back by lines.
        PlacedStubs? stubs = hasDax ? PlacedStubs.TryPlace(architecture, lineSizeBytes) : null;

        var facts = new PlatformFacts(
            architecture: architecture,
            hasClflush: (featuresD & (1 << 19)) != 0,
            hasClflushOpt: writeBacks.ClflushOpt,
            hasClwb: writeBacks.Clwb,
            hasDcCvap: isArm64 && (SysAuxv.HardwareCapabilities & arm64Dcpop) != 0,
            hasDcCvadp: isArm64 && (SysAuxv.HardwareCapabilities2 & arm64Dcpodp) != 0,
            canRunMachineCode: stubs is not null,
            lineSizeBytes: lineSizeBytes,
            pageSizeBytes: Environment.SystemPageSize,
            vectorBits: VectorWidth.Widest,
            persistenceDomains: Sysfs.Machine.PersistenceDomains(),
            environment: Variables(SysAuxv.IsElevated));
        return (facts, stubs);
    }

    /// <summary>What EBX of CPUID's leaf 7 says: Intel SDM vol. 2A, CPUID.</summary>
    internal static (bool ClflushOpt, bool Clwb) WriteBacksIn(int leaf7Ebx) => ((leaf7Ebx & (1 << 23)) != 0, (leaf7Ebx & (1 << 24)) != 0);

    /// <summary>As secure_getenv(3), which libpmem uses: a process with elevated privileges has no variables.</summary>
    internal static Dictionary<string, string> Variables(bool isElevated)
    {
        var set = new Dictionary<string, string>();
        if (isElevated) return set;
        foreach (string name in PmemEnvironment.Variables)
            if (Environment.GetEnvironmentVariable(name) is string value) set[name] = value;
        return set;
    }
}
