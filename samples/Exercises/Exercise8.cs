using System.Collections.Immutable;

namespace Exercises;

/// <summary>What can be done to the stack of chapter 8.</summary>
public enum StackOperation
{
    PushOne,
    PushTwo,
    Pop,
}

/// <summary>Chapter 8. Write the model of a stack: a property is worth what its model says.</summary>
public class Exercise8
{
    /// <summary>
    /// The items after an operation, the newest last. The stack has room for four: a push on a full one does nothing, and so
    /// does a pop of an empty one.
    /// </summary>
    public virtual ImmutableList<long> Model(StackOperation operation, ImmutableList<long> items) => operation switch
    {
        StackOperation.PushOne => items.Add(1),
        StackOperation.PushTwo => items.Add(2),
        _ => items,
    };
}
