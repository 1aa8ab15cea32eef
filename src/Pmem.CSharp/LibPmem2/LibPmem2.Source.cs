using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Pmem;

/// <content>Sources, and what is known of them.</content>
public static unsafe partial class LibPmem2
{
    /// <summary><c>pmem2_source_from_fd</c>: a descriptor that is open to read, or to read and write, and stays the caller's.</summary>
    public static int SourceFromFd(out Pmem2Source? source, int descriptor)
    {
        Pmem2Source? made = null;
        int result = Try(() =>
        {
            if (descriptor < 0) return Fail(Pmem2Error.InvalidFileHandle, $"{descriptor} is no descriptor");
            made = new Pmem2Source(PmemSource.Open(new SafeFileHandle(descriptor, ownsHandle: false)), descriptor);
            return 0;
        });
        source = made;
        const int noSuchDescriptor = -9;
        return result == noSuchDescriptor ? Pmem2Error.InvalidFileHandle : result;
    }

    /// <summary><c>pmem2_source_from_anon</c>: memory without a file.</summary>
    public static int SourceFromAnon(out Pmem2Source? source, nuint size)
    {
        source = size <= long.MaxValue ? new Pmem2Source(PmemSource.Anonymous((long)size), null) : null;
        return source is null ? Fail(-Errno.EINVAL, "the size is over 2^63 - 1") : 0;
    }

    /// <summary><c>pmem2_source_delete</c></summary>
    public static int SourceDelete(ref Pmem2Source? source)
    {
        source = null;
        return 0;
    }

    /// <summary><c>pmem2_source_get_fd</c></summary>
    public static int SourceGetFd(Pmem2Source source, out int descriptor)
    {
        descriptor = source.Descriptor ?? -1;
        return source.Descriptor is null ? Fail(Pmem2Error.FileDescriptorNotSet, "memory without a file has no descriptor") : 0;
    }

    /// <summary><c>pmem2_source_size</c></summary>
    public static int SourceSize(Pmem2Source source, out nuint size) => Ask(() => (nuint)source.Source.Length, out size);

    /// <summary><c>pmem2_source_alignment</c>: what offset and length of a mapping must be multiples of.</summary>
    public static int SourceAlignment(Pmem2Source source, out nuint alignment) => Ask(() => (nuint)source.Source.Alignment, out alignment);

    /// <summary><c>pmem2_source_device_usc</c>: the unsafe shutdown count of the NVDIMMs behind it.</summary>
    public static int SourceDeviceUsc(Pmem2Source source, out ulong count) => Ask(() => (ulong)source.Source.UnsafeShutdownCount, out count);

    /// <summary><c>pmem2_source_numa_node</c></summary>
    public static int SourceNumaNode(Pmem2Source source, out int node) =>
        Ask(() => source.Source.NumaNode, out node, source.Source.IsAnonymous ? Pmem2Error.NotSupported : Pmem2Error.DaxRegionNotFound);

    /// <summary><c>pmem2_source_device_id</c>: with null only the length of the buffer that it needs, with the zero at its end.</summary>
    public static int SourceDeviceId(Pmem2Source source, byte* id, ref nuint length)
    {
        int result = Ask(() => source.Source.DeviceId, out string? text);
        if (result != 0) return result;
        nuint needed = (nuint)Encoding.UTF8.GetByteCount(text!) + 1;
        if (id is null)
        {
            length = needed;
            return 0;
        }
        if (length < needed) return Fail(Pmem2Error.BufferTooSmall, $"the identifier has {needed} bytes, the buffer {length}");
        // SAFETY: the caller's buffer has the length that it says, which is enough.
        var buffer = new Span<byte>(id, (int)needed);
        buffer[Encoding.UTF8.GetBytes(text!, buffer)] = 0;
        return 0;
    }

    /// <summary><c>pmem2_source_pread_mcsafe</c>: reads, and survives bad blocks.</summary>
    public static int SourcePreadMcsafe(Pmem2Source source, void* buffer, nuint size, nuint offset) => Try(() =>
    {
        if (Outside(source, size, offset) is var code && (code != 0 || size == 0)) return code;
        // SAFETY: the caller's buffer has that size.
        return source.Source.TryRead((long)offset, new Span<byte>(buffer, (int)size), out PmemException? error) ? 0 : CodeOfCopy(error);
    });

    /// <summary><c>pmem2_source_pwrite_mcsafe</c>: writes, and survives bad blocks.</summary>
    public static int SourcePwriteMcsafe(Pmem2Source source, void* buffer, nuint size, nuint offset) => Try(() =>
    {
        if (Outside(source, size, offset) is var code && (code != 0 || size == 0)) return code;
        // SAFETY: the caller's buffer has that size.
        return source.Source.TryWrite((long)offset, new ReadOnlySpan<byte>(buffer, (int)size), out PmemException? error) ? 0 : CodeOfCopy(error);
    });

    /// <summary><c>pmem2_badblock_context_new</c>: finds the bad blocks of a source.</summary>
    public static int BadBlockContextNew(out Pmem2BadBlockContext? context, Pmem2Source source) =>
        Ask(() => new Pmem2BadBlockContext(source.Source), out context);

    /// <summary><c>pmem2_badblock_context_delete</c></summary>
    public static void BadBlockContextDelete(ref Pmem2BadBlockContext? context) => context = null;

    /// <summary><c>pmem2_badblock_next</c>: the next one; NoBadBlockFound where there are no more.</summary>
    public static int BadBlockNext(Pmem2BadBlockContext context, out Pmem2BadBlock block)
    {
        bool isThere = context.Left.TryDequeue(out ByteRange range);
        block = new Pmem2BadBlock((nuint)range.Offset, (nuint)range.Length);
        return isThere ? 0 : Fail(Pmem2Error.NoBadBlockFound, "there are no more bad blocks");
    }

    /// <summary><c>pmem2_badblock_clear</c>: replaces a bad block by a healthy one, which reads as zero.</summary>
    public static int BadBlockClear(Pmem2BadBlockContext context, Pmem2BadBlock block) => Try(() =>
    {
        if (block.Offset > long.MaxValue) return Fail(Pmem2Error.OffsetOutOfRange, "the offset is over 2^63 - 1");
        if (block.Length > long.MaxValue) return Fail(Pmem2Error.LengthOutOfRange, "the length is over 2^63 - 1");
        context.Source.ClearBadBlocks(new ByteRange((long)block.Offset, (long)block.Length));
        return 0;
    });

    private static int Outside(Pmem2Source source, nuint size, nuint offset)
    {
        if (source.Source.IsAnonymous) return Fail(Pmem2Error.SourceTypeNotSupported, "memory without a file is not read and written as one");
        if (size == 0) return 0;
        bool isInside = size <= int.MaxValue && offset <= long.MaxValue && Bounds.isWithin(source.Source.Length, (long)offset, (long)size);
        return isInside ? 0 : Fail(Pmem2Error.LengthOutOfRange, $"{size} bytes at {offset} do not lie in the source, or are over 2^31 - 1");
    }

    private static int CodeOfCopy(PmemException error) =>
        Fail(Failures.ErrnoOf(error) is var number and not (Errno.EIO or Errno.EFAULT) ? -number : Pmem2Error.IoFail, error.Message);

    private static int Ask<T>(Func<T> question, out T answer, int notKnown = Pmem2Error.NotSupported)
    {
        T found = default!;
        int result = Try(
            () =>
            {
                found = question();
                return 0;
            },
            notKnown);
        answer = found;
        return result;
    }
}
