namespace Pmem;

/// <summary>Stores through the cache; the pages are noted, and synced unless the flags leave that to a later drain.</summary>
internal sealed unsafe class PageCopier(PagePersister persister, MappedStorage storage) : Copier
{
    private readonly Copier _stores = CopyWidth.CopierFor(storage.Platform, default(NoLines));

    public override Exception? Move(byte* to, byte* from, nuint length, CopyPlan plan)
    {
        _ = _stores.Move(to, from, length, plan);
        return Complete(to, length, plan);
    }

    public override Exception? Fill(byte* to, byte value, nuint length, CopyPlan plan)
    {
        _ = _stores.Fill(to, value, length, plan);
        return Complete(to, length, plan);
    }

    private Exception? Complete(byte* to, nuint length, CopyPlan plan)
    {
        if (!plan.SyncsPages) return null;
        long offset = (nint)to - storage.Address;
        return plan.Drains ? persister.Persist(offset, (long)length) : persister.Flush(offset, (long)length);
    }
}
