using System.Runtime.Intrinsics;

namespace Pmem;

/// <summary>The vectors of this processor.</summary>
internal static class VectorWidth
{
    /// <summary>
    /// The widest vector that this processor has, in bits; 0 where it has none. No wider one may be used, whatever a platform
    /// of a test says: .NET copies it by halves, and then not all is read before the first byte is stored.
    /// </summary>
    public static int Widest =>
        Vector512.IsHardwareAccelerated ? 512
        : Vector256.IsHardwareAccelerated ? 256
        : Vector128.IsHardwareAccelerated ? 128 : 0;
}
