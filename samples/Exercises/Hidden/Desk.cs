namespace Exercises;

/// <summary>Where a student hands in an exercise.</summary>
public static class Desk
{
    /// <summary>The exercises as they stand, chapter by chapter.</summary>
    public static IReadOnlyList<object> Exercises { get; } =
    [
        new Exercise1(), new Exercise2(), new Exercise3(), new Exercise4(), new Exercise5(),
        new Exercise6(), new Exercise7(), new Exercise8(), new Exercise9(),
    ];

    /// <summary>Runs the hidden test of an exercise.</summary>
    /// <exception cref="ExerciseFailedException">It is not solved.</exception>
    public static void Check(object exercise)
    {
        switch (exercise)
        {
            case Exercise1 one: Stores.Check(one); break;
            case Exercise2 two: Stores.Check(two); break;
            case Exercise3 three: Stores.Check(three); break;
            case Exercise4 four: Orders.Check(four); break;
            case Exercise5 five: Orders.Check(five); break;
            case Exercise6 six: Accounts.Check(six); break;
            case Exercise7 seven: Accounts.Check(seven); break;
            case Exercise8 eight: Stacks.Check(eight); break;
            case Exercise9 nine: Stores.Check(nine); break;
            default: throw new ArgumentException($"There is no test for {exercise}.", nameof(exercise));
        }
    }

    /// <summary>The program: 0 where the exercise is solved, 1 where it is not, 2 where there is none.</summary>
    public static int Run(string[] arguments, TextWriter output)
    {
        ArgumentNullException.ThrowIfNull(arguments);
        ArgumentNullException.ThrowIfNull(output);
        if (arguments is not [string number] || !int.TryParse(number, out int chapter) || chapter < 1 || chapter > Exercises.Count)
        {
            output.WriteLine($"usage: dotnet run --project samples/Exercises -- N, with N from 1 to {Exercises.Count}");
            return 2;
        }

        try
        {
            Check(Exercises[chapter - 1]);
            output.WriteLine($"Exercise {chapter} is solved.");
            return 0;
        }
        catch (ExerciseFailedException failure)
        {
            output.WriteLine($"Exercise {chapter} is not solved yet; it stands in samples/Exercises/Exercise{chapter}.cs.");
            output.WriteLine(failure.Message);
            return 1;
        }
    }
}
