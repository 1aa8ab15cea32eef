namespace Pmem;

/// <summary>Where a mapping should lie, so that the largest pages that fit it can be used.</summary>
internal static class Placement
{
    /// <summary>A random slot of this many is chosen, besides the randomisation that the kernel does.</summary>
    private const int RandomSlots = 16;

    /// <summary>The first address from here on that lies in its huge page as the file offset does.</summary>
    public static long At(long address, in MapPlan plan)
    {
        long within = plan.Bytes.Offset - new ByteRange(plan.Bytes.Offset, 0).AlignOut(plan.AlignmentBytes).Offset;
        return WholeUnits(Math.Max(0, address - within), plan.AlignmentBytes) + within;
    }

    /// <summary>
    /// A free address that lies in its huge page as the file offset does, in a random slot; 0 where there is not that much
    /// address space. It was free a moment ago: it is a hint.
    /// </summary>
    /// <param name="plan">What is to be mapped.</param>
    /// <param name="findRoom">Where so many bytes are free at this moment; 0 where they are nowhere.</param>
    public static nint FindFree(in MapPlan plan, Func<long, nint> findRoom)
    {
        long slot = Random.Shared.Next(RandomSlots) * plan.AlignmentBytes;
        long room = WholeUnits(plan.Bytes.Length, Environment.SystemPageSize) + plan.AlignmentBytes * (RandomSlots + 2);
        nint start = room < 0 ? 0 : findRoom(room);
        return start == 0 ? 0 : (nint)(At(start, plan) + slot);
    }

    private static long WholeUnits(long lengthBytes, long unitBytes) => new ByteRange(0, lengthBytes).AlignOut(unitBytes).Length;
}
