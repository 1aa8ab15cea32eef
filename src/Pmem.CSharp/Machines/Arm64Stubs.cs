using System.Buffers.Binary;

namespace Pmem;

//  word                        instruction        source
//  --------------------------  -----------------  ----------------------------------------
//  D503245F                    bti c              Arm ARM DDI 0487, BTI: where branch targets are guarded, a call may lead
//                                                 here only; elsewhere it does nothing
//  D50B7C20 | D50B7D20         dc cvap, x0 | dc cvadp, x0    the same, DC CVAP (FEAT_DPB), DC CVADP (FEAT_DPB2)
//  91000000 | size << 10       add x0, x0, #size  the same, ADD (immediate); size is under 4096
//  EB01001F                    cmp x0, x1         the same, SUBS
//  54FFFFA3                    b.lo -12           the same, B.cond: the branch is the fourth word of the loop
//  D5033F9F                    dsb sy             the same, DSB
//  D65F03C0                    ret                the same, RET
//  D53B0020                    mrs x0, ctr_el0    the same, CTR_EL0; Linux emulates it where it traps: arch/arm64/kernel/traps.c
//  DminLine, bits 16 to 19: log2 of the words of the shortest line of any data cache        the same, CTR_EL0
//  first arguments in x0, x1; both may be changed by the callee      AAPCS64, 6.1.1

/// <summary>Arm64, AAPCS64.</summary>
internal readonly struct Arm64Stubs : IStubCode
{
    private const uint BranchTarget = 0xD503245F, Compare = 0xEB01001F, BackWhileLower = 0x54FFFFA3, Return = 0xD65F03C0;

    public static IReadOnlyList<WriteBackKind> WriteBacks { get; } = [WriteBackKind.DcCvap, WriteBackKind.DcCvadp];

    public static IReadOnlyList<FenceKind> Fences { get; } = [FenceKind.DsbSy];

    public static byte[] WriteBack(WriteBackKind kind, FenceKind? fence, int lineSizeBytes) => fence is null
        ? Code(BranchTarget, WriteBackX0(kind), NextLine(lineSizeBytes), Compare, BackWhileLower, Return)
        : Code(BranchTarget, WriteBackX0(kind), NextLine(lineSizeBytes), Compare, BackWhileLower, Instruction(fence), Return);

    /// <summary>Code of <c>ulong ()</c>: the cache type register.</summary>
    public static byte[] CacheType { get; } = Code(BranchTarget, 0xD53B0020, Return);

    /// <summary>The distance of write-backs, in bytes: 4 to 131072.</summary>
    public static int LineSizeBytes(ulong cacheType) => sizeof(uint) << (int)((cacheType >> 16) & 0xF);

    public static byte[] Fence(FenceKind fence) => Code(BranchTarget, Instruction(fence), Return);

    private static uint WriteBackX0(WriteBackKind kind) => kind switch
    {
        { IsDcCvap: true } => 0xD50B7C20,
        { IsDcCvadp: true } => 0xD50B7D20,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Arm64 has no such write-back."),
    };

    private static uint Instruction(FenceKind fence) => fence.IsDsbSy
        ? 0xD5033F9F
        : throw new ArgumentOutOfRangeException(nameof(fence), fence, "Arm64 has no such fence.");

    private static uint NextLine(int lineSizeBytes) => 0x91000000 | ((uint)lineSizeBytes << 10);

    private static byte[] Code(params ReadOnlySpan<uint> words)
    {
        byte[] code = new byte[words.Length * sizeof(uint)];
        for (int i = 0; i < words.Length; i++) BinaryPrimitives.WriteUInt32LittleEndian(code.AsSpan(i * sizeof(uint)), words[i]);
        return code;
    }
}
