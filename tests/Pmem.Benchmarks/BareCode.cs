using System.Buffers.Binary;

namespace Pmem.Benchmarks;

//  bytes                                   instruction                          source
//  --------------------------------------  -----------------------------------  ------------------------------------
//  48 8B 06 | 48 89 07                     mov rax, [rsi] | mov [rdi], rax      Intel SDM vol. 2, MOV
//  C5 FA|FE 6F|7F /r (C5 7A|7E: reg 8-15)  vmovdqu xmm|ymm, [rsi] and back      the same, MOVDQU
//  C5 FD E7 /r (C5 7D: reg 8-15)           vmovntdq [rdi], ymm                  the same, MOVNTDQ
//  48 8D B7 disp32                         lea rsi, [rdi + disp32]              the same, LEA
//  48 83 E7 C0                             and rdi, -64                         the same, AND
//  76 rel8                                 jbe                                  the same, Jcc
//  C5 F8 77                                vzeroupper                           the same, VZEROUPPER
//  write-backs, fences, add, cmp           see X64Stubs.cs

/// <summary>
/// The limit: a durable copy of one length as machine code that does nothing else. All is loaded, then stored; then each line is
/// written back; then the fence. Without bounds, without a choice of ways, without a call but its own.
/// </summary>
internal sealed unsafe class BareCode
{
    private const int VectorBytes = 32, Registers = 16;

    public readonly delegate* unmanaged[Cdecl, SuppressGCTransition]<byte*, byte*, void> Copy;

    /// <param name="lengthBytes">8, or 16 to 512.</param>
    /// <param name="isPast">Past the cache, without a write-back: whole lines only.</param>
    /// <param name="platform">Whose write-back and fence.</param>
    public BareCode(int lengthBytes, bool isPast, Platform platform)
    {
        byte[] code =
        [
            .. Stores(lengthBytes, isPast), .. isPast ? [] : WriteBacks(lengthBytes, platform),
            0x0F, 0xAE, (byte)(platform.Fence.IsMfence ? 0xF0 : 0xF8), 0xC5, 0xF8, 0x77, 0xC3,
        ];
        nint[] placed = ExecutablePage.TryPlace(code) ?? throw new InvalidOperationException("No executable memory.");
        Copy = (delegate* unmanaged[Cdecl, SuppressGCTransition]<byte*, byte*, void>)placed[0];
    }

    private static byte[] Stores(int length, bool isPast)
    {
        if (length == 8) return [0x48, 0x8B, 0x06, 0x48, 0x89, 0x07];
        bool isHalf = length < VectorBytes;
        int vector = isHalf ? VectorBytes / 2 : VectorBytes;
        // One behind the other, and the last one where the bytes end.
        int[] offsets = [.. Enumerable.Range(0, length / vector).Select(i => i * vector), .. length % vector == 0 ? Array.Empty<int>() : [length - vector]];
        if (offsets.Length > Registers) throw new ArgumentOutOfRangeException(nameof(length), length, "More bytes than registers hold.");
        byte load = (byte)(isHalf ? 0xFA : 0xFE), store = isPast ? (byte)0xFD : load;
        return
        [
            .. offsets.SelectMany((offset, register) => Vector(load, 0x6F, register, rsi: true, offset)),
            .. offsets.SelectMany((offset, register) => Vector(store, isPast ? (byte)0xE7 : (byte)0x7F, register, rsi: false, offset)),
        ];
    }

    private static byte[] Vector(byte prefix, byte operation, int register, bool rsi, int offset) =>
    [
        0xC5, (byte)(register < 8 ? prefix : prefix & 0x7F), operation, (byte)(0x80 | ((register & 7) << 3) | (rsi ? 6 : 7)), .. Word(offset),
    ];

    private static byte[] WriteBacks(int length, Platform platform)
    {
        byte[] writeBack = platform.WriteBack switch
        {
            { IsClwb: true } => [0x66, 0x0F, 0xAE, 0x37],
            { IsClflushOpt: true } => [0x66, 0x0F, 0xAE, 0x3F],
            _ => [0x0F, 0xAE, 0x3F],
        };
        byte[] loop = [.. writeBack, 0x48, 0x83, 0xC7, 0x40, 0x48, 0x39, 0xF7];
        return [0x48, 0x8D, 0xB7, .. Word(length - 1), 0x48, 0x83, 0xE7, 0xC0, .. loop, 0x76, (byte)-(loop.Length + 2)];
    }

    private static byte[] Word(int value)
    {
        byte[] bytes = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
        return bytes;
    }
}
