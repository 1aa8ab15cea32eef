using System.Collections.Immutable;
using FsCheck;
using Pmem;

namespace Exercises;

/// <summary>The test of chapter 8: the model agrees with a stack that is right, and with none that is wrong.</summary>
internal static class Stacks
{
    private const int Room = 4;

    private enum Mistake
    {
        None,
        CountFirst,
        ForgetsPop,
        OverwritesLast,
    }

    public static void Check(Exercise8 exercise)
    {
        string? alarm = Failure(exercise, Mistake.None);
        Trial.Demand(alarm is null, $"The stack is right, but your model does not agree with it.\n{alarm}");
        foreach (Mistake mistake in (Mistake[])[Mistake.CountFirst, Mistake.ForgetsPop, Mistake.OverwritesLast])
        {
            Trial.Demand(Failure(exercise, mistake) is not null, $"Your model accepts a stack that is wrong ({mistake}).");
        }
    }

    private static string? Failure(Exercise8 exercise, Mistake mistake)
    {
        var stack = new DurableStructure<StackOperation, ImmutableList<long>>(
            image: new byte[256],
            initial: [],
            apply: (operation, memory) => Apply(mistake, operation, memory),
            model: exercise.Model,
            recover: Recover);
        try
        {
            FsCheck.Check.One(Config.QuickThrowOnFailure, stack.IsDurable);
            return null;
        }
        catch (Exception error)
        {
            return error.Message;
        }
    }

    private static void Apply(Mistake mistake, StackOperation operation, IPersistentMemory memory)
    {
        long count = memory.ReadInt64(0);
        if (operation == StackOperation.Pop)
        {
            if (count > 0 && mistake != Mistake.ForgetsPop) Put(memory, 0, count - 1);
            return;
        }

        long place = mistake == Mistake.OverwritesLast ? Math.Min(count, Room - 1) : count;
        if (place == Room) return;
        long item = operation == StackOperation.PushOne ? 1 : 2;
        if (mistake == Mistake.CountFirst) Put(memory, 0, count + 1);
        Put(memory, 64 + 8 * place, item);
        Put(memory, 0, place + 1);
    }

    private static void Put(IPersistentMemory memory, long offset, long value)
    {
        memory.StoreInt64(offset, value);
        memory.Persist(offset, 8);
    }

    private static ImmutableList<long> Recover(IPersistentMemory memory)
    {
        var items = ImmutableList.CreateBuilder<long>();
        for (long i = 0; i < memory.ReadInt64(0); i++) items.Add(memory.ReadInt64(64 + 8 * i));
        return items.ToImmutable();
    }
}
