using System.Runtime.Intrinsics;

namespace Pmem;

/// <summary>Which vectors copies are done with.</summary>
internal static class CopyWidth
{
    /// <summary>The copier of the widest vector that the platform allows and this processor has.</summary>
    public static Copier CopierFor<TLines>(Platform platform, TLines lines) where TLines : struct, ILineInstructions
    {
        long mask = platform.LineSizeBytes - 1;
        return Math.Min(CopyPlanModule.vectorBits(platform), VectorWidth.Widest) switch
        {
            512 => new Copier<LineStore<Vector512<byte>, Through<Vector512<byte>>>, LineStore<Vector512<byte>, Past512>, TLines>(lines, mask),
            256 => new Copier<LineStore<Vector256<byte>, Through<Vector256<byte>>>, LineStore<Vector256<byte>, Past256>, TLines>(lines, mask),
            _ => new Copier<LineStore<Vector128<byte>, Through<Vector128<byte>>>, LineStore<Vector128<byte>, Past128>, TLines>(lines, mask),
        };
    }
}
