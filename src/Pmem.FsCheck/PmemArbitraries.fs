namespace Pmem

open FsCheck
open FsCheck.FSharp

/// <summary>Generators and shrinkers of the library's values.</summary>
/// <remarks>
/// One line registers them: <c>{ Config.Default with Arbitrary = [ typeof&lt;PmemArbitraries&gt; ] }</c> in F#,
/// <c>Config.Default.WithArbitrary([typeof(PmemArbitraries)])</c> in C#, <c>[Properties(Arbitrary = …)]</c> in xUnit and NUnit.
/// Small values come first. Ranges and plans lie in the first 20 000 bytes; programs and events are for a memory of
/// <see cref="P:Pmem.PmemArbitraries.MemoryBytes"/> bytes.
/// </remarks>
[<AbstractClass; Sealed>]
type PmemArbitraries =
    /// The length of the memory that generated programs and events are for, in bytes.
    static member MemoryBytes = Generators.MemoryBytes

    /// Byte ranges, the empty one among them.
    static member ByteRange() : Arbitrary<ByteRange> =
        Arb.fromGenShrink (Generators.range, Generators.shrinkRange)

    /// Flush plans.
    static member FlushPlan() : Arbitrary<FlushPlan> =
        Arb.fromGenShrink (Generators.plan, Generators.shrinkPlan)

    /// What may be found out about a machine, with every variable of the environment that is a switch.
    static member PlatformFacts() : Arbitrary<PlatformFacts> =
        Arb.fromGenShrink (Generators.facts, Generators.shrinkFacts)

    /// Platforms of x86-64 and Arm64, with an empty environment.
    static member Platform() : Arbitrary<Platform> =
        Arb.fromGenShrink (
            Gen.map Generators.platformOf Generators.ordinaryFacts,
            fun platform -> Generators.shrinkFacts platform.Facts |> Seq.map Generators.platformOf
        )

    /// The granularities, from the finest.
    static member StoreGranularity() : Arbitrary<StoreGranularity> =
        Generators.simplestFirst [ StoreGranularity.Byte; StoreGranularity.CacheLine; StoreGranularity.Page ]

    /// The persistency models.
    static member PersistencyModel() : Arbitrary<PersistencyModel> =
        Generators.simplestFirst Generators.models

    /// Persist programs.
    static member PersistProgram() : Arbitrary<PersistProgram> =
        Arb.fromGenShrink (Generators.program, Generators.shrinkProgram)

    /// Events; a trace is a list of them.
    static member PersistEvent() : Arbitrary<PersistEvent> =
        Arb.fromGenShrink (Generators.event, Generators.shrinkEvent)

    /// The sets of copy options that are not refused.
    static member PmemCopyOptions() : Arbitrary<PmemCopyOptions> =
        Generators.simplestFirst Generators.copyOptions

    /// Options of a crash check, with budgets of at most 2000 recovery runs.
    static member CrashCheckOptions() : Arbitrary<CrashCheckOptions> =
        Arb.fromGenShrink (Generators.crashOptions, Generators.shrinkCrashOptions)
