namespace Pmem;

/// <summary>Copies as a plain loop does, and tells the persister what the copy that the plan says would make durable.</summary>
internal sealed unsafe class RecordingCopier(RecordingPersister persister, nint address) : Copier
{
    public override Exception? Move(byte* to, byte* from, nuint length, CopyPlan plan)
    {
        if (persister.GoesPast(plan, (long)length))
        {
            // SAFETY: the mapping checked the range of the source, or the caller pinned it; it stays until this call returns.
            byte[] copied = new Span<byte>(from, (int)length).ToArray();
            return persister.StorePast((nint)to - address, copied) ?? Complete(to, 0, plan);
        }
        // SAFETY: the mapping checked both ranges, and stays mapped until this call has left it.
        Buffer.MemoryCopy(from, to, length, length);
        return Complete(to, length, plan);
    }

    public override Exception? Fill(byte* to, byte value, nuint length, CopyPlan plan)
    {
        byte[] filled = new byte[length];
        Array.Fill(filled, value);
        // SAFETY: the array is pinned, and as long as the range.
        fixed (byte* from = filled) return Move(to, from, length, plan);
    }

    private Exception? Complete(byte* to, nuint length, CopyPlan plan)
    {
        long offset = (nint)to - address;
        if (length > 0 && (plan.WritesBack || plan.SyncsPages) && persister.Flush(offset, (long)length) is { } failure) return failure;
        return plan.Fences || plan is { SyncsPages: true, Drains: true } ? persister.Drain() : null;
    }
}
