namespace Pmem;

//  bytes                        instruction        source
//  ---------------------------  -----------------  ----------------------------------------
//  66 0F AE /6   66 0F AE 37    clwb [rdi]         Intel SDM vol. 2A, CLWB
//  66 0F AE /7   66 0F AE 3F    clflushopt [rdi]   Intel SDM vol. 2A, CLFLUSHOPT
//  0F AE /7      0F AE 3F       clflush [rdi]      Intel SDM vol. 2A, CLFLUSH
//  0F AE F8                     sfence             Intel SDM vol. 2B, SFENCE
//  0F AE F0                     mfence             Intel SDM vol. 2B, MFENCE
//  first arguments in rdi, rsi; both may be changed by the callee    System V ABI, AMD64 supplement, 3.2.3

/// <summary>
/// The machine code that .NET has no intrinsic for: a loop that writes back the lines from one address (inclusive, aligned
/// to a line) to another (exclusive), and then waits or does not. It writes back at least one line.
/// </summary>
internal static class StubCode
{
    private static readonly byte[] CompareRdiRsi = [0x48, 0x39, 0xF7];

    /// <summary>Position-independent code of <c>void (start, end)</c> for x86-64, System V.</summary>
    /// <param name="kind">CLWB, CLFLUSHOPT or CLFLUSH.</param>
    /// <param name="fence">The fence after the loop; null for none.</param>
    /// <param name="lineSizeBytes">The distance from line to line, at most 64.</param>
    public static byte[] X64SystemV(WriteBackKind kind, FenceKind? fence, byte lineSizeBytes)
    {
        byte[] writeBack = WriteBackRdi(kind);
        byte[] nextLine = [0x48, 0x83, 0xC7, lineSizeBytes];
        const int jumpLength = 2;
        int loopLength = writeBack.Length + nextLine.Length + CompareRdiRsi.Length + jumpLength;
        return [.. writeBack, .. nextLine, .. CompareRdiRsi, 0x72, (byte)-loopLength, .. Fence(fence), 0xC3];
    }

    private static byte[] WriteBackRdi(WriteBackKind kind) => kind switch
    {
        { IsClwb: true } => [0x66, 0x0F, 0xAE, 0x37],
        { IsClflushOpt: true } => [0x66, 0x0F, 0xAE, 0x3F],
        { IsClflush: true } => [0x0F, 0xAE, 0x3F],
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "x86-64 has no such write-back."),
    };

    private static byte[] Fence(FenceKind? fence) => fence switch
    {
        null => [],
        { IsSfence: true } => [0x0F, 0xAE, 0xF8],
        { IsMfence: true } => [0x0F, 0xAE, 0xF0],
        _ => throw new ArgumentOutOfRangeException(nameof(fence), fence, "x86-64 has no such fence."),
    };
}
