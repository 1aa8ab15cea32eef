namespace Pmem;

//  bytes                                       instruction                 source
//  ------------------------------------------  --------------------------  ----------------------------------------
//  F3 0F 1E FA                                 endbr64                     Intel SDM vol. 2A, ENDBR64: where indirect branches are
//                                                                          tracked (CET), one may lead here only; elsewhere it does nothing
//  66 0F AE /6   66 0F AE 37 | 31              clwb [rdi | rcx]            Intel SDM vol. 2A, CLWB
//  66 0F AE /7   66 0F AE 3F | 39              clflushopt [rdi | rcx]      Intel SDM vol. 2A, CLFLUSHOPT
//  0F AE /7      0F AE 3F | 39                 clflush [rdi | rcx]         Intel SDM vol. 2A, CLFLUSH
//  48 83 /0 ib   48 39 /r                      add rdi | rcx, ib           Intel SDM vol. 2A, ADD, CMP
//                                              cmp rdi, rsi | rcx, rdx
//  0F AE F8                                    sfence                      Intel SDM vol. 2B, SFENCE
//  0F AE F0                                    mfence                      Intel SDM vol. 2B, MFENCE
//  first arguments in rdi, rsi; both may be changed by the callee          System V ABI, AMD64 supplement, 3.2.3
//  first arguments in rcx, rdx; both may be changed by the callee          Microsoft, "x64 calling convention"

/// <summary>x86-64, System V.</summary>
internal readonly struct X64Stubs : IStubCode
{
    private const byte Rdi = 7, Rsi = 6;

    internal static readonly byte[] BranchTarget = [0xF3, 0x0F, 0x1E, 0xFA];
    internal static readonly byte[] CompareRdiRsi = Compare(Rdi, Rsi);

    public static IReadOnlyList<WriteBackKind> WriteBacks { get; } = [WriteBackKind.Clwb, WriteBackKind.ClflushOpt, WriteBackKind.Clflush];

    public static IReadOnlyList<FenceKind> Fences { get; } = [FenceKind.Sfence, FenceKind.Mfence];

    /// <inheritdoc/>
    /// <remarks>The distance from line to line is at most 64 here, the line of every x86-64 processor.</remarks>
    public static byte[] WriteBack(WriteBackKind kind, FenceKind? fence, int lineSizeBytes) => Loop(kind, fence, lineSizeBytes, Rdi, Rsi);

    public static byte[][] Short(WriteBackKind kind, FenceKind fence, int lineSizeBytes) =>
    [
        X64ShortStubs.Copy(kind, fence, lineSizeBytes), X64ShortStubs.CopyPast(kind, fence, lineSizeBytes),
        X64ShortStubs.Fill(kind, fence, lineSizeBytes), X64ShortStubs.FillPast(kind, fence, lineSizeBytes),
        X64ShortStubs.Persist(kind, fence, lineSizeBytes), X64ShortStubs.Store(),
    ];

    public static byte[] Fence(FenceKind fence) => [.. BranchTarget, .. Instruction(fence), 0xC3];

    internal static byte[] WriteBackRdi(WriteBackKind kind) => WriteBack(kind, Rdi);

    internal static byte[] Instruction(FenceKind? fence) => fence switch
    {
        null => [],
        { IsSfence: true } => [0x0F, 0xAE, 0xF8],
        { IsMfence: true } => [0x0F, 0xAE, 0xF0],
        _ => throw new ArgumentOutOfRangeException(nameof(fence), fence, "x86-64 has no such fence."),
    };

    /// <summary>The loop over the lines from what one register holds to what another does.</summary>
    internal static byte[] Loop(WriteBackKind kind, FenceKind? fence, int lineSizeBytes, byte start, byte end)
    {
        byte[] line = [.. WriteBack(kind, start), 0x48, 0x83, (byte)(0xC0 | start), (byte)lineSizeBytes, .. Compare(start, end)];
        const int jumpLength = 2;
        return [.. BranchTarget, .. line, 0x72, (byte)-(line.Length + jumpLength), .. Instruction(fence), 0xC3];
    }

    private static byte[] Compare(byte left, byte right) => [0x48, 0x39, (byte)(0xC0 | (right << 3) | left)];

    private static byte[] WriteBack(WriteBackKind kind, byte address) => kind switch
    {
        { IsClwb: true } => [0x66, 0x0F, 0xAE, (byte)(0x30 | address)],
        { IsClflushOpt: true } => [0x66, 0x0F, 0xAE, (byte)(0x38 | address)],
        { IsClflush: true } => [0x0F, 0xAE, (byte)(0x38 | address)],
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "x86-64 has no such write-back."),
    };
}

/// <summary>x86-64 as Windows calls it. Short copies have no code here, and are made of the other members.</summary>
internal readonly struct X64WindowsStubs : IStubCode
{
    private const byte Rcx = 1, Rdx = 2;

    public static IReadOnlyList<WriteBackKind> WriteBacks => X64Stubs.WriteBacks;

    public static IReadOnlyList<FenceKind> Fences => X64Stubs.Fences;

    public static byte[] WriteBack(WriteBackKind kind, FenceKind? fence, int lineSizeBytes) =>
        X64Stubs.Loop(kind, fence, lineSizeBytes, Rcx, Rdx);

    public static byte[] Fence(FenceKind fence) => X64Stubs.Fence(fence);
}
