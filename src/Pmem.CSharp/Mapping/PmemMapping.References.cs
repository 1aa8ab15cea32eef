using System.Runtime.CompilerServices;

namespace Pmem;

/// <content>Fields where they are: references into the mapping.</content>
public sealed unsafe partial class PmemMapping
{
    /// <summary>A value of the mapping, to read and store. Must not be used after Dispose.</summary>
    /// <param name="offset">Its first byte, in the mapping; any alignment.</param>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    /// <remarks>
    /// The fields lie as .NET lays them out: in the order of the source for a struct, unless it says otherwise
    /// (StructLayoutAttribute). Pin the layout of what outlives the program.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref T Ref<T>(long offset) where T : unmanaged
    {
        ThrowIfReadOnly();
        CheckRange(offset, sizeof(T));
        ThrowIfClosed();
        // SAFETY: the range lies in the mapping, which is mapped now; the caller must not use the reference after Dispose.
        return ref Unsafe.AsRef<T>((byte*)_address + offset);
    }

    /// <summary>Makes a field durable where it is, as in <c>map.Persist(in account.Balance)</c>; in F# <c>map.Persist &amp;account.Balance</c>.</summary>
    /// <param name="field">A reference into the mapping, got from <see cref="Ref{T}"/> or a span of it.</param>
    /// <exception cref="ArgumentException">It does not lie in the mapping: it is a copy, or something else.</exception>
    /// <exception cref="PmemException">The storage failed, at this call or before; what was stored may be lost.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Persist<T>(ref readonly T field) where T : unmanaged => Persist(OffsetOf(in field), sizeof(T));

    /// <summary>Starts making a field durable where it is; it is after the next <see cref="Drain"/>.</summary>
    /// <param name="field">A reference into the mapping.</param>
    /// <exception cref="ArgumentException">It does not lie in the mapping: it is a copy, or something else.</exception>
    /// <exception cref="PmemException">With page granularity: the storage failed before.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Flush<T>(ref readonly T field) where T : unmanaged => Flush(OffsetOf(in field), sizeof(T));

    /// <summary>Where a field lies in the mapping, in bytes.</summary>
    /// <param name="field">A reference into the mapping.</param>
    /// <exception cref="ArgumentException">It does not lie in the mapping: it is a copy, or something else.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public long OffsetOf<T>(ref readonly T field) where T : unmanaged
    {
        // SAFETY: only the address is looked at. What lies in the mapping does not move; what moves does not lie in it.
        long offset = (nint)Unsafe.AsPointer(ref Unsafe.AsRef(in field)) - _address;
        if (!Bounds.isInside(_length, offset, sizeof(T))) ThrowForeign(nameof(field));
        return offset;
    }

    /// <summary>The bytes of a field, to build a flush plan from: <c>FlushPlan.Of(map.RangeOf(in a.Count), map.RangeOf(in b.Sum))</c>.</summary>
    /// <param name="field">A reference into the mapping.</param>
    /// <exception cref="ArgumentException">It does not lie in the mapping: it is a copy, or something else.</exception>
    public ByteRange RangeOf<T>(ref readonly T field) where T : unmanaged => new(OffsetOf(in field), sizeof(T));

    [System.Diagnostics.CodeAnalysis.DoesNotReturn]
    private void ThrowForeign(string parameter) => throw new ArgumentException(
        $"The reference does not lie in the mapping of '{Path}'. Take one from {nameof(Ref)} or a span of it, and no copy.", parameter);
}
