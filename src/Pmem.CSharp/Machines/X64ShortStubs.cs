using System.Buffers.Binary;

namespace Pmem;

//  bytes                                   instruction                             source
//  --------------------------------------  --------------------------------------  ---------------------------------
//  0F 10 /r   0F 11 /r   (44: xmm8-15)     movups xmm, m128   movups m128, xmm     Intel SDM vol. 2B, MOVUPS
//  48 8B /r   8B /r   0F B7 /r   0F B6 /r  mov r64, m   mov r32, m   movzx r32, m  the same, MOV, MOVZX
//  48 89 /r   89 /r   66 89 /r   40 88 /r  mov m, r64   r32   r16   r8             the same, MOV
//  66 48 0F 6E C6   66 0F 6C C0            movq xmm0, rsi   punpcklqdq xmm0, xmm0  the same, MOVQ, PUNPCKLQDQ
//  48 81 FA id   0F 82|83|85|87 cd         cmp rdx, id   jb|jae|jne|ja             the same, CMP, Jcc
//  48 8D 74 17 FF   48 83 E7 ib            lea rsi, [rdi+rdx-1]   and rdi, -ib     the same, LEA, AND
//  modrm 40|44: one byte of distance; 44 with sib 16|17: [rsi|rdi + rdx + distance]   Intel SDM vol. 2A, 2.1.5
//  write-backs, fences, ret                see X64Stubs.cs
//  0F 2B /r                                movntps m128, xmm (aligned)             the same, MOVNTPS
//  89 F8   09 D0   A8 3F   0F 85 cd        mov eax, edi   or eax, edx   test al, 63   jne
//                                                                                  the same, MOV, OR, TEST, Jcc
//  80 39 00   74 cb                        cmp byte [rcx], 0   je                  the same, CMP, Jcc
//  4C 89 C7   41 FF E1                     mov rdi, r8   jmp r9                    the same, MOV, JMP
//  arguments in rdi, rsi, rdx, rcx, r8, r9; rax and all vectors may be changed     System V ABI, AMD64 supplement, 3.2.3
//  a vector store never tears a word that is aligned to 8 bytes                    see LineStore.cs

/// <summary>
/// A whole short durable copy, or fill, as one function of <c>void (to, from or pattern, length, isClosed, owner, whenClosed)</c>: 1 to 256
/// bytes (sixteen vectors) are loaded, then stored through the cache, then each of their lines is written back, then the fence
/// waits. A persist is the end of it, for any length of 1 and more.
/// </summary>
/// <remarks>
/// Where the flag at <c>isClosed</c> is set, nothing is touched, and it goes on as <c>whenClosed(owner)</c>, called by the same caller.
/// From 16 bytes on by vectors from the start on and up to the end, which may overlap; below by words that may. All is loaded
/// before the first is stored, so the ranges may overlap. What one call is worth
/// against compiled code, which saves registers on the stack before the fence: docs/benchmarks.md.
/// </remarks>
internal static class X64ShortStubs
{
    private const int VectorBytes = 16;
    private const byte Rsi = 6, Rdi = 7, Below = 0x82, NotBelow = 0x83, NotEqual = 0x85, Above = 0x87;

    /// <summary>How each function begins: nothing is touched where the flag is set.</summary>
    private static readonly byte[] s_start = [.. X64Stubs.BranchTarget, 0x80, 0x39, 0x00, 0x74, 0x06, 0x4C, 0x89, 0xC7, 0x41, 0xFF, 0xE1];

    private static readonly byte[] s_return = [0xC3];

    /// <summary>Twice the second argument, in a vector.</summary>
    private static readonly byte[] s_pattern = [0x66, 0x48, 0x0F, 0x6E, 0xC6, 0x66, 0x0F, 0x6C, 0xC0];

    public static byte[] Copy(WriteBackKind kind, FenceKind fence, int lineSizeBytes) =>
        [.. s_start, .. Code([], CopyWord, CopyWords, CopyVectors, Ending(kind, fence, lineSizeBytes))];

