using System.Runtime.InteropServices;

namespace Pmem.Testing;

/// <summary>
/// Test doubles of the write-back stubs, in machine code as they are: each call appends its two arguments to a buffer, so it
/// can be called as the real ones are, without the runtime noticing.
/// </summary>
internal sealed unsafe class StubRecorder : IDisposable
{
    private const int BufferBytes = 1 << 20;
    private readonly nint _buffer;

    public StubRecorder()
    {
        // The first word of the buffer points to where the next pair goes.
        _buffer = TestMemory.Map(BufferBytes);
        *(nint*)_buffer = _buffer + sizeof(nint);
        nint[] stubs = ExecutablePage.TryPlace(Code(isFenced: 0), Code(isFenced: 1)) ?? throw new PmemException("no executable memory");
        Lines = new StubLines(stubs[0], stubs[1], stubs[0], 0, isFullFence: false);
    }

    /// <summary>Instructions that call the doubles.</summary>
    public StubLines Lines { get; }

    /// <summary>The calls: start, end, and whether it was the stub with the fence.</summary>
    public IReadOnlyList<(nint Start, nint End, bool IsFenced)> Calls()
    {
        var calls = new List<(nint, nint, bool)>();
        for (nint at = _buffer + sizeof(nint); at < *(nint*)_buffer; at += 3 * sizeof(nint))
            calls.Add((*(nint*)at, *(nint*)(at + 8), *(nint*)(at + 16) != 0));
        return calls;
    }

    public void Dispose() => TestMemory.Unmap(_buffer, BufferBytes);

    private byte[] Code(byte isFenced) => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? Arm64Code(isFenced) : X64Code(isFenced);

    private byte[] Arm64Code(byte isFenced)
    {
        uint[] words =
        [
            0xD503245F,                                             // bti c
            0x58000122,                                             // ldr x2, buffer
            0xF9400043,                                             // ldr x3, [x2]
            0xF8008460,                                             // str x0, [x3], #8
            0xF8008461,                                             // str x1, [x3], #8
            0xD2800004 | ((uint)isFenced << 5),                     // mov x4, isFenced
            0xF8008464,                                             // str x4, [x3], #8
            0xF9000043,                                             // str x3, [x2]
            0xD65F03C0,                                             // ret
            0xD503201F,                                             // nop, so that the address is aligned
        ];
        return [.. MemoryMarshal.AsBytes<uint>(words), .. BitConverter.GetBytes(_buffer)];
    }

    private byte[] X64Code(byte isFenced)
    {
        // The first two arguments: in rcx and rdx on Windows, else in rdi and rsi.
        (byte start, byte end) = OperatingSystem.IsWindows() ? ((byte)0x08, (byte)0x50) : ((byte)0x38, (byte)0x70);
        return
        [
            0x48, 0xB8, .. BitConverter.GetBytes(_buffer),              // mov rax, buffer
            0x4C, 0x8B, 0x00,                                           // mov r8, [rax]
            0x49, 0x89, start,                                          // mov [r8], rdi
            0x49, 0x89, end, 0x08,                                      // mov [r8+8], rsi
            0x49, 0xC7, 0x40, 0x10, isFenced, 0, 0, 0,                  // mov qword [r8+16], isFenced
            0x49, 0x83, 0xC0, 0x18,                                     // add r8, 24
            0x4C, 0x89, 0x00,                                           // mov [rax], r8
            0xC3,                                                       // ret
        ];
    }
}
