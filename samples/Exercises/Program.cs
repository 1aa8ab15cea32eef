// Checks the exercises of the course: edit ExerciseN.cs, then
//
//     dotnet run --project samples/Exercises -- N
return Exercises.Desk.Run(args, Console.Out);
