using Pmem.Tool;

return await Commands.Run(args, Console.Out, Console.Error);
