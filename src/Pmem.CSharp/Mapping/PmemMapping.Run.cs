namespace Pmem;

/// <content>Persistent updates as values.</content>
public sealed unsafe partial class PmemMapping
{
    /// <summary>
    /// Runs a program: the writes of each epoch, then its plan, so that an epoch is durable before the next one begins.
    /// The bytes are then what <see cref="PersistProgram.Run(byte[])"/> makes of them. A Dispose on another thread waits for the
    /// whole program.
    /// </summary>
    /// <param name="program">What to write, and in which order it is to be durable.</param>
    /// <exception cref="ArgumentOutOfRangeException">A write does not lie in the mapping; nothing was written.</exception>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    /// <exception cref="PmemException">The storage failed, at this call or before; what the epoch wrote may be lost, and the epochs
    /// after it were not written.</exception>
    public void Run(PersistProgram program)
    {
        ArgumentNullException.ThrowIfNull(program);
        ThrowIfReadOnly();
        program.CheckWithin(_length);

        InFlight slot = Enter();
        Exception? failure = null;
        try
        {
            foreach (PersistEpoch epoch in program.Epochs)
            {
                failure = RunEpoch(epoch);
                if (failure is not null) break;
            }
        }
        finally { slot.Leave(); }
        if (failure is not null) Throw(failure);
    }

    private Exception? RunEpoch(PersistEpoch epoch)
    {
        foreach (PersistWrite write in epoch.Writes) StoreBytes(write.Range.Offset, write.Bytes.Span);
        return _persister.Execute(epoch.Plan);
    }
}
