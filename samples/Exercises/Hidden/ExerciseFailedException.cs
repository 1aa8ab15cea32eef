namespace Exercises;

/// <summary>An exercise is not solved yet; the message says what is wrong.</summary>
public sealed class ExerciseFailedException(string message) : Exception(message);
