namespace Pmem;

//  bytes                        instruction        source
//  ---------------------------  -----------------  ----------------------------------------
//  F3 0F 1E FA                  endbr64            Intel SDM vol. 2A, ENDBR64: where indirect branches are tracked (CET),
//                                                  one may lead here only; elsewhere it does nothing
//  66 0F AE /6   66 0F AE 37    clwb [rdi]         Intel SDM vol. 2A, CLWB
//  66 0F AE /7   66 0F AE 3F    clflushopt [rdi]   Intel SDM vol. 2A, CLFLUSHOPT
//  0F AE /7      0F AE 3F       clflush [rdi]      Intel SDM vol. 2A, CLFLUSH
//  0F AE F8                     sfence             Intel SDM vol. 2B, SFENCE
//  0F AE F0                     mfence             Intel SDM vol. 2B, MFENCE
//  first arguments in rdi, rsi; both may be changed by the callee    System V ABI, AMD64 supplement, 3.2.3

/// <summary>x86-64, System V.</summary>
internal readonly struct X64Stubs : IStubCode
{
    internal static readonly byte[] BranchTarget = [0xF3, 0x0F, 0x1E, 0xFA];
    internal static readonly byte[] CompareRdiRsi = [0x48, 0x39, 0xF7];

    public static IReadOnlyList<WriteBackKind> WriteBacks { get; } = [WriteBackKind.Clwb, WriteBackKind.ClflushOpt, WriteBackKind.Clflush];

    public static IReadOnlyList<FenceKind> Fences { get; } = [FenceKind.Sfence, FenceKind.Mfence];

    /// <inheritdoc/>
    /// <remarks>The distance from line to line is at most 64 here, the line of every x86-64 processor.</remarks>
    public static byte[] WriteBack(WriteBackKind kind, FenceKind? fence, int lineSizeBytes)
    {
        byte[] writeBack = WriteBackRdi(kind);
        byte[] nextLine = [0x48, 0x83, 0xC7, (byte)lineSizeBytes];
        const int jumpLength = 2;
        int loopLength = writeBack.Length + nextLine.Length + CompareRdiRsi.Length + jumpLength;
        return [.. BranchTarget, .. writeBack, .. nextLine, .. CompareRdiRsi, 0x72, (byte)-loopLength, .. Instruction(fence), 0xC3];
    }

    public static byte[][] Short(WriteBackKind kind, FenceKind fence, int lineSizeBytes) =>
        [X64ShortStubs.Copy(kind, fence, lineSizeBytes), X64ShortStubs.Fill(kind, fence, lineSizeBytes)];

    public static byte[] Fence(FenceKind fence) => [.. BranchTarget, .. Instruction(fence), 0xC3];

    internal static byte[] WriteBackRdi(WriteBackKind kind) => kind switch
    {
        { IsClwb: true } => [0x66, 0x0F, 0xAE, 0x37],
        { IsClflushOpt: true } => [0x66, 0x0F, 0xAE, 0x3F],
        { IsClflush: true } => [0x0F, 0xAE, 0x3F],
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "x86-64 has no such write-back."),
    };

    internal static byte[] Instruction(FenceKind? fence) => fence switch
    {
        null => [],
        { IsSfence: true } => [0x0F, 0xAE, 0xF8],
        { IsMfence: true } => [0x0F, 0xAE, 0xF0],
        _ => throw new ArgumentOutOfRangeException(nameof(fence), fence, "x86-64 has no such fence."),
    };
}