    /// <summary>The second argument is the byte, eight times.</summary>
    public static byte[] Fill(WriteBackKind kind, FenceKind fence, int lineSizeBytes) =>
        [.. s_start, .. Code(s_pattern, FillWord, FillWords, FillVectors, Ending(kind, fence, lineSizeBytes))];

    /// <summary>A copy whose whole lines go past the cache, and are not written back.</summary>
    public static byte[] CopyPast(WriteBackKind kind, FenceKind fence, int lineSizeBytes) =>
        [.. s_start, .. Lines([], CopyVectorsPast, fence), .. Code([], CopyWord, CopyWords, CopyVectors, Ending(kind, fence, lineSizeBytes))];

    /// <inheritdoc cref="CopyPast"/>
    public static byte[] FillPast(WriteBackKind kind, FenceKind fence, int lineSizeBytes) =>
        [.. s_start, .. Lines(s_pattern, FillVectorsPast, fence), .. Code(s_pattern, FillWord, FillWords, FillVectors, Ending(kind, fence, lineSizeBytes))];

    /// <summary>The second argument is not used.</summary>
    public static byte[] Persist(WriteBackKind kind, FenceKind fence, int lineSizeBytes) => [.. s_start, .. Ending(kind, fence, lineSizeBytes)];

    /// <summary>1, 2, 4 or 8 bytes of the second argument by one store, and no write-back.</summary>
    public static byte[] Store() => [.. s_start, .. Exactly(FillWord, 8, s_return), .. Exactly(FillWord, 4, s_return), .. Exactly(FillWord, 2, s_return), .. FillWord(1), .. s_return];

    /// <summary>A way for each range of lengths, by words of so many bytes or by so many vectors, and each with its own ending.</summary>
    private static byte[] Code(byte[] start, Func<int, byte[]> word, Func<int, byte[]> words, Func<int, byte[]> vectors, byte[] ending)
    {
        byte[] longer =
        [
            .. Unless(2 * VectorBytes, Above, [.. vectors(2), .. ending]), .. Unless(4 * VectorBytes, Above, [.. vectors(4), .. ending]),
            .. Unless(8 * VectorBytes, Above, [.. vectors(8), .. ending]), .. vectors(16), .. ending,
        ];
        return [.. start, .. Unless(VectorBytes, NotBelow, Shorter(word, words, ending)), .. longer];
    }

    /// <summary>
    /// Less than a vector: one word where that is all, by one store, which another thread's compare-exchange comes before or after; else
    /// the first word and the last, which may overlap.
    /// </summary>
    private static byte[] Shorter(Func<int, byte[]> word, Func<int, byte[]> words, byte[] ending) =>
    [
        .. Exactly(word, 8, ending), .. Unless(8, Below, [.. words(8), .. ending]), .. Exactly(word, 4, ending), .. Unless(4, Below, [.. words(4), .. ending]),
        .. Exactly(word, 2, ending), .. Unless(2, Below, [.. words(2), .. ending]), .. word(1), .. ending,
    ];

    private static byte[] Exactly(Func<int, byte[]> word, int bytes, byte[] ending) => Unless(bytes, NotEqual, [.. word(bytes), .. ending]);

    /// <summary>The code, and a jump over it where the length compares so with this one.</summary>
    private static byte[] Unless(int length, byte condition, byte[] code) =>
        [0x48, 0x81, 0xFA, .. Word(length), 0x0F, condition, .. Word(code.Length), .. code];

    private static byte[] CopyWord(int bytes) => [.. Load(bytes, AtStart(0, Rsi)), .. Store(bytes, AtStart(0, Rdi))];

    private static byte[] CopyWords(int bytes) =>
    [
        .. Load(bytes, AtStart(0, Rsi)), .. Load(bytes, AtEnd(1, Rsi, -bytes)), .. Store(bytes, AtStart(0, Rdi)), .. Store(bytes, AtEnd(1, Rdi, -bytes)),
    ];

