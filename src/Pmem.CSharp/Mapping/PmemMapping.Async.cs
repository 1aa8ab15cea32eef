namespace Pmem;

/// <content>Waiting for storage without a thread that waits.</content>
public sealed unsafe partial class PmemMapping
{
    /// <summary>
    /// As <see cref="Persist(long, long)"/>. With page granularity, where that waits for a disk, another thread does it; else it takes
    /// less than a microsecond, and is done when this returns.
    /// </summary>
    /// <param name="offset">The first byte, in the mapping.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="cancellationToken">Cancels it before it begins. What has begun goes on to its end.</param>
    /// <returns>Completes when the bytes are durable, or fails with the exceptions of <see cref="Persist(long, long)"/>.</returns>
    public Task PersistAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        CheckRange(offset, length);
        return WaitAsync(mapping => mapping.Persist(offset, length), cancellationToken);
    }

    /// <summary>As <see cref="Drain"/>: flushed ranges on other threads too, with page granularity.</summary>
    /// <param name="cancellationToken">Cancels it before it begins. What has begun goes on to its end.</param>
    /// <returns>Completes when everything that was flushed is durable, or fails with the exceptions of <see cref="Drain"/>.</returns>
    /// <remarks>Elsewhere a drain is for what its own thread flushed: call it on that thread, before the first await after a flush.</remarks>
    public Task DrainAsync(CancellationToken cancellationToken = default) => WaitAsync(static mapping => mapping.Drain(), cancellationToken);

    private Task WaitAsync(Action<PmemMapping> wait, CancellationToken cancellationToken)
    {
        if (Granularity.IsPage) return Task.Run(() => wait(this), cancellationToken);
        if (cancellationToken.IsCancellationRequested) return Task.FromCanceled(cancellationToken);
        try
        {
            wait(this);
            return Task.CompletedTask;
        }
        catch (Exception e) when (e is PmemException or ObjectDisposedException)
        {
            return Task.FromException(e);
        }
    }
}
