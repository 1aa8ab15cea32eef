using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Pmem.Testing;

/// <summary>Where in its object a thread's slot lies: what a test cannot see from outside.</summary>
internal static class SlotPlace
{
    private sealed class Anything
    {
        public byte First;
    }

    /// <summary>Bytes of the object before the slot, bytes after it, and what the slot holds.</summary>
    public static (int Before, int After, long Value) Of(InFlight slot)
    {
        FieldInfo field = typeof(InFlight).GetFields(BindingFlags.Instance | BindingFlags.NonPublic).Single(field => field.FieldType == typeof(long));
        int offset = field.GetCustomAttribute<FieldOffsetAttribute>()!.Value;
        int size = typeof(InFlight).StructLayoutAttribute!.Size;
        // SAFETY: the fields of an object begin where the first field of any does, and the slot lies within this one.
        ref byte fields = ref Unsafe.As<Anything>(slot).First;
        return (offset, size - offset - sizeof(long), Unsafe.ReadUnaligned<long>(ref Unsafe.Add(ref fields, offset)));
    }
}
