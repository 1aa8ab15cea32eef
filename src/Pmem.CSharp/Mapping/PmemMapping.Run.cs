namespace Pmem;

/// <content>Persistent updates as values.</content>
public sealed unsafe partial class PmemMapping
{
    /// <summary>
    /// Runs a program: the writes of each epoch, then its plan, so that an epoch is durable before the next one begins.
    /// The bytes are then what <see cref="PersistProgram.Run(byte[])"/> makes of them.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">A write does not lie in the mapping; nothing was written.</exception>
    /// <exception cref="InvalidOperationException">The mapping is read-only.</exception>
    /// <exception cref="PmemException">msync failed; what the epoch and those before it wrote may be lost.</exception>
    public void Run(PersistProgram program)
    {
        ArgumentNullException.ThrowIfNull(program);
        ThrowIfReadOnly();
        program.CheckWithin(_length);

        IPersistentMemory memory = this;
        foreach (PersistEpoch epoch in program.Epochs)
        {
            foreach (PersistWrite write in epoch.Writes) memory.Store(write.Range.Offset, write.Bytes.Span);
            Execute(epoch.Plan);
        }
    }
}
