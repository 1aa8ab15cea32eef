namespace Pmem

open System
open System.Globalization

/// A kind of file, as far as mapping it goes.
type FileKind =
    /// A regular file.
    | RegularFile
    /// <summary>A device-DAX character device, <c>/dev/daxX.Y</c>.</summary>
    | DaxDevice
    /// A directory.
    | Directory
    /// A named pipe.
    | Fifo
    /// A character or block device that is not device DAX, or a socket.
    | OtherFile

    /// In words, with the article.
    override kind.ToString() =
        match kind with
        | RegularFile -> "a regular file"
        | DaxDevice -> "a device-DAX device"
        | Directory -> "a directory"
        | Fifo -> "a named pipe (FIFO)"
        | OtherFile -> "a device or socket"

    /// Whether both are the same value.
    static member op_Equality(left: FileKind, right: FileKind) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: FileKind, right: FileKind) = not (Object.Equals(left, right))

/// A request that is refused for a reason that can be foreseen. Each says what was asked, what was found and what to do.
type Refusal =
    /// An environment variable has a value that it cannot have.
    | BadEnvironment of Variable: string * Value: string * Expected: string
    /// The machine's cache line is larger than a page, or no power of two, or the page is.
    | BadGeometry of What: string * Bytes: int64
    /// A length that is not positive.
    | LengthNotPositive of Length: int64
    /// An offset that is negative or not a multiple of the unit in which the file can be mapped.
    | OffsetNotAligned of Offset: int64 * UnitBytes: int64
    /// A range that does not lie in the file.
    | OutsideFile of Offset: int64 * Length: int64 * FileLength: int64
    /// A file without bytes.
    | FileIsEmpty
    /// Something that cannot be mapped as persistent memory.
    | NotMappable of Kind: FileKind
    /// A device has one length, and it is not the one asked for.
    | DeviceLength of Asked: int64 * Actual: int64
    /// Two options that exclude each other.
    | Contradiction of First: string * Second: string
    /// A set of flags with a bit that means nothing.
    | UnknownFlags of Flags: int
    /// The mapping's granularity is coarser than the one required.
    | GranularityTooCoarse of Required: StoreGranularity * Found: StoreGranularity * Why: string
    /// A device-DAX mapping on which nothing that this process may do makes a store durable.
    | NoWayToPersist of Why: string

    /// The sentence for a person: what is wrong, and what to do.
    override refusal.ToString() =
        let bytes (value: int64) =
            value.ToString(CultureInfo.InvariantCulture)

        match refusal with
        | BadEnvironment(variable, value, expected) ->
            String.Concat(
                [|
                    "The environment variable "
                    variable
                    " is \""
                    value
                    "\"; it must be "
                    expected
                    ", or be unset."
                |]
            )
        | BadGeometry(what, size) ->
            String.Concat(
                what,
                " of ",
                bytes size,
                " bytes is not one that this library knows; it must be a power of two."
            )
        | LengthNotPositive length ->
            String.Concat("A length of ", bytes length, " bytes was asked for; it must be at least 1.")
        | OffsetNotAligned(offset, unitBytes) ->
            String.Concat(
                [|
                    "The offset "
                    bytes offset
                    " cannot be mapped; give a multiple of "
                    bytes unitBytes
                    ", the unit in which this file is mapped."
                |]
            )
        | OutsideFile(offset, length, fileLength) ->
            String.Concat(
                [|
                    "The range of "
                    bytes length
                    " bytes at offset "
                    bytes offset
                    " does not lie in the file, which has "
                    bytes fileLength
                    " bytes."
                |]
            )
        | FileIsEmpty -> "The file is empty; there is nothing to map. Create it with a length first."
        | NotMappable kind ->
            String.Concat("It is ", kind.ToString(), "; only regular files and device-DAX devices can be mapped.")
        | DeviceLength(asked, actual) ->
            String.Concat(
                [|
                    "A length of "
                    bytes asked
                    " bytes was asked for, but the device has "
                    bytes actual
                    "; give 0 or exactly that."
                |]
            )
        | Contradiction(first, second) -> String.Concat(first, " and ", second, " exclude each other; leave one out.")
        | UnknownFlags flags ->
            String.Concat("The flags 0x", flags.ToString("X", CultureInfo.InvariantCulture), " are not all known.")
        | GranularityTooCoarse(required, found, why) ->
            String.Concat(
                [|
                    "A store granularity of one "
                    required.ToString()
                    " was required, but here it is one "
                    found.ToString()
                    ": "
                    why
                    "."
                |]
            )
        | NoWayToPersist why ->
            String.Concat("Nothing that this process may do makes a store to this device durable: ", why, ".")

    /// Whether both are the same value.
    static member op_Equality(left: Refusal, right: Refusal) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: Refusal, right: Refusal) = not (Object.Equals(left, right))

/// What a decision comes to: a value, or a refusal with its reason.
type Decision<'T> =
    /// Decided.
    | Accepted of Value: 'T
    /// Refused.
    | Refused of Reason: Refusal

/// Decisions, for pipelines.
module Decision =
    /// Decides further with an accepted value.
    let bind (next: 'T -> Decision<'U>) decision =
        match decision with
        | Accepted value -> next value
        | Refused reason -> Refused reason

    /// Turns an accepted value into another.
    let map (next: 'T -> 'U) decision = bind (next >> Accepted) decision

    /// Nothing, or the refusal where the condition does not hold.
    let require condition reason =
        if condition then Accepted() else Refused reason

/// Decisions in sequence; the first refusal ends it.
type internal DecisionBuilder() =
    member _.Bind(decision, next) = Decision.bind next decision
    member _.Return value = Accepted value
    member _.ReturnFrom(decision: Decision<_>) = decision
    member _.Zero() = Accepted()

[<AutoOpen>]
module internal DecisionSyntax =
    let decision = DecisionBuilder()
