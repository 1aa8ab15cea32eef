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

module private RefusalWords =
    let unit (unitBytes: int64) =
        Words.say
            [
                "; give a multiple of "
                Words.number unitBytes
                ", the unit in which this file is mapped."
            ]

/// A request that is refused for a reason that can be foreseen. Each says what was asked, what was found and what to do.
type Refusal =
    /// An environment variable has a value that it cannot have.
    | BadEnvironment of Variable: string * Value: string * Expected: string
    /// The machine's cache line is larger than a page, or no power of two, or the page is.
    | BadGeometry of What: string * Bytes: int64
    /// A length that is not positive.
    | LengthNotPositive of Length: int64
    /// A length that is not a multiple of the unit in which the file is mapped.
    | LengthNotAligned of Length: int64 * UnitBytes: int64
    /// An offset that is negative or not a multiple of the unit in which the file can be mapped.
    | OffsetNotAligned of Offset: int64 * UnitBytes: int64
    /// An offset behind the end of the file, or a range that does not lie in it; a length of 0 is up to the end.
    | OutsideFile of Offset: int64 * Length: int64 * FileLength: int64
    /// A file without bytes.
    | FileIsEmpty
    /// Something that cannot be mapped as persistent memory.
    | NotMappable of Kind: FileKind
    /// A device has one length, and it is not the one asked for.
    | DeviceLength of Asked: int64 * Actual: int64
    /// An existing file is longer than what was asked for.
    | WouldShorten of FileLength: int64 * Asked: int64
    /// A live mapping of this process reaches further than what was asked for.
    | WouldCutMapping of MappedEnd: int64 * Asked: int64
    /// Two options that exclude each other.
    | Contradiction of First: string * Second: string
    /// An option that means nothing for what was asked.
    | DoesNotApply of Option: string * To: string
    /// A set of flags with a bit that means nothing.
    | UnknownFlags of Flags: int
    /// The mapping's granularity is coarser than the one required.
    | GranularityTooCoarse of Required: StoreGranularity * Found: StoreGranularity * Why: string
    /// A device-DAX mapping on which nothing that this process may do makes a store durable.
    | NoWayToPersist of Why: string

    /// The sentence for a person: what is wrong, and what to do.
    override refusal.ToString() =
        let bytes = Words.number

        match refusal with
        | BadEnvironment(variable, value, expected) ->
            Words.say
                [
                    "The environment variable "
                    variable
                    " is \""
                    value
                    "\"; it must be "
                    expected
                    ", or be unset."
                ]
        | BadGeometry(what, size) ->
            Words.say
                [
                    what
                    " of "
                    bytes size
                    " bytes is not one that this library knows; it must be a power of two."
                ]
        | FileIsEmpty -> "The file is empty; there is nothing to map. Create it with a length first."
        | NotMappable kind ->
            Words.say
                [
                    "It is "
                    kind.ToString()
                    "; only regular files and device-DAX devices can be mapped."
                ]
        | Contradiction(first, second) -> Words.say [ first; " and "; second; " exclude each other; leave one out." ]
        | DoesNotApply(option, what) -> Words.say [ option; " does not apply to "; what; "; leave it out." ]
        | UnknownFlags flags ->
            Words.say
                [
                    "The flags 0x"
                    flags.ToString("X", CultureInfo.InvariantCulture)
                    " are not all known."
                ]
        | GranularityTooCoarse(required, found, why) ->
            Words.say
                [
                    "A store granularity of one "
                    required.ToString()
                    " was required, but here it is one "
                    found.ToString()
                    ": "
                    why
                    "."
                ]
        | NoWayToPersist why ->
            Words.say
                [
                    "Nothing that this process may do makes a store to this device durable: "
                    why
                    "."
                ]
        | _ -> refusal.OfLengths()

    /// No negative length is ever named: it is nobody's length.
    member private refusal.OfLengths() =
        let bytes = Words.number

        match refusal with
        | LengthNotPositive 0L -> "A length of 0 bytes was asked for; it must be at least 1."
        | LengthNotPositive _ -> "A negative length was asked for; it must be at least 1."
        | LengthNotAligned(length, unitBytes) ->
            Words.say
                [
                    "The length "
                    bytes length
                    " cannot be mapped"
                    RefusalWords.unit unitBytes
                ]
        | OffsetNotAligned(offset, unitBytes) ->
            Words.say
                [
                    "The offset "
                    bytes offset
                    " cannot be mapped"
                    RefusalWords.unit unitBytes
                ]
        | OutsideFile(offset, length, fileLength) when offset >= fileLength || length = 0L ->
            Words.say
                [
                    "The offset "
                    bytes offset
                    " is not before the end of the file, which has "
                    bytes fileLength
                    " bytes."
                ]
        | OutsideFile(offset, length, fileLength) ->
            Words.say
                [
                    "The range of "
                    bytes length
                    " bytes at offset "
                    bytes offset
                    " does not lie in the file, which has "
                    bytes fileLength
                    " bytes."
                ]
        | DeviceLength(asked, actual) ->
            Words.say
                [
                    "A length of "
                    bytes asked
                    " bytes was asked for, but the device has "
                    bytes actual
                    "; give 0 or exactly that."
                ]
        | WouldShorten(fileLength, asked) ->
            Words.say
                [
                    "The file has "
                    bytes fileLength
                    " bytes, and would be cut to "
                    bytes asked
                    "; ask for its length or more, or set Truncate to lose what lies behind."
                ]
        | WouldCutMapping(mappedEnd, asked) ->
            Words.say
                [
                    "This process has the file mapped up to byte "
                    bytes mappedEnd
                    ", and it would be cut to "
                    bytes asked
                    " bytes; dispose that mapping first."
                ]
        | _ -> ""

    /// Whether both are the same value.
    static member op_Equality(left: Refusal, right: Refusal) = Object.Equals(left, right)

    /// Whether the values differ.
    static member op_Inequality(left: Refusal, right: Refusal) = not (Object.Equals(left, right))