    private static byte[] FillWord(int bytes) => Store(bytes, AtStart(Rsi, Rdi));

    private static byte[] FillWords(int bytes) => [.. FillWord(bytes), .. Store(bytes, AtEnd(Rsi, Rdi, -bytes))];

    /// <summary>One to four whole lines past the cache, and then the fence; a jump over it where the destination is something else.</summary>
    private static byte[] Lines(byte[] start, Func<int, byte[]> vectors, FenceKind fence)
    {
        byte[] ending = [.. X64Stubs.Instruction(fence), 0xC3];
        byte[] lines =
        [
            .. start, .. Unless(64, Above, [.. vectors(4), .. ending]), .. Unless(128, Above, [.. vectors(8), .. ending]),
            .. Unless(192, Above, [.. vectors(12), .. ending]), .. vectors(16), .. ending,
        ];
        return [0x89, 0xF8, 0x09, 0xD0, 0xA8, 0x3F, 0x0F, 0x85, .. Word(lines.Length), .. lines];
    }

    private static byte[] CopyVectors(int count) => [.. Loads(count), .. EachVector(count, 0x11, Rdi, vector => vector)];

    private static byte[] CopyVectorsPast(int count) => [.. Loads(count), .. EachVector(count, 0x2B, Rdi, vector => vector)];

    private static byte[] Loads(int count) => EachVector(count, 0x10, Rsi, vector => vector);

    private static byte[] FillVectors(int count) => EachVector(count, 0x11, Rdi, _ => 0);

    private static byte[] FillVectorsPast(int count) => EachVector(count, 0x2B, Rdi, _ => 0);

    /// <summary>Half of the vectors from the start on, half up to the end.</summary>
    private static byte[] EachVector(int count, byte operation, byte address, Func<int, int> register) =>
    [
        .. Enumerable.Range(0, count).SelectMany(vector =>
        {
            byte field = (byte)(register(vector) & 7);
            byte[] place = vector < count / 2 ? AtStart(field, address, vector * VectorBytes) : AtEnd(field, address, (vector - count) * VectorBytes);
            byte[] prefix = register(vector) < 8 ? [] : [0x44];
            return (byte[])[.. prefix, 0x0F, operation, .. place];
        }),
    ];

    private static byte[] Load(int bytes, byte[] place) => bytes switch
    {
        8 => [0x48, 0x8B, .. place],
        4 => [0x8B, .. place],
        2 => [0x0F, 0xB7, .. place],
        _ => [0x0F, 0xB6, .. place],
    };

    private static byte[] Store(int bytes, byte[] place) => bytes switch
    {
        8 => [0x48, 0x89, .. place],
        4 => [0x89, .. place],
        2 => [0x66, 0x89, .. place],
        _ => [0x40, 0x88, .. place],
    };

    private static byte[] AtStart(byte register, byte address, int distance = 0) => [(byte)(0x40 | (register << 3) | address), (byte)distance];

    private static byte[] AtEnd(byte register, byte address, int distance) => [(byte)(0x44 | (register << 3)), (byte)(0x10 | address), (byte)distance];

    /// <summary>Writes back each line of the destination, the first to the last byte's, and waits.</summary>
    private static byte[] Ending(WriteBackKind kind, FenceKind fence, int lineSizeBytes)
    {
        byte[] loop = [.. X64Stubs.WriteBackRdi(kind), 0x48, 0x83, 0xC7, (byte)lineSizeBytes, .. X64Stubs.CompareRdiRsi];
        byte[] lastByte = [0x48, 0x8D, 0x74, 0x17, 0xFF], firstLine = [0x48, 0x83, 0xE7, (byte)-lineSizeBytes];
        return [.. lastByte, .. firstLine, .. loop, 0x76, (byte)-(loop.Length + 2), .. X64Stubs.Instruction(fence), 0xC3];
    }

    private static byte[] Word(int value)
    {
        byte[] bytes = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
        return bytes;
    }
}
